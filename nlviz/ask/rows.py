"""The weights that a view draws for a query: a row of f/C, a column of it, or the mean of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity, Array
from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, View
from nlviz.query import Exclude, Query

_CHUNK_BYTES = 1 << 20  # of rows: what stays near the processor is also what is quickest


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Where a query's weight lies.

    Args:
        weights: (T', H', W') on ``grid``, read-only: row i of f/C, or column j of it.
        grid: the key grid of a row, the query grid of a column.
        cells: the cells asked about, on the other grid; none for a token.
        reached: (T', H', W'), True where a link can exist.
        allowed: likewise, less what the query excludes.
        tokens: what a row gives to each token that it reaches; none for a column.
        contributions: (T', H', W') weight × ‖W_z g_j‖, where the query ranks by it; else None.
    """

    weights: Array
    grid: Grid
    cells: tuple[Cell, ...]
    reached: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    tokens: Mapping[str, float]
    contributions: Array | None = None

    @property
    def ranked(self) -> Array:
        """What links are ranked and drawn by: contributions if they were asked for."""
        return self.weights if self.contributions is None else self.contributions

    @property
    def total(self) -> float:
        """Σ |weight|, tokens included: 1 for a softmax row."""
        on_grid = np.abs(self.weights).sum(dtype=np.float64)
        return float(on_grid) + sum(abs(weight) for weight in self.tokens.values())


def affinity_of(analysis: Analysis, query: Query) -> Affinity:
    """The affinity that is asked: the block's, or that of one of its heads."""
    affinity = analysis.affinity(query.block)
    return affinity if query.head is None else affinity.head(query.head)


def row_of(analysis: Analysis, query: Query) -> Row:
    """The weights of a query: row i of f/C, Eq. (1); where ``query.reverse``, column j.

    Each entry of a column is normalised by its own row's constant C(x). A region's row is the mean
    over the cells whose centres lie inside, its column likewise; where a block has queries or keys
    on a part of its grid only, over those that are there.

    Raises:
        QueryError: an unknown block, head or token, a place outside the clip or on a frame that was
            not sampled, a region that holds no cell or reaches over the edge, or a ranking by
            contributions that were not measured, or a place where the block has no query (no key).
    """
    side, view = Side(affinity_of(analysis, query), query.reverse), analysis.view
    places = side.places(view, query)
    weights = _mean_columns(side, places) if query.reverse else _mean_row(side, places)
    size, shape = side.other.size, side.other.shape
    on_grid = weights[:size].reshape(shape)
    on_grid.flags.writeable = False
    reached = side.reached(places)
    tokens = {} if query.reverse else _named(side.affinity.tokens, weights[size:], reached[size:])
    cells = tuple(place for place in places if isinstance(place, Cell))
    there = reached[:size].reshape(shape)
    allowed = there & allowed_keys(view, cells, side.own, side.other, query.exclude)
    contributions = _contributions(analysis, query, on_grid, cells)
    return Row(on_grid, side.other, cells, there, allowed, MappingProxyType(tokens), contributions)


def _contributions(
    analysis: Analysis, query: Query, weights: Array, cells: Sequence[Cell]
) -> Array | None:
    """Weight × ‖W_z g_j‖ of a row or column, where the query ranks by it."""
    if query.rank_by != "contribution":
        return None
    if query.block not in analysis.sizes:
        raise QueryError(
            f"The contributions of block {query.block!r} were not measured (with_sizes does, of "
            "non-local blocks with one head); rank by affinity."
        )
    sizes, affinity = analysis.sizes[query.block], affinity_of(analysis, query)
    if not sizes.any():
        raise QueryError(
            f"Block {query.block!r} adds nothing to its input, so every contribution is 0; rank by "
            "affinity."
        )
    if not query.reverse:
        return weights * sizes.reshape(weights.shape)
    if not cells:
        raise QueryError(
            f"What token {query.point!r} of block {query.block!r} adds was not measured; rank by "
            "affinity."
        )
    factors = [sizes[affinity.key_grid.index(cell)] for cell in cells]
    mean = _mean_columns(Side(affinity, reverse=True), cells, np.asarray(factors, np.float64))
    return mean.reshape(weights.shape)


def allowed_keys(
    view: View, own: Sequence[Cell], queries: Grid, keys: Grid, exclude: Exclude
) -> NDArray[np.bool_]:
    """Which keys of query cells may be linked to: (T', H', W'), True where allowed."""
    allowed = np.ones(keys.shape, dtype=np.bool_)
    if exclude == "none":
        return allowed
    for t in {cell.t for cell in own}:
        frames = set(view.positions(t, queries))
        same_frame = [s for s in range(keys.t) if frames & set(view.positions(s, keys))]
        if exclude == "frame":
            allowed[same_frame] = False
            continue
        asked = np.zeros((queries.rows, queries.cols), dtype=np.float32)
        here = [(cell.row, cell.col) for cell in own if cell.t == t]
        asked[tuple(np.transpose(here))] = 1
        down, right = _shared(view, queries, keys)
        allowed[same_frame] &= down.T @ asked @ right == 0
    return allowed


def _shared(view: View, own: Grid, other: Grid) -> tuple[Array, Array]:
    """1 where the other grid's row holds this one's centre, or lies in it; columns likewise.

    (own rows, other rows) and (own columns, other columns).
    """
    fine = other.rows * other.cols > own.rows * own.cols
    shared = []
    for holding, lying in zip(view.nearest(own, other), view.nearest(other, own), strict=True):
        each = np.zeros((len(holding), len(lying)), dtype=np.float32)
        if fine:
            each[lying, np.arange(len(lying))] = 1
        alone = np.flatnonzero(~each.any(axis=1))
        each[alone, holding[alone]] = 1
        shared.append(each)
    return shared[0], shared[1]


def _mean_row(side: Side, queries: Sequence[Cell | str]) -> Array:
    """The mean of some rows, tokens last; a chunk of them at a time."""
    affinity = side.affinity
    width = affinity.phi.shape[1]
    total = np.zeros(width, dtype=np.float64)
    step = max(1, _CHUNK_BYTES // (4 * width))
    for start in range(0, len(queries), step):
        rows = affinity.weights(queries[start : start + step])
        total += rows.sum(axis=0, dtype=np.float64)
    return (total / len(queries)).astype(np.float32)


def _mean_columns(
    side: Side, keys: Sequence[Cell | str], factors: NDArray[np.float64] | None = None
) -> Array:
    """The mean of some columns on the query grid, each times its factor."""
    factors = np.ones(len(keys)) if factors is None else factors
    total = np.empty(side.affinity.query_grid.size, dtype=np.float64)
    for queries, weights in side.affinity.column_chunks(keys, budget=_CHUNK_BYTES):
        total[queries] = factors @ weights
    return (total / len(keys)).astype(np.float32)


def _named(names: Sequence[str], weights: Array, reached: NDArray[np.bool_]) -> dict[str, float]:
    """What each token that can be reached weighs."""
    found = zip(names, weights, reached, strict=True)
    return {name: float(weight) for name, weight, able in found if able}
