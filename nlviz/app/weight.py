"""What a result weighs: the bytes of all buffers that it holds, each counted once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

_SMALL = 1 << 10  # bytes that are not worth counting
_MANY, _INTEGER = 64, 40  # whole numbers in a row: one and the bytes of each


def buffers(value: object) -> dict[int, int]:
    """Buffer → its bytes, for all arrays, tensors and texts in records, lists and mappings."""
    found: dict[int, int] = {}
    _collect(value, found, set())
    return found


def _collect(value: Any, found: dict[int, int], seen: set[int]) -> None:
    if id(value) in seen or value is None or isinstance(value, int | float | type):
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        found[id(value)] = value.nbytes
    elif isinstance(value, bytes | bytearray | str):
        if len(value) >= _SMALL:
            found[id(value)] = len(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            _collect(each, found, seen)
    elif isinstance(value, tuple) and len(value) >= _MANY and isinstance(value[0], int):
        found[id(value)] = _INTEGER * len(value)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            _collect(each, found, seen)
    elif isinstance(value, _class_of_torch("Tensor")):
        storage = value.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
    elif isinstance(value, _class_of_torch("Module")):
        _collect(value.state_dict(), found, seen)
    elif is_dataclass(value):
        for each in fields(value):
            _collect(getattr(value, each.name, None), found, seen)
        for each in getattr(value, "__dict__", {}).values():  # what a cached property keeps
            _collect(each, found, seen)


def _class_of_torch(name: str) -> Any:
    """A class of torch or torch.nn; where torch is not loaded, none that anything could be of."""
    torch = sys.modules.get("torch")
    return getattr(torch, name, None) or getattr(getattr(torch, "nn", None), name, ())
