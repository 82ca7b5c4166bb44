"""From the places of an attention's slots to a grid of cells, and named tokens beside it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nlviz.errors import CaptureError
from nlviz.geometry import Grid
from nlviz.hooks.places.coordinates import Coordinates, Kind
from nlviz.hooks.places.inputs import Clips

Numbers = NDArray[np.float64]
Columns = NDArray[np.intp]

_WORDS = {"class": ("cls", "class"), "distillation": ("dist",), "register": ("reg",)}
_OFF = 0.02  # of a cell: how far a place may lie from the grid's own
_SPARSE = 64  # times as many cells as slots: a grid that hardly anything lies on is none


@dataclass(frozen=True, slots=True, eq=False)
class SlotLayout:
    """Where the slots of S sequences, each of some length, lie.

    Args:
        grid: the cells, in frames and pixels of the input.
        columns: (S, length) the column of θ or φ that each slot fills: a cell's row-major index,
            or ``grid.size`` and more for a token. Keys of one place may stand in several
            sequences.
        tokens: the names of the columns after the cells, the same for queries and keys.
    """

    grid: Grid
    columns: Columns
    tokens: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns there are, cells and tokens."""
        return self.grid.size + len(self.tokens)


def laid_out(
    places: Coordinates,
    clips: Clips | None,
    first: float | None,
    queries: Tensor,
    keys: Tensor,
    *,
    apart: bool = False,
) -> tuple[SlotLayout, SlotLayout]:
    """The layouts of queries (S, N) and keys (S, M), whose places are given by number.

    Args:
        places: what the numbers stand for.
        clips: the frames of the input; None where it is no picture but a sequence.
        first: the first element of the input's batch that takes part; None if all of them are one
            clip.
        queries: the place of each query.
        keys: the place of each key.
        apart: a token is another one in each sequence.

    Raises:
        CaptureError: slots that are no cells of one grid.
    """
    sides = [_Side(places, clips, first, slots) for slots in (queries, keys)]
    if clips is not None and not any(side.cell.any() for side in sides):
        for side in sides:
            side.stand_for_frames(clips.size)
    if not any(side.cell.any() for side in sides):
        raise CaptureError(f"has no place of the picture among its slots: {sides[0].told}")
    for side, what in zip(sides, ("query", "key"), strict=True):
        side.check_distinct(what)
    apart = apart or sides[0].shares_tokens()
    extent = max(side.last_frame for side in sides), *((1, 1) if clips is None else clips.size)
    axes = [_Axes.of(side, extent) if side.cell.any() else None for side in sides]
    own = axes[0] or axes[1], axes[1] or axes[0]
    named = _Named(sides, own[0], apart)
    layouts = []
    for side, each in zip(sides, own, strict=True):
        if each is None:
            raise CaptureError("has no cells")
        layouts.append(SlotLayout(each.grid, side.columns(each, named), named.names))
    return layouts[0], layouts[1]


class _Side:
    """The slots of queries, or of keys."""

    def __init__(
        self,
        places: Coordinates,
        clips: Clips | None,
        first: float | None,
        slots: Tensor,
    ) -> None:
        self.slots = slots.numpy()
        self.kind = places.kind(slots).numpy()
        centre, size = places.centre(slots).numpy(), places.size(slots).numpy()
        if clips is None:
            over = 1 if np.ptp(centre[..., 1], axis=1).any() else 2
            self.per = 1
            self.centre = np.full((*slots.shape, 3), 0.5)
            self.centre[..., 0] = centre[..., over]
            self.size = np.ones_like(self.centre)
        else:
            element, frame = centre[..., 0], centre[..., 1]
            if first is None:
                self.per, time = math.gcd(*clips.frames), clips.time(element, frame)
            else:
                self.per = clips.each
                time = (element - first) * self.per + frame
            self.centre = np.concatenate([time[..., None], centre[..., 2:]], axis=-1)
            self.size = np.maximum(size[..., 1:], 1e-9)
            # What was averaged over elements of the batch reaches over their frames.
            self.size[..., 0] += np.maximum(size[..., 0] - 1, 0) * self.per
            if first is None and max(clips.elements) > 1:
                several = clips.is_of_several(frame, size[..., 1])
                self.kind = np.where(several, Kind.MIXTURE.value, self.kind)
        self.cell = self.kind == Kind.CELL
        extent = np.asarray((1, 1) if clips is None else clips.size)
        whole = self.cell & (self.size[..., 1:] >= extent * (1 - _OFF)).all(-1)
        if clips is not None and (self.cell & ~whole).any():  # a mean beside the cells
            self.kind = np.where(whole, Kind.MIXTURE.value, self.kind)
            self.cell &= ~whole
        self.token = places.token(slots).numpy()
        self.parameters = places.tokens

    def stand_for_frames(self, extent: tuple[int, int]) -> None:
        """Where tokens alone attend, each put beside the cells of a frame: each is its frame."""
        time = self.centre[..., 0]
        beside = (self.kind == Kind.TOKEN) & ~np.isnan(time)
        steps = np.diff(np.unique(time[beside]))
        if not steps.size:  # a single frame is no sequence of them
            return
        self.kind = np.where(beside, Kind.CELL.value, self.kind)
        self.cell = beside
        self.centre[beside, 1:] = np.divide(extent, 2)
        self.size[beside] = (steps.min(), *extent)

    @property
    def last_frame(self) -> float:
        """Where the last cell ends in time, and no earlier than a whole element does."""
        at = self.centre[self.cell][:, 0]
        return float(np.ceil(at.max() / self.per) * self.per) if at.size else 0.0

    @property
    def told(self) -> str:
        """What the slots are instead of cells, in a few words."""
        kinds = {int(kind) for kind in np.unique(self.kind)}
        if kinds == {Kind.TOKEN.value}:
            names = [token_name(self.parameters[int(i)][0]) for i in np.unique(self.token)]
            return f"they are learned vectors ({', '.join(dict.fromkeys(names))})"
        if kinds == {Kind.NOTHING.value}:
            return "they are constants"
        if (self.slots == self.slots[:, :1]).all():
            return "they are channels, or sums, each of which stands for all places at once"
        return "they are sums over many places"

    def check_distinct(self, what: str) -> None:
        """CaptureError where one sequence has two slots at one place."""
        if self.slots.shape[1] > 1 and (self.slots == self.slots[:, :1]).all():
            raise CaptureError(f"has no place of the picture among its slots: {self.told}")
        size = self.size[self.cell]
        if len(size) and (np.ptp(size, axis=0) > _OFF * size.min(axis=0)).any():
            raise CaptureError("has cells of several sizes among its slots")
        at = np.rint(self.centre[self.cell] * 10).astype(np.int64)
        at -= at.min(axis=0, initial=0)
        number = np.zeros(len(at), np.int64)
        for axis in at.T:
            number = number * (axis.max(initial=0) + 1) + axis
        # Other slots get numbers of their own, below those of all cells.
        numbers = -1 - np.arange(self.cell.size).reshape(self.cell.shape)
        numbers[self.cell] = number
        numbers.sort(axis=1)
        if (numbers[:, 1:] == numbers[:, :-1]).any():
            raise CaptureError(f"has more than one {what} for a place")

    def shares_tokens(self) -> bool:
        """Whether a token stands in more than one sequence."""
        token = self.kind == Kind.TOKEN
        s, _ = np.nonzero(token)
        at = np.nan_to_num(self.centre[..., 0][token], nan=-1.0)
        every = np.unique(np.stack([s, self.token[token], at]), axis=1)
        return bool(every.shape[1] != np.unique(every[1:], axis=1).shape[1])

    def columns(self, axes: _Axes, named: _Named) -> Columns:
        """(S, length) the column of each slot."""
        columns = np.empty(self.slots.shape, np.intp)
        columns[self.cell] = axes.index(self.centre[self.cell])
        columns[~self.cell] = axes.grid.size + named.numbers[self]
        return columns


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """An even grid through all cells of one side; one that tiles the input says no more."""

    grid: Grid
    step: tuple[float, float, float]
    first: tuple[float, float, float]

    @classmethod
    def of(cls, side: _Side, extent: Sequence[float]) -> _Axes:
        """The grid, carried on over the whole input where a whole cell fits in."""
        centre, size = side.centre[side.cell], side.size[side.cell]
        levels = [_levels(c, s) for c, s in zip(centre.T, size[0], strict=True)]
        full = len(np.unique(side.slots[side.cell])) == np.prod([len(each) for each in levels])
        lines = [
            _line(each, float(s), end, bool(full))
            for each, s, end in zip(levels, size[0], extent, strict=True)
        ]
        counts = [count for *_, count in lines]
        if np.prod(counts) > _SPARSE * max(len(centre), 64):
            raise CaptureError("has slots whose places do not make a grid")
        (dt, t, nt), (dy, y, ny), (dx, x, nx) = lines
        if all(
            abs(step * n - end) + abs(first - step / 2) < 1e-6 * max(end, 1)
            for (step, first, n), end in zip(lines, extent, strict=True)
        ):
            return cls(Grid(nt, ny, nx), (dt, dy, dx), (t, y, x))
        return cls(Grid(nt, ny, nx, stride=(dt, dy, dx), first=(t, y, x)), (dt, dy, dx), (t, y, x))

    def index(self, centre: Numbers) -> Columns:
        """The row-major index of the cell at each centre (n, 3)."""
        at = (centre - np.asarray(self.first)) / np.asarray(self.step)
        t, row, col = np.rint(at).astype(np.intp).T
        index: Columns = (t * self.grid.rows + row) * self.grid.cols + col
        return index


def _levels(at: Numbers, size: float) -> Numbers:
    """The different places along one axis, rising; what is nearer than a ten-thousandth is one."""
    _, first = np.unique(np.round(at / size, 4), return_index=True)
    return at[first].astype(np.float64)


def _line(levels: Numbers, size: float, extent: float, full: bool) -> tuple[float, float, int]:
    """(step, first, count) of the even line that holds all places along one axis.

    Where only a part of the cells is there, and not every line of them, a step is a cell's size.

    Raises:
        CaptureError: they are not even.
    """
    steps = np.diff(levels)
    step = size
    if steps.size and (full or not _whole(steps / size)):
        step = float(steps.min())
    first, last = float(levels[0]), float(levels[-1])
    if not _whole((levels - first) / step):
        raise CaptureError("has slots whose places do not make a grid")
    before = max(int(np.floor((first - step / 2 + 1e-6) / step)), 0)
    after = max(int(np.floor((extent - last - step / 2 + 1e-6) / step)), 0)
    count = before + round((last - first) / step) + 1 + after
    return step, first - before * step, count


def _whole(numbers: Numbers) -> bool:
    return bool((np.abs(numbers - np.rint(numbers)) < _OFF).all())


class _Named:
    """Names for all slots of both sides that are no cells."""

    def __init__(self, sides: Sequence[_Side], axes: _Axes | None, apart: bool) -> None:
        own = [_own_time(side, sides) for side in sides]
        keys = [_keys(side, time, apart) for side, time in zip(sides, own, strict=True)]
        _, first, back = np.unique(
            np.concatenate(keys), axis=0, return_index=True, return_inverse=True
        )
        order = np.argsort(first)  # each where it is met first
        number = np.empty(len(order), np.intp)
        number[order] = np.arange(len(order))
        ends = len(keys[0])
        numbers = number[back.reshape(-1)]
        self.numbers = {sides[0]: numbers[:ends], sides[1]: numbers[ends:]}
        times = _times(sides) if apart else None
        at = [(side, s, i) for side in sides for s, i in np.argwhere(~side.cell).tolist()]
        time = np.concatenate(own).tolist()
        found = []
        for k in first[order].tolist():
            side, s, i = at[k]
            found.append(_unplaced(side, s, i, time[k], times))
        start, step = (0.0, 1.0) if axes is None else (axes.first[0], axes.step[0])
        self.names = tuple(_names(found, start, step))


def _own_time(side: _Side, sides: Sequence[_Side]) -> Numbers:
    """The time of each slot of a side that is no cell: its own, or not a number.

    A token that stands in the same sequence with a time and without is one.
    """
    time: Numbers = side.centre[..., 0][~side.cell].copy()
    without = np.isnan(time) & (side.kind[~side.cell] == Kind.TOKEN)
    if not without.any():
        return time
    known: dict[tuple[int, float], set[float]] = {}
    for each in sides:
        timed = (each.kind == Kind.TOKEN) & ~each.cell & ~np.isnan(each.centre[..., 0])
        s = np.nonzero(timed)[0]
        for of, token, at in np.unique(
            np.stack([s, each.token[timed], each.centre[..., 0][timed]], axis=1), axis=0
        ):
            known.setdefault((int(of), float(token)), set()).add(float(at))
    s, token = np.nonzero(~side.cell)[0], side.token[~side.cell]
    for i in np.flatnonzero(without):
        there = known.get((int(s[i]), float(token[i])), set())
        if len(there) == 1:
            (time[i],) = there
    return time


def _keys(side: _Side, time: Numbers, apart: bool) -> Numbers:
    """What makes each slot that is no cell the same one wherever it stands, as a row of numbers.

    A token that stands twice in a sequence is two.
    """
    other = ~side.cell
    s, i = np.nonzero(other)
    slot, kind = side.slots[other], side.kind[other]
    is_token = kind == Kind.TOKEN
    order = np.lexsort((i, slot, s))
    same = np.concatenate([[False], (np.diff(s[order]) == 0) & (np.diff(slot[order]) == 0)])
    run = np.arange(len(order))
    again = np.empty(len(order))
    again[order] = run - np.maximum.accumulate(np.where(same, 0, run))
    alone = ~is_token & ((slot <= Coordinates.padding) | apart)
    rows = np.stack(
        [
            is_token.astype(np.float64),
            np.where(is_token, side.token[other], slot),
            np.where(is_token, again, 0),
            np.where(is_token, time, np.nan),
            np.where(alone | (is_token & apart), s, -1),
            np.where(alone, i, -1),
        ],
        axis=1,
    )
    keys: Numbers = np.nan_to_num(rows, nan=-np.inf)
    return keys


class _Unplaced(NamedTuple):
    """A slot that is no cell.

    Args:
        base: of its name.
        time: its own, or else that of all cells of its sequence; not a number where there is none.
        sequence: which one it stands in, where it is another token in each; else None.
    """

    base: str
    time: float
    sequence: int | None


def _unplaced(side: _Side, s: int, i: int, own: float, times: Numbers | None) -> _Unplaced:
    """The slot i of a sequence s, with a time of its own or not a number.

    ``times`` has the time of each sequence, if a token is another one in each.
    """
    kind = int(side.kind[s, i])
    if kind != Kind.TOKEN:
        words = {Kind.PADDING: "padding", Kind.MIXTURE: "mixture", Kind.NOTHING: "constant"}
        return _Unplaced(words[Kind(kind)], float("nan"), None)
    base = token_name(side.parameters[int(side.token[s, i])][0])
    if times is None:
        return _Unplaced(base, own, None)
    return _Unplaced(base, float(times[s]) if np.isnan(own) else own, s)


def _times(sides: Sequence[_Side]) -> Numbers:
    """The time of each sequence whose cells all have the same; not a number for the others."""
    least, most = (
        reach([reach(np.where(s.cell, s.centre[..., 0], beyond), axis=1) for s in sides], axis=0)
        for reach, beyond in ((np.min, np.inf), (np.max, -np.inf))
    )
    times: Numbers = np.where(least == most, least, np.nan)
    return times


def _names(found: Sequence[_Unplaced], first: float, step: float) -> list[str]:
    """``class``, ``register 2``, ``camera@3``, ``register 1@3#2``.

    Numbered where there are several at one time, and with the sequence's number where there are
    several of those.
    """
    steps = [None if np.isnan(t) else round((t - first) / step) for _, t, _ in found]
    timed = len({t for t in steps if t is not None}) > 1
    group = [(base, t, s) for (base, _, s), t in zip(found, steps, strict=True)]
    several = {base for (base, *_), count in Counter(group).items() if count > 1}
    beside: dict[int | None, dict[int, int]] = {}
    for _, t, s in group:
        if s is not None:
            at = beside.setdefault(t, {})
            at.setdefault(s, len(at) + 1)
    seen: Counter[object] = Counter()
    names = []
    for base, t, s in group:
        seen[base, t, s] += 1
        name = f"{base} {seen[base, t, s]}" if base in several else base
        name += f"@{t}" if timed and t is not None else ""
        names.append(name + (f"#{beside[t][s]}" if s is not None and len(beside[t]) > 1 else ""))
    return names


def token_name(parameter: str) -> str:
    """A word for a learned vector, from its parameter's name."""
    parts = [p for p in parameter.split(".") if p not in ("weight", "data") and not p.isdigit()]
    name = (parts or [parameter])[-1]
    low = name.lower().lstrip("_")
    known = next((k for k, words in _WORDS.items() if low.startswith(words)), None)
    bare = re.sub(r"(_?(tokens?|embed(ding)?s?|emb))+$", "", name.strip("_"))
    return known or bare.replace("_", " ") or name
