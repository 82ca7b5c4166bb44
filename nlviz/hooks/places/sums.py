"""Operations that add up: what a sum, a product of tensors or a window stands for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nlviz.hooks.places.coordinates import Conflict, Coordinates, Kind
from nlviz.hooks.places.moves import broadcast, narrowed

Cores = tuple[Tensor, ...]


def merged(places: Coordinates, ndim: int, every: Sequence[Cores]) -> Cores:
    """The cores of an elementwise operation on tensors that broadcast to ``ndim`` axes."""
    first, *others = sorted(every, key=lambda cores: -len(cores))
    made = tuple(broadcast(core, ndim) for core in first)
    for other in others:
        cores = [broadcast(core, ndim) for core in other]
        if len(cores) == len(made):
            made = tuple(places.merged(a, b) for a, b in zip(made, cores, strict=True))
        elif bool((places.kind(cores[0]) == Kind.CELL).any()):
            made = _fitted(places, made, cores[0])
    return made


def _fitted(places: Coordinates, pair: Cores, core: Tensor) -> Cores:
    """A product of queries and keys, weighed by what lies where its rows or its columns do."""
    for i, own in enumerate(pair):
        try:
            made = places.merged(own, core)
        except Conflict:
            continue
        if made.shape == own.shape:
            return (*pair[:i], made, *pair[i + 1 :])
    raise Conflict


def contracted(places: Coordinates, operands: Sequence[tuple[Cores, str]], result: str) -> Cores:
    """The cores of a sum of products, in letters as of an einsum.

    What does not change over the axes that are summed is left; only where nothing is, their
    middle. Of two that are left, on axes of their own, the result has both: rows and columns.
    """
    left: list[Tensor] = []
    middles: list[Tensor] = []
    for cores, letters in operands:
        over = [i for i, c in enumerate(letters) if c not in result]
        for core in cores:
            for axis in over:
                core = narrowed(core, axis)
            whole = all(core.shape[axis] == 1 for axis in over)
            kept = core if whole else places.mixed(core, over)
            (left if whole else middles).append(_aligned(kept, letters, result))
    found = [core for core in left if core.numel() > 1] or [*left[:1], *middles]
    made: list[Tensor] = []
    for core in found or middles:
        for i, other in enumerate(made):
            if _nested(core, other):
                made[i] = places.merged(other, core)
                break
        else:
            made.append(core)
    if not 0 < len(made) < 3:
        raise Conflict
    return tuple(made)


def _nested(a: Tensor, b: Tensor) -> bool:
    """Whether one changes over no axis that the other does not change over."""
    wide = [(m > 1, n > 1) for m, n in zip(a.shape, b.shape, strict=True)]
    return not (any(m and not n for m, n in wide) and any(n and not m for m, n in wide))


def _aligned(core: Tensor, letters: str, result: str) -> Tensor:
    """A core with its axes where the result has them, 1 where it has none."""
    kept = [i for i, c in enumerate(letters) if c in result]
    dropped = [i for i in range(len(letters)) if i not in kept]
    core = core.permute(*kept, *dropped).reshape([core.shape[i] for i in kept])
    order = sorted(range(len(kept)), key=lambda i: result.index(letters[kept[i]]))
    core = core.permute(order)
    there = [letters[kept[i]] for i in order]
    return core.reshape([core.shape[there.index(c)] if c in there else 1 for c in result])


def joined(places: Coordinates, cores: Sequence[Tensor], sizes: Sequence[int], dim: int) -> Tensor:
    """The core of tensors put behind each other along an axis."""
    if all(core.shape[dim] == 1 < size for core, size in zip(cores, sizes, strict=True)):
        try:
            made = cores[0]
            for core in cores[1:]:
                made = places.merged(made, core)
            return made
        except Conflict:
            pass  # channels of different places, which a later layer adds up
    wide = [max(core.shape[i] for core in cores) for i in range(cores[0].ndim)]
    parts = [
        core.expand([size if i == dim else n for i, n in enumerate(wide)])
        for core, size in zip(cores, sizes, strict=True)
    ]
    return places.beside(torch.cat(parts, dim), dim)
