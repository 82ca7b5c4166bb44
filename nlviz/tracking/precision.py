"""Same-object precision: how many of the heaviest links of an object's cells land on the object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid
from nlviz.tracking.cells import on_object

Masks = NDArray[np.bool_]

LINKS, QUERIES, FEWEST, COVERED = 20, 200, 5, 0.7


@dataclass(frozen=True, slots=True)
class SameObject:
    """Of one affinity on one object, all from 0 to 1.

    Args:
        precision: the share of the ``LINKS`` heaviest links into other time steps that land on the
            object, over its queries.
        best_a_frame: the same of the heaviest link into each other time step.
        chance: the object's share of all pixels.
        share: what those ``LINKS`` links carry of a row's weight in other time steps, the median
            over the queries; None where rows do not sum to 1.
    """

    precision: float
    best_a_frame: float
    chance: float
    share: float | None


def same_object(analysis: Analysis, affinity: Affinity, masks: Masks) -> SameObject | None:
    """Where the heaviest links of an object's cells land.

    Its queries are the cells whose footprint is object by at least ``COVERED``, at most
    ``QUERIES`` of them, drawn by a fixed seed. A link into a time step that covers a frame of the
    query's own does not count; it lands on the object where the pixel at the key's centre is.

    Args:
        analysis: whose clip and view.
        affinity: one of its blocks', or its input's cosine.
        masks: (T, H, W), True on the object, for each sampled frame.

    Returns:
        None where fewer than ``FEWEST`` cells are object, or there is no other time step.

    Raises:
        QueryError: masks of another shape than the clip's frames, or of several labels.
    """
    found = ObjectLinks.of(analysis, affinity, masks)
    if found is None:
        return None
    keys = affinity.key_grid
    rows = affinity.rows(found.queries).reshape(len(found.queries), keys.t, -1)
    ranked = found.ranked(rows)
    top = np.argsort(-ranked.reshape(len(rows), -1), axis=1, kind="stable")[:, : found.count]
    best = found.hit.reshape(keys.t, -1)[np.arange(keys.t), ranked.argmax(2)]
    share = None
    if affinity.rows_sum_to_one:
        weights = np.where(found.other[..., None], rows, 0).reshape(len(rows), -1)
        heaviest = np.take_along_axis(weights, top, 1).sum(1)
        share = float(np.median(heaviest / weights.sum(1)))
    precision, best_a_frame = float(found.hit[top].mean()), float(best[found.other].mean())
    return SameObject(precision, best_a_frame, float(masks.mean()), share)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectLinks:
    """An object's queries on one affinity's grids, and which of their links count.

    Args:
        queries: its cells, see ``same_object``.
        other: (n, T'), True where a time step has no frame in common with the query's.
        hit: (M,), True where a key is on the object.
        count: how many of the heaviest links count: ``LINKS``, or all where there are fewer.
    """

    queries: list[Cell]
    other: Masks
    hit: Masks
    count: int

    @classmethod
    def of(cls, analysis: Analysis, affinity: Affinity, masks: Masks) -> ObjectLinks | None:
        """None and QueryError as ``same_object``."""
        clip, keys = analysis.clip, affinity.key_grid
        if masks.shape != clip.frames.shape[:3]:
            raise QueryError(
                f"The masks are {masks.shape}, the clip's frames {clip.frames.shape[:3]}; give one "
                "of the clip's size for each frame."
            )
        masks = on_object(masks)
        queries = cells_on(analysis, affinity, masks)
        other = _other_steps(analysis, affinity.query_grid, keys)[[cell.t for cell in queries]]
        if len(queries) < FEWEST or not other.any(axis=1).all():
            return None
        count = min(LINKS, int(other.sum(axis=1).min()) * keys.rows * keys.cols)
        return cls(queries, other, _hits(analysis, keys, masks), count)

    def ranked(self, rows: NDArray[np.float32], some: slice = slice(None)) -> NDArray[np.float32]:
        """Rows of ``some`` queries, (n, T', cells), with −∞ where no link counts."""
        # Weights of any size rank the keys.
        return np.where(self.other[some, :, None], rows, -np.float32(np.inf))

    def hits(self, rows: NDArray[np.float32], some: slice = slice(None)) -> NDArray[np.float64]:
        """(n,): the share of each query's ``count`` heaviest links that land on the object.

        ``rows`` are those of ``some`` queries, (n, T', rows, cols); equal weights count in
        row-major order, as in ``same_object``.
        """
        ranked = self.ranked(rows.reshape(len(rows), self.other.shape[1], -1), some)
        ranked = ranked.reshape(len(rows), -1)
        least = np.partition(ranked, -self.count, axis=1)[:, -self.count, None]
        heavier, equal = ranked > least, ranked == least
        missing = self.count - heavier.sum(axis=1)
        tied = equal.sum(axis=1) > missing
        equal[tied] &= equal[tied].cumsum(axis=1) <= missing[tied, None]
        landed: NDArray[np.float64] = (heavier | equal) @ self.hit.astype(np.float32)
        return landed / self.count


def _hits(analysis: Analysis, keys: Grid, masks: Masks) -> Masks:
    """(M,), True where the pixel at a key's centre is on the object."""
    view, indices = analysis.view, list(analysis.clip.indices)
    t = [indices.index(view.point(Cell(each, 0, 0), keys).frame) for each in range(keys.t)]
    y = [int(view.point(Cell(0, each, 0), keys).y) for each in range(keys.rows)]
    x = [int(view.point(Cell(0, 0, each), keys).x) for each in range(keys.cols)]
    return masks[np.ix_(t, y, x)].ravel()


def _other_steps(analysis: Analysis, queries: Grid, keys: Grid) -> Masks:
    """(T, T'), True where a query's and a key's time step have no frame in common."""
    view = analysis.view
    asked = [set(view.positions(t, queries)) for t in range(queries.t)]
    there = [set(view.positions(t, keys)) for t in range(keys.t)]
    return np.array([[not here & each for each in there] for here in asked])


def cells_on(analysis: Analysis, affinity: Affinity, masks: Masks) -> list[Cell]:
    """The query cells of an object, see ``same_object``, in the order in which they are drawn."""
    grid, view = affinity.query_grid, analysis.view
    rows = [view.footprint(Cell(0, row, 0), grid) for row in range(grid.rows)]
    cols = [view.footprint(Cell(0, 0, col), grid) for col in range(grid.cols)]
    y0, y1 = np.array([(round(box.y0), round(box.y1)) for box in rows]).T
    x0, x1 = np.array([(round(box.x0), round(box.x1)) for box in cols]).T
    object_of = np.zeros(grid.shape)
    for t in range(grid.t):
        covered = list(view.positions(t, grid))
        sums = cv2.integral(masks[covered].sum(axis=0, dtype=np.uint8)).astype(np.int64)
        corners = [sums[np.ix_(y, x)] for y in (y0, y1) for x in (x0, x1)]
        inside = corners[3] - corners[2] - corners[1] + corners[0]
        area = (y1 - y0)[:, None] * (x1 - x0) * len(covered)
        object_of[t] = np.divide(inside, area, out=np.zeros(inside.shape), where=area > 0)
    on = (object_of >= COVERED) & affinity.has_query
    chosen = [grid.cell(int(index)) for index in np.flatnonzero(on)]
    order = np.random.default_rng(0).permutation(len(chosen))[:QUERIES]
    return [chosen[i] for i in order]
