"""Caffe2's pickles, read by an unpickler that knows NumPy arrays and plain containers only."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from nlviz.errors import CheckpointError


class ForbiddenGlobalError(CheckpointError):
    """A pickle that asks for something other than arrays; carries its name, ``module.name``."""


def load(file: IO[bytes]) -> Any:
    """What a pickle of dicts, lists, numbers, strings and arrays holds, of Python 2 or 3.

    Nothing that the pickle names is imported: the few names known here stand for our own
    functions, and a name that is not among them ends the reading before anything was called.

    Raises:
        ForbiddenGlobalError: a name other than those of arrays.
        pickle.UnpicklingError, ValueError, …: no pickle, or a damaged one.
    """
    return _Unpickler(file, encoding="latin1").load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """One of ours for the names that a pickled array needs; never an import."""
        home = module.replace("numpy._core", "numpy.core")
        if (home, name) not in _KNOWN:
            raise ForbiddenGlobalError(f"{module}.{name}")
        return _KNOWN[home, name]


class _ArrayType:
    """Stands for ``numpy.ndarray``: named by every pickled array, called by none."""


def _array(kind: object, shape: object, code: object) -> np.ndarray:
    """An empty array that the state that follows will fill, whatever size it asks for."""
    return np.ndarray((0,), np.uint8)


def _dtype(code: str, *_: object) -> np.dtype[Any]:
    return np.dtype(str(code))


def _scalar(kind: np.dtype[Any], data: str | bytes) -> Any:
    if kind.kind not in "biuf":
        raise pickle.UnpicklingError(f"a scalar of type {kind}")
    return np.frombuffer(_encode(data, ""), kind)[0]


def _encode(text: str | bytes, _: str) -> bytes:
    return text.encode("latin1") if isinstance(text, str) else text


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
}
