"""Places of a network's input, each under a number, and what becomes of them when they meet.

An array of such numbers (a *core*) stands for a tensor: it has the tensor's axes, or 1 along an
axis over which places do not change, as channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor


class Kind(IntEnum):
    """What a number stands for; where two meet in a sum, the greater says where it lies."""

    NOTHING = 0  # a constant without a name
    MIXTURE = 1  # places that do not lie together, as a mean over the whole picture
    TOKEN = 2  # a learned vector
    PADDING = 3  # what was put around a picture or behind a sequence
    CELL = 4  # a place of the input


# Columns of the table of places: centre and size are of batch, time, y, x; one column is an x.
_KIND, _CENTRE, _SIZE, _TOKEN = slice(1), slice(1, 5), slice(5, 9), slice(9, 10)
_COLUMN = slice(4, 5)
_COLUMNS = 10
_NOWHERE = float("nan")
_PIXELS = 1 << 40  # numbers from here on are pixels, which stand in no table


class Conflict(Exception):
    """Two places that are not the same met in a sum: it lies at neither."""


class Coordinates:
    """The places that have been met, by number.

    A place has a kind, a centre and a size, each (element of the batch, frame, y, x) in frames and
    pixels of the input; a token has a number among ``tokens`` instead, and the element and frame
    that it was put beside, if it is one alone.
    """

    nothing, mixture, padding = 0, 1, 2

    def __init__(self, picture: tuple[int, int] = (0, 0)) -> None:
        """``picture`` is the height and width of the largest picture."""
        self._picture = torch.tensor(picture).clamp(min=1)
        self.tokens: list[tuple[str, int, int]] = []  # (parameter, which, of how many)
        self._positions: dict[tuple[int, int, int], int] = {}  # of a token, a place
        self._inputs: list[_Pixels] = []
        kinds = [[kind.value] for kind in (Kind.NOTHING, Kind.MIXTURE, Kind.PADDING)]
        first = torch.full((3, _COLUMNS), _NOWHERE, dtype=torch.float32)
        first[:, :1] = torch.tensor(kinds)
        self._rows = first
        self._used = 3

    def kind(self, core: Tensor) -> Tensor:
        """The ``Kind`` of each place."""
        return self._read(core, _KIND)[..., 0].to(torch.int8)

    def centre(self, core: Tensor) -> Tensor:
        """(…, 4) batch, time, y, x; not a number where there is none."""
        return self._read(core, _CENTRE)

    def size(self, core: Tensor) -> Tensor:
        """(…, 4) how far each place reaches along the same."""
        return self._read(core, _SIZE)

    def token(self, core: Tensor) -> Tensor:
        """The number in ``tokens`` of each; not a number where it is none."""
        return self._read(core, _TOKEN)[..., 0]

    def pixels(self, sizes: tuple[int, int, int, int], first: tuple[int, int]) -> Tensor:
        """The places of an input: (elements, frames, rows, columns), from an element and frame on.

        They are worked out from their numbers, as a clip has too many to keep them all.
        """
        last = self._inputs[-1] if self._inputs else _Pixels(_PIXELS, (0, 0, 0, 0), (0, 0))
        self._inputs.append(_Pixels(last.start + math.prod(last.sizes), sizes, first))
        start = self._inputs[-1].start
        return torch.arange(start, start + math.prod(sizes)).reshape(sizes)

    def cells(self, centre: Tensor, size: Tensor, kind: Tensor | Kind = Kind.CELL) -> Tensor:
        """New places (…) at centres (…, 4)."""
        shape = centre.shape[:-1]
        rows, numbers = self._room(shape.numel())
        rows[:, _KIND] = kind.reshape(-1, 1) if isinstance(kind, Tensor) else float(kind)
        for columns, given in ((_CENTRE, centre), (_SIZE, size)):
            rows[:, columns] = given if given.ndim == 1 else given.reshape(-1, 4)
        rows[:, _TOKEN] = _NOWHERE
        return numbers.reshape(shape)

    def parameter(self, name: str, shape: Sequence[int]) -> Tensor:
        """Tokens for the vectors of a parameter: all but its last axis number them."""
        count = int(torch.Size(shape[:-1]).numel())
        start = len(self.tokens)
        self.tokens += [(name, i, count) for i in range(count)]
        rows = torch.full((count, _COLUMNS), _NOWHERE, dtype=torch.float32)
        rows[:, _KIND] = Kind.TOKEN.value
        rows[:, _TOKEN] = torch.arange(start, start + count)[:, None]
        return self._added(rows).reshape(*shape[:-1], 1) if shape else self._added(rows)

    def beside(self, core: Tensor, dim: int) -> Tensor:
        """Tokens along an axis, told the frame of the cells there; of several, none."""
        kind = self.kind(core)
        loose = kind == Kind.TOKEN
        cell = kind == Kind.CELL
        if not bool(loose.any()) or not bool(cell.any()):
            return core
        at = self.centre(core)[..., :2]
        least, most = (
            torch.where(cell[..., None], at, beyond).movedim(dim, 0)
            for beyond in (torch.inf, -torch.inf)
        )
        least, most = least.amin(0).unsqueeze(dim), most.amax(0).unsqueeze(dim)
        frame = torch.where(least == most, least, _NOWHERE).expand(*core.shape, 2)
        rows = self._rows[core[loose]].clone()
        told = frame[loose]
        rows[:, 1:3] = told
        pairs, back = torch.unique(rows.nan_to_num(-1), dim=0, return_inverse=True)
        first = torch.empty(len(pairs), dtype=torch.long).scatter_(0, back, torch.arange(len(rows)))
        made = core.clone()
        made[loose] = self._added(rows[first])[back]
        return made

    def merged(self, a: Tensor, b: Tensor) -> Tensor:
        """What a sum or product of two tensors stands for.

        The one that says more wins: a cell before padding, a token, a mixture and a constant; of
        two cells that are one place, the finer; of two that touch, both together; of two tokens,
        the one of several.

        Raises:
            Conflict: two places that are not one.
        """
        if a is b or (a.shape == b.shape and torch.equal(a, b)):
            return a
        if not bool(b.any()):
            return a
        if not bool(a.any()):
            return b
        wide = b.numel() - a.numel()
        shape = [max(m, n) for m, n in zip(a.shape, b.shape, strict=True)]
        a, b = a.expand(shape), b.expand(shape)
        kind_a, kind_b = self.kind(a), self.kind(b)
        made = torch.where(kind_b > kind_a, b, a)
        both = (kind_a == kind_b) & (a != b)
        cells = both & (kind_a == Kind.CELL)
        if bool(cells.any()):
            one, other = a[cells], b[cells]
            size_one, size_other = self.size(one), self.size(other)
            off = (self.centre(one) - self.centre(other)).abs()
            room = torch.maximum(size_one, size_other) / 2 + 1e-3
            finer = size_other.prod(-1) < size_one.prod(-1) * (1 - 1e-6)
            apart = (off > room).any(-1)
            # What stands for a whole picture, as the vector of a gate, gives way to its parts.
            whole, other_whole = self._is_whole(size_one), self._is_whole(size_other)
            apart &= whole == other_whole
            chosen = torch.where(finer | (whole & ~other_whole), other, one)
            if bool(apart.any()):
                chosen[apart] = self._joined(one[apart], other[apart])
            made[cells] = chosen
        tokens = both & (kind_a == Kind.TOKEN)
        if bool(tokens.any()):
            one, other = a[tokens], b[tokens]
            better = self._rank(other) < self._rank(one)
            if wide:
                better = torch.full_like(better, wide > 0)
            kept, added = torch.where(better, other, one), torch.where(better, one, other)
            made[tokens] = self._numbered(kept, added)
        return made

    def _is_whole(self, size: Tensor) -> Tensor:
        """Whether cells of a size (…, 4) reach over a whole picture."""
        return (size[..., 2:] >= self._picture * 0.98).all(-1)

    def _joined(self, one: Tensor, other: Tensor) -> Tensor:
        """Two cells side by side, as frames that are added up: the one that they make together.

        Raises:
            Conflict: they do not touch, or make no box.
        """
        centre, size = (torch.stack([get(one), get(other)]) for get in (self.centre, self.size))
        least, most = (centre - size / 2).amin(0), (centre + size / 2).amax(0)
        off = (centre[0] - centre[1]).abs()
        alike = (off < 1e-3) & ((size[0] - size[1]).abs() < 1e-3)
        touching = off <= size.sum(0) / 2 + 1e-3
        if not bool(touching.all()) or bool(((~alike).sum(-1) > 1).any()):
            raise Conflict
        return self.cells((least + most) / 2, most - least)

    def _numbered(self, kept: Tensor, added: Tensor) -> Tensor:
        """Tokens that others were added to: one vector at many positions is one for each."""
        pairs, back = torch.unique(torch.stack([kept, added]), dim=1, return_inverse=True)
        for i, (token, position) in enumerate(self.token(pairs).long().T.tolist()):
            (name, _, count), (_, at, many) = self.tokens[token], self.tokens[position]
            if count < many:
                pairs[0, i] = self._at_position(int(pairs[0, i]), name, at, many)
        kept = pairs[0]
        return kept[back]

    def _at_position(self, token: int, name: str, at: int, many: int) -> int:
        place = (token, at, many)
        if place not in self._positions:
            row = self._rows[token].clone()
            row[_TOKEN] = len(self.tokens)
            self.tokens.append((name, at, many))
            self._positions[place] = int(self._added(row[None])[0])
        return self._positions[place]

    def _rank(self, core: Tensor) -> Tensor:
        """Positions are added to tokens, not the other way round."""
        ranks = torch.tensor([1 if "pos" in name.lower() else 0 for name, *_ in self.tokens])
        return ranks[self.token(core).long()]

    def mixed(self, core: Tensor, axes: Sequence[int]) -> Tensor:
        """What a sum over axes stands for: the middle of the cells there; the axes become 1.

        Where more than half of an axis is one cell, as of channels of which a few come from the
        frames beside (a temporal shift), it is that cell. What is partly padding is a cell.
        """
        axes = [axis % core.ndim for axis in axes if core.shape[axis] > 1]
        if not axes:
            return core
        first = core
        for axis in axes:
            first = first.narrow(axis, 0, 1)
        if bool((core == first).all()):
            return first
        one = self._most(core, axes[0]) if len(axes) == 1 else None
        if one is not None and bool((one != self.mixture).all()):
            return one
        core, weight = _runs(core, axes)
        kind = self.kind(core)
        cell = kind == Kind.CELL
        cells, padding = (
            (each * weight).sum(axes, keepdim=True) for each in (cell, kind == Kind.PADDING)
        )
        token = (kind == Kind.TOKEN).amax(axes, keepdim=True)
        constant = (kind == Kind.NOTHING).amin(axes, keepdim=True)
        made = torch.full(first.shape, self.mixture)
        made[constant] = self.nothing
        made[(cells == 0) & (padding > 0) & ~token] = self.padding
        alone = (cells > 0) & ~token
        if bool(alone.any()):
            # Padding around a picture has places too: a patch at the edge is as large as others.
            centre, half = self.centre(core), self.size(core) / 2
            firm = self.firm(core)[..., None] & ~(kind == Kind.TOKEN)[..., None]
            least = torch.where(firm, centre - half, torch.inf).amin(axes, keepdim=True)
            most = torch.where(firm, centre + half, -torch.inf).amax(axes, keepdim=True)
            many = (firm * weight[..., None]).float()
            middle = (torch.where(firm, centre, 0) * many).sum(axes, keepdim=True)
            middle = middle / many.sum(axes, keepdim=True).clamp(min=1)
            made[alone] = self.cells(middle[alone], (most - least)[alone])
        return made if one is None else torch.where(one == self.mixture, made, one)

    def _most(self, core: Tensor, axis: int) -> Tensor | None:
        """The cell that more than half of an axis is, a mixture where there is none."""
        middle = core.median(axis, keepdim=True).values  # of a majority it is one
        more = (core == middle).sum(axis, keepdim=True) * 2 > core.shape[axis]
        more &= self.kind(middle) == Kind.CELL
        return torch.where(more, middle, self.mixture) if bool(more.any()) else None

    def firm(self, core: Tensor) -> Tensor:
        """Whether each place has a centre."""
        return ~self._read(core, _COLUMN)[..., 0].isnan()

    def _read(self, core: Tensor, columns: slice) -> Tensor:
        """(…, columns) of the table for each place."""
        numbers, rows = core.flatten(), self._rows[:, columns]
        if not self._inputs or not len(numbers) or int(numbers.amax()) < _PIXELS:
            return rows.index_select(0, numbers).reshape(*core.shape, rows.shape[1])
        pixels = numbers >= _PIXELS
        if bool(pixels.all()):
            read = rows.new_empty(len(numbers), rows.shape[1])
        else:
            read = rows.index_select(0, numbers.masked_fill(pixels, 0))
        for each in self._inputs:
            there = (numbers >= each.start) & (numbers < each.start + math.prod(each.sizes))
            if bool(there.all()):
                read = each.columns(numbers, columns)
            elif bool(there.any()):
                read[there] = each.columns(numbers[there], columns)
        return read.reshape(*core.shape, rows.shape[1])

    def _added(self, rows: Tensor) -> Tensor:
        """Numbers of new places, (…, columns) → (…)."""
        room, numbers = self._room(rows[..., 0].numel())
        room.copy_(rows.reshape(-1, _COLUMNS))
        return numbers.reshape(rows.shape[:-1])

    def _room(self, count: int) -> tuple[Tensor, Tensor]:
        """Rows of the table for new places, (count, columns), not filled in, and their numbers."""
        start, self._used = self._used, self._used + count
        if self._used > len(self._rows):
            more = self._rows.new_empty(len(self._rows) + max(count, len(self._rows)), _COLUMNS)
            more[:start] = self._rows[:start]
            self._rows = more
        return self._rows[start : self._used], torch.arange(start, self._used)


class _Pixels(NamedTuple):
    """The pixels of an input, numbered from ``start`` on.

    Args:
        start: the number of the first.
        sizes: how many elements, frames, rows and columns there are.
        first: which element and frame the first of them is.
    """

    start: int
    sizes: tuple[int, int, int, int]
    first: tuple[int, int]

    def columns(self, numbers: Tensor, columns: slice) -> Tensor:
        """(n, columns) what stands in the table for other places."""
        if columns != _CENTRE:
            value = float(Kind.CELL) if columns == _KIND else _NOWHERE if columns == _TOKEN else 1.0
            shape = len(numbers), columns.stop - (columns.start or 0)
            return torch.full(shape, value, dtype=torch.float32)
        centre = torch.empty(len(numbers), 4, dtype=torch.float32)
        rest = numbers - self.start
        if math.prod(self.sizes) < 1 << 31:
            rest = rest.int()  # divides twice as fast
        for axis in (3, 2, 1):
            above = torch.div(rest, self.sizes[axis], rounding_mode="floor")
            centre[:, axis] = (rest - above * self.sizes[axis]) + 0.5
            rest = above
        centre[:, 0] = rest + self.first[0]
        centre[:, 1] += self.first[1]
        return centre


def _runs(core: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The core with one of each run of equal places along an axis, and how long each run is.

    Channels of a few feature maps behind each other are as many runs.
    """
    weight = torch.ones((1,) * core.ndim, dtype=torch.long)
    if len(axes) != 1:
        return core, weight
    (axis,) = axes
    n = core.shape[axis]
    others = [i for i in range(core.ndim) if i != axis]
    new = (core.narrow(axis, 1, n - 1) != core.narrow(axis, 0, n - 1)).movedim(axis, 0)
    changes = new.flatten(1).any(1) if others else new
    starts = torch.cat([torch.zeros(1, dtype=torch.long), changes.nonzero()[:, 0] + 1])
    if len(starts) > n // 2:
        return core, weight
    ends = torch.cat([starts[1:], torch.tensor([n])])
    shape = [-1 if i == axis else 1 for i in range(core.ndim)]
    return core.index_select(axis, starts), (ends - starts).reshape(shape)
