"""The weights that a view draws for a query: a row of f/C, a column of it, or the mean of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity, Array
from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point, Region, View
from nlviz.query import Exclude, Query


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Where a query's weight lies.

    Args:
        weights: (T', H', W') on ``grid``, read-only: row i of f/C, or column j of it.
        grid: the key grid of a row, the query grid of a column.
        cells: the cells asked about, on the other grid; none for a token.
        reached: (T', H', W'), True where a link can exist.
        allowed: likewise, less what the query excludes.
        tokens: what a row gives to each token; empty for a column and for a block without.
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
    over the cells whose centres lie inside, its column likewise.

    Raises:
        QueryError: an unknown block, head or token, a place outside the clip or on a frame that was
            not sampled, a region that holds no cell or reaches over the edge, or a ranking by
            contributions that were not measured.
    """
    affinity, view = affinity_of(analysis, query), analysis.view
    own, other = affinity.query_grid, affinity.key_grid
    if query.reverse:
        own, other = other, own
    places = _places(view, query.point, own)
    ask = _columns if query.reverse else _rows
    weights, reached, tokens = ask(affinity, places)
    weights.flags.writeable = False
    cells = tuple(place for place in places if isinstance(place, Cell))
    allowed = reached & allowed_keys(view, cells, own, other, query.exclude)
    contributions = _contributions(analysis, query, weights, cells)
    return Row(weights, other, cells, reached, allowed, MappingProxyType(tokens), contributions)


def _contributions(
    analysis: Analysis, query: Query, weights: Array, cells: Sequence[Cell]
) -> Array | None:
    """Weight × ‖W_z g_j‖ of a row or column, where the query ranks by it."""
    if query.rank_by != "contribution":
        return None
    if query.block not in analysis.sizes:
        raise QueryError(
            f"The contributions of block {query.block!r} were not measured; call with_sizes first, "
            "or rank by affinity."
        )
    sizes, affinity = analysis.sizes[query.block], affinity_of(analysis, query)
    if not sizes.any():
        raise QueryError(
            f"Block {query.block!r} adds nothing to its input, so every contribution is 0; rank by "
            "affinity."
        )
    if not query.reverse:
        return weights * sizes.reshape(weights.shape)
    key = affinity.key_grid.index
    return _mean(lambda cell: affinity.column(cell) * sizes[key(cell)], cells).astype(np.float32)


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
        for cell in (cell for cell in own if cell.t == t):
            rows, cols = _shared(view, cell, queries, keys)
            allowed[np.ix_(same_frame, rows, cols)] = False
    return allowed


def _shared(view: View, cell: Cell, own: Grid, other: Grid) -> tuple[list[int], list[int]]:
    """Rows and columns of the other grid whose cells hold this one's centre, or lie in it."""
    centre = view.cell(view.point(cell, own), other)
    down = [view.cell(view.point(Cell(0, row, 0), other), own).row for row in range(other.rows)]
    right = [view.cell(view.point(Cell(0, 0, col), other), own).col for col in range(other.cols)]
    fine = other.rows * other.cols > own.rows * own.cols
    rows = [row for row, there in enumerate(down) if fine and there == cell.row]
    cols = [col for col, there in enumerate(right) if fine and there == cell.col]
    return rows or [centre.row], cols or [centre.col]


def _places(view: View, point: Point | Region | str, grid: Grid) -> Sequence[Cell | str]:
    if isinstance(point, str):
        return [point]
    return view.cells(point, grid) if isinstance(point, Region) else [view.cell(point, grid)]


Weighed = tuple[Array, NDArray[np.bool_], dict[str, float]]


def _rows(affinity: Affinity, queries: Sequence[Cell | str]) -> Weighed:
    """The mean of some rows, what any of them reaches, and the tokens' mean weights."""
    total = np.zeros(affinity.key_grid.shape, dtype=np.float64)
    for _, rows in affinity.chunks(queries):
        total += rows.sum(axis=0, dtype=np.float64)
    tokens = _mean(affinity.token_weights, queries) if affinity.tokens else np.zeros(0)
    reached = np.any([affinity.reached(query) for query in queries], axis=0)
    named = {name: float(weight) for name, weight in zip(affinity.tokens, tokens, strict=True)}
    return (total / len(queries)).astype(np.float32), reached, named


def _columns(affinity: Affinity, keys: Sequence[Cell | str]) -> Weighed:
    """The mean of some columns, and what can reach any of their keys."""
    reached = np.any([affinity.reaching(key) for key in keys], axis=0)
    return _mean(affinity.column, keys).astype(np.float32), reached, {}


def _mean(ask: Callable[[Any], Array], places: Sequence[Cell | str]) -> NDArray[np.float64]:
    total = np.zeros((), dtype=np.float64)
    for place in places:
        total = total + ask(place)
    return total / len(places)
