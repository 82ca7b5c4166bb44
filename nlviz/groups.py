"""Which links can exist: blocks that look only within a window, a frame, a row or behind a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.geometry import Grid

Group = NDArray[np.int32]
Reached = NDArray[np.bool_]
Some = NDArray[np.intp] | slice

NO_QUERY, NO_KEY = -1, -2  # the groups of a cell at which a block has no query, or no key

_ROWS = 4096  # of a mask, that are unpacked at once


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """One rule of which keys a query reaches: those of its own group, or of a run of numbers.

    A block has one ``Groups`` if it works in windows, frames or groups of frames, and two if it is
    criss-cross (rows, columns): key j can be reached from query i if any of them puts both into
    the same group. A cell at which there is no query is in group −1, one without a key in −2.

    With ``until``, key j can be reached from query i where ``query[i] <= key[j] <= until[i]``: the
    keys are numbered as they follow each other, and each query reaches a run of them. A causal
    mask is one (from the first up to itself), and so are a sliding window, a prefix that all see,
    and a mask that is causal by blocks, as of the frames of a video.

    Args:
        query: (N,) the group of each query, or the first number that it reaches, tokens last; made
            read-only int32.
        key: (M,) the group or number of each key, tokens last; made read-only int32.
        until: (N,) the last number that each query reaches; None for groups.

    Raises:
        QueryError: an array that is not of one axis, or an ``until`` of another length.
    """

    query: Group
    key: Group
    until: Group | None = None

    def __post_init__(self) -> None:
        for name in ("query", "key", "until"):
            if getattr(self, name) is None:
                continue
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int32).view()
            if array.ndim != 1:
                raise QueryError(f"Groups have one number for each {name}; got {array.shape}.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.until is not None and len(self.until) != len(self.query):
            raise QueryError(
                f"Each of {len(self.query)} queries needs its own until; got {len(self.until)}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """How many queries and keys there are."""
        return len(self.query), len(self.key)

    @property
    def last(self) -> Group:
        """(N,) the last number that each query reaches: its own group without ``until``."""
        return self.query if self.until is None else self.until

    @property
    def arrays(self) -> dict[str, NDArray[np.int32] | NDArray[np.uint8]]:
        """All that it holds, by name."""
        until = {} if self.until is None else {"until": self.until}
        return {"query": self.query, "key": self.key, **until}

    @property
    def has_query(self) -> Reached:
        """(N,), True where there is a query."""
        there: Reached = self.query != NO_QUERY
        return there

    @property
    def has_key(self) -> Reached:
        """(M,), True where there is a key."""
        there: Reached = self.key != NO_KEY
        return there

    def rows(self, queries: Some) -> Reached:
        """(n, M), True where a key can be reached from one of n queries."""
        first = self.query[queries, None]
        if self.until is None:
            return np.equal(first, self.key)
        return np.logical_and(first <= self.key, self.key <= self.until[queries, None])

    def columns(self, keys: NDArray[np.intp], queries: slice = slice(None)) -> Reached:
        """(n, queries), True where a query can reach one of n keys."""
        key = self.key[keys, None]
        if self.until is None:
            return np.equal(key, self.query[queries])
        return np.logical_and(self.query[queries] <= key, key <= self.until[queries])

    def keys_of(self, queries: Some) -> Reached:
        """(M,), True where any of some queries can reach a key."""
        order = np.argsort(self.key, kind="stable")
        numbers = self.key[order]
        start = np.searchsorted(numbers, self.query[queries], "left")
        end = np.searchsorted(numbers, self.last[queries], "right")
        runs = end > start
        depth = np.zeros(len(numbers) + 1, np.intp)
        np.add.at(depth, start[runs], 1)
        np.add.at(depth, end[runs], -1)
        reached = np.empty(len(numbers), np.bool_)
        reached[order] = np.cumsum(depth[:-1]) > 0
        return reached

    def queries_of(self, keys: Some) -> Reached:
        """(N,), True where a query can reach any of some keys."""
        numbers = np.sort(self.key[keys])
        start = np.searchsorted(numbers, self.query, "left")
        return np.greater(np.searchsorted(numbers, self.last, "right"), start)

    def of(self, queries: Some, keys: Some) -> Groups:
        """What holds for some of the queries and keys."""
        until = None if self.until is None else self.until[queries]
        return replace(self, query=self.query[queries], key=self.key[keys], until=until)


@dataclass(frozen=True, slots=True, eq=False)
class LinkBits:
    """Any mask that follows no rule, a bit for each link; a row is unpacked when it is asked for.

    Args:
        bits: (N, ⌈M / 8⌉) a row for each query, its first key in the highest bit (as
            ``np.packbits`` has them), tokens last; made read-only uint8.
        keys: M.

    Raises:
        QueryError: bits of another shape.
    """

    bits: NDArray[np.uint8]
    keys: int

    def __post_init__(self) -> None:
        bits = np.ascontiguousarray(self.bits, dtype=np.uint8).view()
        if bits.ndim != 2 or bits.shape[1] != -(-self.keys // 8):
            wanted = f"(N, {-(-self.keys // 8)})"
            raise QueryError(f"Bits of {self.keys} keys are {wanted}, not {bits.shape}.")
        bits.flags.writeable = False
        object.__setattr__(self, "bits", bits)

    @property
    def shape(self) -> tuple[int, int]:
        """How many queries and keys there are."""
        return len(self.bits), self.keys

    @property
    def arrays(self) -> dict[str, NDArray[np.int32] | NDArray[np.uint8]]:
        """All that it holds, by name."""
        return {"bits": self.bits}

    @property
    def has_query(self) -> Reached:
        """(N,), True where a query reaches anything."""
        there: Reached = np.bitwise_or.reduce(self.bits, axis=1) != 0
        return there

    @property
    def has_key(self) -> Reached:
        """(M,), True where a key is reached."""
        return self.keys_of(slice(None))

    def rows(self, queries: Some) -> Reached:
        """(n, M), True where a key can be reached from one of n queries."""
        return np.unpackbits(self.bits[queries], axis=1, count=self.keys).view(np.bool_)

    def columns(self, keys: NDArray[np.intp], queries: slice = slice(None)) -> Reached:
        """(n, queries), True where a query can reach one of n keys."""
        bytes_of = self.bits[queries].T[keys >> 3]
        shift: NDArray[np.uint8] = (7 - (keys & 7)).astype(np.uint8)
        here: Reached = (np.right_shift(bytes_of, shift[:, None]) & 1) == 1
        return here

    def keys_of(self, queries: Some) -> Reached:
        """(M,), True where any of some queries can reach a key."""
        any_of = np.bitwise_or.reduce(self.bits[queries], axis=0)
        return np.unpackbits(any_of, count=self.keys).view(np.bool_)

    def queries_of(self, keys: Some) -> Reached:
        """(N,), True where a query can reach any of some keys."""
        wanted = np.zeros(self.keys, np.bool_)
        wanted[keys] = True
        met = np.bitwise_or.reduce(self.bits & np.packbits(wanted), axis=1)
        there: Reached = met != 0
        return there

    def of(self, queries: Some, keys: Some) -> LinkBits:
        """What holds for some of the queries and keys."""
        bits = self.bits[queries]
        count = len(np.arange(self.keys)[keys])
        kept = np.empty((len(bits), -(-count // 8)), np.uint8)
        for start in range(0, len(bits), _ROWS):
            some = slice(start, start + _ROWS)
            whole = np.unpackbits(bits[some], axis=1, count=self.keys)
            kept[some] = np.packbits(whole[:, keys], axis=1)
        return LinkBits(kept, count)


Links = Groups | LinkBits


def reached_from(reach: Sequence[Links], queries: Some) -> Reached | None:
    """(n, M), True where a key can be reached from one of n queries; None if all can."""
    reached = None
    for links in reach:
        here = links.rows(queries)
        reached = here if reached is None else reached | here
    return reached


def reaching(
    reach: Sequence[Links], keys: NDArray[np.intp], queries: slice = slice(None)
) -> Reached | None:
    """(n, queries), True where a query can reach one of n keys; None if all can."""
    reached = None
    for links in reach:
        here = links.columns(keys, queries)
        reached = here if reached is None else reached | here
    return reached


def joins_frames(reach: Sequence[Links], queries: Grid, keys: Grid) -> bool:
    """Whether any link leads from a cell of one time step to a cell of another."""
    per, per_key = (grid.rows * grid.cols for grid in (queries, keys))
    for t in range(queries.t if reach else 0):
        asked = np.arange(t * per, (t + 1) * per)
        for links in reach:
            steps = links.keys_of(asked)[: keys.size].reshape(keys.t, per_key).any(axis=1)
            if np.delete(steps, [t] if t < keys.t else []).any():
                return True
    return not reach and keys.t > 1


def apart(queries: Grid, keys: Grid, runs: int) -> tuple[Groups, ...]:
    """The reach of a block that works on runs of time steps by themselves; () for one run."""
    return (Groups(_runs(queries, runs), _runs(keys, runs)),) if runs > 1 else ()


def in_groups(queries: Grid, keys: Grid, steps: int) -> tuple[Groups, ...]:
    """The reach of a block whose time steps see each other in groups, the last maybe shorter."""
    query, key = (np.indices(grid.shape, np.int32)[0].ravel() // steps for grid in (queries, keys))
    return (Groups(query, key),)


def across(grid: Grid, runs: int) -> tuple[Groups, ...]:
    """Criss-cross: a position reaches its own row and its own column, in its own run."""
    run = _runs(grid, runs)
    _, row, col = (axis.ravel() for axis in np.indices(grid.shape, dtype=np.int32))
    return tuple(Groups(group, group) for group in (run * grid.rows + row, run * grid.cols + col))


def _runs(grid: Grid, runs: int) -> Group:
    run: Group = np.arange(grid.size, dtype=np.int32) // (grid.size // runs)
    return run
