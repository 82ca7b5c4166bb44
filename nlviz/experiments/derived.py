"""Derived blocks: rows that nlviz worked out, as a block that every view draws as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import DERIVED as FUNCTION
from nlviz.affinity import Affinity
from nlviz.analysis import DERIVED, Analysis
from nlviz.ask.places import Side
from nlviz.errors import BudgetError, QueryError
from nlviz.geometry import Grid, Point, Region, View
from nlviz.groups import NO_KEY, NO_QUERY, Groups
from nlviz.query import Query

Array = NDArray[np.float32]
Place = Point | Region | str

EVERYWHERE = "all places"
"""The token that stands for every place of the grid at once: the mean of their rows."""

MOST_BYTES = 64 << 20
"""What the rows of one derived block may take."""


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Whose rows are worked out.

    Args:
        grid: where the cells that can be asked lie.
        tokens: names of what can be asked beside the cells.
        mixtures: each row that is asked as a mixture of places, (q, cells + tokens), float32.
        columns: (q,) which of the block's own queries each of them is; tokens behind the cells.
    """

    grid: Grid
    tokens: tuple[str, ...]
    mixtures: Array
    columns: NDArray[np.intp]


def starts(
    places: Sequence[Place] | None,
    view: View,
    grid: Grid,
    there: NDArray[np.bool_],
    tokens: Sequence[str],
    extra: dict[str, Array],
    keys: int,
) -> Starts:
    """What is asked of a derived block.

    Args:
        places: points, regions and tokens; everything that can be asked if None.
        view: how points lie on the grid.
        grid: of the queries.
        there: (grid.size + tokens,), True where something can be asked.
        tokens: names of what has no cell.
        extra: further tokens by name, each a mixture (grid.size + tokens,) of the others.
        keys: how many numbers a row has.

    Raises:
        QueryError: a place outside the clip, an unknown token.
        BudgetError: rows that would take more than ``MOST_BYTES``.
    """
    names = (*tokens, *extra)
    size = grid.size + len(tokens)
    if places is None:
        index = np.concatenate([np.flatnonzero(there), size + np.arange(len(extra))])
    else:
        able = np.concatenate([there, np.ones(len(extra), np.bool_)])
        side = Side(_asked_alone(grid, names, able))
        for token in (place for place in places if isinstance(place, str)):
            side.affinity.index(token)
        found = [side.places(view, Query(place, block="")) for place in places]
        each = [side.affinity.index(one) for group in found for one in group]
        # The mean of all places is worked out beside whatever is asked: it costs one more row.
        index = np.unique([*each, *(size + at for at, _ in enumerate(extra))]).astype(np.intp)
    if 4 * len(index) * (keys + size) > MOST_BYTES:
        raise BudgetError(
            f"The rows of {len(index)} places over {keys} keys would take more than "
            f"{MOST_BYTES >> 20} MiB; name the places that are asked."
        )
    mixtures = np.zeros((len(index), size), np.float32)
    for row, at in zip(mixtures, index.tolist(), strict=True):
        if at < size:
            row[at] = 1
        else:
            row[:] = list(extra.values())[at - size]
    return Starts(grid, names, mixtures, index)


def _asked_alone(grid: Grid, names: Sequence[str], able: NDArray[np.bool_]) -> Affinity:
    """An affinity that only says what can be asked."""
    nothing = np.zeros((1, grid.size + len(names)), np.float32)
    query = np.where(able, 0, NO_QUERY).astype(np.int32)
    reach = (Groups(query, np.zeros_like(query)),)
    return Affinity(FUNCTION, nothing, nothing, grid, grid, reach=reach, tokens=tuple(names))


def affinity_of_rows(asked: Starts, rows: Array, grid: Grid, tokens: Sequence[str]) -> Affinity:
    """Rows as the affinity of a block that has queries there alone.

    θ has a 1 where a query is, φ the rows: their product is the row, and nothing as large as all
    queries by all keys is held unless all were asked.

    Args:
        asked: whose rows they are.
        rows: (q, grid.size + tokens).
        grid: where the keys lie.
        tokens: names of what a row gives weight to beside the grid.
    """
    names = tuple(dict.fromkeys((*asked.tokens, *tokens)))
    count = len(asked.columns)
    theta = np.zeros((count, asked.grid.size + len(names)), np.float32)
    theta[np.arange(count), asked.columns] = 1
    phi = np.zeros((count, grid.size + len(names)), np.float32)
    phi[:, : grid.size] = rows[:, : grid.size]
    for at, name in enumerate(tokens):
        phi[:, grid.size + names.index(name)] = rows[:, grid.size + at]
    query = np.full(theta.shape[1], NO_QUERY, np.int32)
    query[asked.columns] = 0
    key = np.full(phi.shape[1], NO_KEY, np.int32)
    key[: grid.size] = 0
    key[[grid.size + names.index(name) for name in tokens]] = 0
    reach = _reach(query, key, asked, rows, grid)
    return Affinity(FUNCTION, theta, phi, asked.grid, grid, reach=reach, tokens=names)


def _reach(
    query: NDArray[np.int32], key: NDArray[np.int32], asked: Starts, rows: Array, grid: Grid
) -> tuple[Groups, ...]:
    """Everything from everywhere; cells of the same frame alone where no row of a cell leaves it.

    So it is in a network that sees each frame by itself. Tokens may weigh every frame, and be
    weighed from each.

    Args:
        query, key: 0 where there is a query or key, tokens last.
        asked, rows, grid: as for ``affinity_of_rows``.
    """
    everything = Groups(query, key)
    steps, key_steps = _frames(asked.grid, len(query)), _frames(grid, len(key))
    is_cell, is_key_cell = steps < asked.grid.t, key_steps < grid.t
    of_cells = is_cell[asked.columns]
    if asked.grid.t != grid.t or grid.t == 1 or not of_cells.any():
        return (everything,)
    own = steps[asked.columns[of_cells]]
    there = rows[of_cells, : grid.size].reshape(-1, grid.t, grid.rows * grid.cols).any(axis=2)
    if (there & (np.arange(grid.t) != own[:, None])).any():
        return (everything,)
    return (
        Groups(
            np.where(is_cell & (query != NO_QUERY), steps, NO_QUERY),
            np.where(is_key_cell, key_steps, NO_KEY),
        ),
        Groups(np.where(is_cell, NO_QUERY, query), key),
        Groups(query, np.where(is_key_cell, NO_KEY, key)),
    )


def _frames(grid: Grid, count: int) -> NDArray[np.intp]:
    """(count,) the time step of each slot; those of tokens, which come last, are past the last."""
    frames = np.arange(count) // (grid.rows * grid.cols)
    frames[grid.size :] = grid.t
    return frames


def beside(analysis: Analysis, name: str, made: Affinity, kind: str) -> Analysis:
    """The analysis with a derived block after the others; one of the same name is replaced."""
    said = f"{kind}, {DERIVED}"
    lies = "those of the layers that it goes through"
    return replace(
        analysis,
        affinities=MappingProxyType({**analysis.affinities, name: made}),
        fidelity=MappingProxyType({**analysis.fidelity, name: None}),
        kinds=MappingProxyType({**analysis.kinds, name: said}),
        places=MappingProxyType({**analysis.places, name: lies}),
    )


def alone(analysis: Analysis, block: str) -> Analysis:
    """An analysis of one block of another; QueryError for an unknown one."""
    return replace(
        analysis,
        affinities=MappingProxyType({block: analysis.affinity(block)}),
        fidelity=MappingProxyType({block: analysis.fidelity[block]}),
        kinds=_of_one(analysis.kinds, block),
        places=_of_one(analysis.places, block),
        sizes=MappingProxyType({}),
        refused=MappingProxyType({}),
    )


def _of_one(words: Mapping[str, str], block: str) -> Mapping[str, str]:
    return MappingProxyType({name: word for name, word in words.items() if name == block})


def without_derived(analysis: Analysis) -> Analysis:
    """The analysis of the network's own blocks alone."""
    own = {name: each for name, each in analysis.affinities.items() if not each.is_derived}
    return replace(analysis, affinities=MappingProxyType(own))


def check_residual(residual: float) -> None:
    """QueryError for a weight of the residual connection that is not from 0 to below 1."""
    if not 0 <= residual < 1:
        raise QueryError(
            f"The weight of the residual connection must be from 0 to below 1; got {residual:g}."
        )
