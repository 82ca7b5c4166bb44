"""What trainers save beside weights: nlviz knows it by name and ignores it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Logs, arguments and NumPy numbers. None of these is imported: a name stands for ``_Nothing``.
_NAMES = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",  # by which a HistoryBuffer names its statistics
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
    *(f"numpy.{name}" for name in ("ndarray", "dtype", "float32", "float64", "int64")),
    *(f"numpy.dtypes.{name}DType" for name in ("Float32", "Float64", "Int64", "Bool", "Object")),
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
)
_one_at_a_time = threading.Lock()


class _Nothing:
    """Made of anything, filled with anything, keeping none of it."""

    def __new__(cls, *_: object) -> _Nothing:
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        """Nothing to keep."""

    def __setstate__(self, state: object) -> None:
        """Nothing to keep."""


@contextmanager
def read_as_nothing() -> Iterator[None]:
    """While it lasts, ``torch.load`` reads these names as nothing, and still runs none of them."""
    with _one_at_a_time, torch.serialization.safe_globals([(_Nothing, name) for name in _NAMES]):
        yield
