"""Operations that move elements: each core is moved as its tensor was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, ...]


def reshaped(core: Tensor, old: Shape, new: Shape) -> Tensor:
    """A core of a tensor whose axes were split or joined; what is 1 stays 1 where it can."""
    sizes: list[int] = []
    full: list[int] = []
    split: list[int] = []
    for i, j in _segments(old, new):
        if all(core.shape[axis] == 1 for axis in i):
            sizes += [1] * len(j)
            full += [1] * len(i)
            continue
        if len(j) > 1:
            split += [len(sizes) + k for k in range(len(j))]
        sizes += [new[axis] for axis in j]
        full += [old[axis] for axis in i]
    made = core.expand(full).reshape(sizes)
    for axis in split:
        made = narrowed(made, axis)
    return made


def narrowed(core: Tensor, axis: int) -> Tensor:
    """The core with 1 along an axis over which its places do not change."""
    if core.shape[axis] > 1:
        first = core.narrow(axis, 0, 1)
        if bool((core == first).all()):
            return first
    return core


def _segments(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Runs of old axes and of new ones that hold the same elements."""
    runs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left, right, a, b = [], [], 1, 1
        if i < len(old):
            left, a, i = [i], old[i], i + 1
        if j < len(new):
            right, b, j = [j], new[j], j + 1
        while a != b:
            if a < b:
                left.append(i)
                a, i = a * old[i], i + 1
            else:
                right.append(j)
                b, j = b * new[j], j + 1
        runs.append((left, right))
    return runs


def joined_pairs(old: Shape, new: Shape) -> list[tuple[int, int]]:
    """(the first of two old axes, the new one) where just two axes become one."""
    return [
        (left[0], right[0])
        for left, right in _segments(old, new)
        if len(left) == 2 and len(right) == 1 and min(old[axis] for axis in left) > 1
    ]


def broadcast(core: Tensor, ndim: int) -> Tensor:
    """A core with 1 for each new axis in front."""
    return core.reshape((1,) * (ndim - core.ndim) + tuple(core.shape))


def repeated(core: Tensor, old: Shape, new: Shape) -> Tensor:
    """A core of a tensor that was laid side by side; of one that was single, 1 stays 1."""
    core = broadcast(core, len(new))
    old = (1,) * (len(new) - len(old)) + old
    times = [n // max(o, 1) if o > 1 and core.shape[i] > 1 else 1
             for i, (o, n) in enumerate(zip(old, new, strict=True))]  # fmt: skip
    return core.repeat(times)


def gathered(core: Tensor, shape: Shape, dim: int, index: Tensor) -> Tensor:
    """A core of a tensor whose elements were gathered along an axis by an index of full size."""
    for axis in range(index.ndim):
        if axis != dim:
            index = narrowed(index, axis)
    if core.shape[dim] == 1:
        return core
    sizes = [max(a, b) for a, b in zip(core.shape, index.shape, strict=True)]
    index = index.expand([index.shape[dim] if i == dim else n for i, n in enumerate(sizes)])
    core = core.expand([shape[dim] if i == dim else n for i, n in enumerate(sizes)])
    return core.gather(dim, index)


def indexed(core: Tensor, shape: Shape, key: Any) -> Tensor:
    """A core of ``tensor[key]``."""
    key = _key(key, len(shape))
    return _opened(core, shape, key)[key]


def written(core: Tensor, value: Tensor, shape: Shape, key: Any) -> Tensor:
    """A core of a tensor after ``tensor[key] = value``."""
    key = _key(key, len(shape))
    part = torch.zeros((), dtype=torch.bool).expand(shape)[key]
    value = broadcast(value, part.ndim) if value.ndim < part.ndim else value
    value = value.reshape(value.shape[value.ndim - part.ndim :])
    if value.numel() == 1 and not any(n > 1 for n in value.shape):
        made = _opened(core, shape, key).clone()
    else:
        made = core.expand(shape).clone()
    made[key] = value
    for axis in range(made.ndim):
        made = narrowed(made, axis)
    return made


def _key(key: Any, ndim: int) -> tuple[Any, ...]:
    """An index as a tuple with as many entries as there are axes."""
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [torch.as_tensor(k) if isinstance(k, list) else k for k in keys]
    there = sum(_width(k) for k in keys)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), None)
    if at is None:
        keys.append(Ellipsis)
        at = len(keys) - 1
    keys[at : at + 1] = [slice(None)] * (ndim - there)
    return tuple(keys)


def _width(key: Any) -> int:
    """How many axes one entry of an index takes."""
    if key is None or key is Ellipsis or isinstance(key, bool):
        return 0
    return key.ndim if isinstance(key, Tensor) and key.dtype == torch.bool else 1


def _opened(core: Tensor, shape: Shape, key: Sequence[Any]) -> Tensor:
    """The core with its full size along each axis that the index does not take whole."""
    sizes = list(core.shape)
    axis = 0
    for each in key:
        width = _width(each)
        if width and not (isinstance(each, slice) and each == slice(None)):
            sizes[axis : axis + width] = shape[axis : axis + width]
        axis += width
    return core.expand(sizes)
