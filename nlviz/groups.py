"""Which links can exist: blocks that look only within a window, a frame, a row or a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.geometry import Grid

Group = NDArray[np.int32]
Reached = NDArray[np.bool_]

NO_QUERY, NO_KEY = -1, -2  # the groups of a cell at which a block has no query, or no key


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """One way of splitting queries and keys into groups; links exist inside a group.

    A block has one ``Groups`` if it works in windows, frames or groups of frames, and two if it is
    criss-cross (rows, columns): key j can be reached from query i if any of them puts both into
    the same group. A cell at which there is no query is in group −1, one without a key in −2.

    Args:
        query: (N,) the group of each query, tokens last; made read-only int32.
        key: (M,) the group of each key, tokens last; made read-only int32.

    Raises:
        QueryError: an array that is not of one axis.
    """

    query: Group
    key: Group

    def __post_init__(self) -> None:
        for name in ("query", "key"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int32).view()
            if array.ndim != 1:
                raise QueryError(f"Groups have one number for each {name}; got {array.shape}.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)


def reached_from(reach: Sequence[Groups], queries: NDArray[np.intp] | slice) -> Reached | None:
    """(n, M), True where a key can be reached from one of n queries; None if all can."""
    reached = None
    for groups in reach:
        same = groups.query[queries, None] == groups.key
        reached = same if reached is None else reached | same
    return reached


def reaching(
    reach: Sequence[Groups], keys: NDArray[np.intp], queries: slice = slice(None)
) -> Reached | None:
    """(n, queries), True where a query can reach one of n keys; None if all can."""
    reached = None
    for groups in reach:
        same = groups.key[keys, None] == groups.query[queries]
        reached = same if reached is None else reached | same
    return reached


def joins_frames(reach: Sequence[Groups], queries: Grid, keys: Grid) -> bool:
    """Whether any group that links cells holds cells of more than one time step."""
    grids = (queries, keys)
    step = np.concatenate([np.arange(g.size) // (g.rows * g.cols) for g in grids])
    for groups in reach:
        asking, asked = groups.query[: queries.size], groups.key[: keys.size]
        group = np.concatenate([asking, asked])
        links = np.isin(group, np.intersect1d(asking, asked))  # others hold what is not there
        pairs = np.stack([group, step])[:, links]
        if len(np.unique(pairs, axis=1).T) > len(np.unique(group[links])):
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
