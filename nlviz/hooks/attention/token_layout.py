"""Which place on a feature grid each slot of an attention's sequences is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import CaptureError
from nlviz.geometry import Grid

Sizes = tuple[int, int, int]  # time, rows, columns

_TOKENS = {"class": ("cls", "class"), "distillation": ("dist",), "register": ("reg",)}


@dataclass(frozen=True, slots=True, eq=False)
class TokenLayout:
    """Where the slots of S sequences, each of some length, lie.

    Args:
        grid: the cells.
        columns: (S, length) the column of θ or φ that each slot fills: a cell's row-major index,
            or ``grid.size`` and more for a token.
        tokens: the names of the columns after the cells.
    """

    grid: Grid
    columns: NDArray[np.intp]
    tokens: tuple[str, ...] = ()


def sequence_layout(
    sequences: int, length: int, grids: Iterable[Sizes], tokens: Sequence[str]
) -> TokenLayout:
    """The layout of sequences of tokens, then cells in row-major order; one frame or more each.

    It also knows sequences of a divided attention: one for each place, over time.

    Args:
        sequences: how many there are of one sample, in the order of time or of place.
        length: slots of each.
        grids: candidate grids, most likely first.
        tokens: the names that the network has for tokens.

    Raises:
        CaptureError: no grid fits, or one fits in two ways.
    """
    fits = [
        (more not in (0, len(tokens)), more, age, sizes, over_time)
        for age, sizes in enumerate(grids)
        for over_time, more in _fits(sequences, length, sizes)
        if more in (0, 1, len(tokens))
    ]
    if not fits:
        raise CaptureError(
            f"has {sequences} × {length} slots, which fit none of the feature grids seen"
        )
    _, more, _, sizes, over_time = min(fits)
    if any(fit[3] == sizes and fit[4] != over_time for fit in fits):
        raise CaptureError(
            f"has {sequences} × {length} slots, which may run over time or over space of a grid "
            f"{Grid(*sizes)}; take another number of frames"
        )
    grid = Grid(*sizes)
    if over_time:
        return TokenLayout(grid, np.arange(grid.size).reshape(length, sequences).T)
    cells = np.arange(grid.size).reshape(sequences, -1)
    others = grid.size + np.arange(sequences * more).reshape(sequences, more)
    names = tokens if more == len(tokens) else [f"token {i + 1}" for i in range(more)]
    if sequences > 1:
        names = [f"{name}@{i}" for i in range(sequences) for name in names]
    return TokenLayout(grid, np.concatenate([others, cells], axis=1), tuple(names) if more else ())


def _fits(sequences: int, length: int, sizes: Sizes) -> Iterable[tuple[bool, int]]:
    """(over time, tokens of each sequence) of each way in which a grid fits."""
    t, rows, cols = sizes
    if t % sequences == 0 and length >= t // sequences * rows * cols:
        yield False, length - t // sequences * rows * cols
    if t > 1 and rows * cols > 1 and (sequences, length) == (rows * cols, t):
        yield True, 0


def window_layout(sizes: Sizes, window: Sizes, shift: Sizes, elements: int = 1) -> TokenLayout:
    """The layout of a grid cut into windows after a cyclic shift, as in Swin.

    Each of several elements, which follow in time, is cut separately.

    Raises:
        CaptureError: the windows do not divide the grid, so that padding takes part as keys.
    """
    window = tuple(min(w, n) for w, n in zip(window, sizes, strict=True))  # type: ignore[assignment]
    if any(n % w for n, w in zip(sizes, window, strict=True)):
        raise CaptureError(
            f"has windows of {Grid(*window)} cells, which do not divide its grid {Grid(*sizes)}, "
            "so that padding takes part; give an input whose size they divide"
        )
    moved = [-s if w < n else 0 for s, w, n in zip(shift, window, sizes, strict=True)]
    cells = np.arange(elements * math.prod(sizes)).reshape(elements, *sizes)
    cells = np.roll(cells, moved, axis=(1, 2, 3))
    split = [part for n, w in zip(sizes, window, strict=True) for part in (n // w, w)]
    cut = cells.reshape(elements, *split).transpose(0, 1, 3, 5, 2, 4, 6)
    t, rows, cols = sizes
    return TokenLayout(Grid(elements * t, rows, cols), cut.reshape(-1, math.prod(window)))


def by_aspect(
    length: int, sizes: Sizes, tokens: int, likely: Sequence[int] = ()
) -> Iterable[Sizes]:
    """Grids of square cells on an input of ``sizes`` whose cells and tokens are ``length``.

    Those with a ``likely`` number of time steps come first, then those with fewer.
    """
    frames, height, width = sizes
    steps = dict.fromkeys((*likely, *range(max(likely, default=frames), 0, -1)))
    for more in dict.fromkeys((0, tokens, 1)):
        for t in (n for n in steps if frames % n == 0):
            area, left = divmod(length - more, t)
            rows = round(math.sqrt(max(area, 0) * height / width))
            if rows and not left and not area % rows and height * (area // rows) == width * rows:
                yield t, rows, area // rows


def token_names(parameters: Iterable[tuple[str, tuple[int, ...]]]) -> tuple[str, ...]:
    """Names for the tokens that a network's parameters (name, shape) show: class first."""
    found: dict[str, int] = {}
    for path, shape in parameters:
        name = path.rpartition(".")[2].lower()
        kind = next((k for k, words in _TOKENS.items() if name.startswith(words)), None)
        if kind and _is_token(name, shape):
            found[kind] = max(found.get(kind, 0), (1, *shape)[-2])
    return tuple(
        kind if found[kind] == 1 else f"{kind} {i + 1}"
        for kind in _TOKENS
        if kind in found
        for i in range(found[kind])
    )


def _is_token(name: str, shape: tuple[int, ...]) -> bool:
    """Of a few vectors, or one, that a network puts beside its cells."""
    return math.prod(shape[:-2]) == 1 and ("token" in name or name == "class_embedding")
