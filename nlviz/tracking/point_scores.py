"""How well followed points agree with the truth: the TAP-Vid benchmark (Doersch et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError

Positions = NDArray[np.floating]
Visible = NDArray[np.bool_]

THRESHOLDS = (1, 2, 4, 8, 16)
"""Pixels of a picture of 256 × 256 that a position may be off: it has to be nearer than these."""


@dataclass(frozen=True, slots=True)
class PointScores:
    """TAP-Vid's scores of one clip, each from 0 to 1, over the frames after each point's query.

    Args:
        delta: for each of ``THRESHOLDS``, the share of the truly visible positions that were found
            nearer than it, whether found visible or not: δ.
        average: their mean, δ_avg.
        occlusion_accuracy: the share of the positions whose being visible or not was found; None
            where nothing was said of it, and so for the next two.
        jaccard: for each of ``THRESHOLDS``, the truly visible positions found visible and nearer
            than it, over the truly visible ones and those that were found visible where the point
            is hidden or not near.
        average_jaccard: their mean, AJ.
        positions: how many truly visible positions δ goes over.
    """

    delta: tuple[float, ...]
    average: float
    occlusion_accuracy: float | None
    jaccard: tuple[float, ...] | None
    average_jaccard: float | None
    positions: int


def point_scores(
    found: Positions, truth: Positions, *, visible: Visible, found_visible: Visible | None = None
) -> PointScores:
    """Scores of the points of one clip, each queried in the first frame that shows it.

    Only the frames after that one count (TAP-Vid's mode "query first"); a point that no frame
    shows has none.

    Args:
        found: (N, T, 2), x and y of each point in each frame, in pixels of a 256 × 256 picture.
        truth: the same as they should be; what it holds where a point is hidden does not matter.
        visible: (N, T), True where a point can truly be seen.
        found_visible: (N, T), True where it was found to be; None where that was not asked.

    Raises:
        QueryError: arrays that do not fit, or no point that is visible after its query.
    """
    _check(found, truth, visible, found_visible)
    counted = after_first(visible)
    seen = visible & counted
    if not seen.any():
        raise QueryError("No point is visible in a frame after its first; give longer tracks.")
    near = nearer(found, truth)
    delta = [float(near[seen, i].mean()) for i in range(len(THRESHOLDS))]
    accuracy = jaccard = average = None
    if found_visible is not None:
        accuracy = float((found_visible == visible)[counted].mean())
        jaccard = tuple(_jaccard(near[..., i], found_visible, seen, counted) for i in range(5))
        average = float(np.mean(jaccard))
    mean = float(np.mean(delta))
    return PointScores(tuple(delta), mean, accuracy, jaccard, average, int(seen.sum()))


def after_first(visible: Visible) -> Visible:
    """(N, T), True in the frames after the first that shows a point: those that TAP-Vid counts."""
    begun = np.logical_or.accumulate(visible, axis=1)
    counted = np.zeros_like(begun)
    counted[:, 1:] = begun[:, :-1]
    return counted


def nearer(found: Positions, truth: Positions) -> NDArray[np.bool_]:
    """(…, 5) of positions (…, 2): whether one lies nearer to the other than each threshold."""
    off = np.asarray(found, np.float64) - truth
    squares = (off**2).sum(axis=-1)
    near: NDArray[np.bool_] = squares[..., None] < np.square(np.asarray(THRESHOLDS, np.float64))
    return near


def _jaccard(near: Visible, found_visible: Visible, seen: Visible, counted: Visible) -> float:
    right = int((near & found_visible & seen).sum())
    wrong = int((found_visible & counted & ~(near & seen)).sum())
    return right / (int(seen.sum()) + wrong)


def _check(
    found: Positions, truth: Positions, visible: Visible, found_visible: Visible | None
) -> None:
    points = visible.shape
    fits = len(points) == 2 and found.shape == truth.shape == (*points, 2)
    if not fits or (found_visible is not None and found_visible.shape != points):
        raise QueryError(
            f"Positions {found.shape} and {truth.shape} and visibility {points} do not fit: give "
            "(N, T, 2) of both and (N, T) for N points in T frames."
        )
    if not np.isfinite(found).all() or not np.isfinite(truth[visible]).all():
        raise QueryError("A position is not a number; give pixels of a 256 × 256 picture.")
