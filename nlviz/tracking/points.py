"""Points followed through the clip by a block's own affinity, and whether the way back agrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Grid, Point, View
from nlviz.progress import Progress, part_of, silent
from nlviz.tracking.carrying import Carrier
from nlviz.tracking.cells import Soft
from nlviz.tracking.protocol import Protocol

Places = NDArray[np.float64]

LOST = 0.1
"""Of the frame's diagonal: from how far off the way back a point's confidence is 0."""

AROUND = 2
"""Cells on each side of the highest label whose mean is the point's place."""

_ALIKE = 1e-4  # of a label: what two of them may differ by and count as one height

HOW = (
    "A point is a label of 1 on the four cells around it, carried as a mask is. On each frame it "
    "is at the mean of the labels around the highest one. Confidence is cycle consistency: the "
    "place found is followed back frame by frame, by the frame after it alone; the distance "
    "between where that ends and where the point began lowers the confidence from 1 at none to 0 "
    "at a tenth of the frame's diagonal, and a point counts as visible from 0.5 on. It tells "
    "whether two ways agree, not that either is right."
)
"""How points are followed, in words."""


@dataclass(frozen=True, slots=True, eq=False)
class FollowedPoints:
    """Points followed through the clip.

    Args:
        block: whose affinity followed them.
        points: where they begin.
        frames: source frame of each sampled frame.
        places: (P, T, 2) x and y of each point on each sampled frame, in source pixels; read-only.
        returned: (P, T) how far from its begin the way back from there ends, in source pixels; 0 on
            its own frame, infinite where it was lost; read-only.
        protocol: how they were carried.
        size: (width, height) of the clip.
    """

    block: str
    points: tuple[Point, ...]
    frames: tuple[int, ...]
    places: Places
    returned: Places
    protocol: Protocol
    size: tuple[int, int]

    @property
    def confidence(self) -> Places:
        """(P, T), 1 where the way back ends where the point began, 0 from ``LOST`` on."""
        lost = LOST * math.hypot(*self.size)
        return np.asarray(np.clip(1 - self.returned / lost, 0, 1))

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(P, T), True where the confidence is at least one half."""
        return np.asarray(self.confidence >= 0.5)


def track_points(
    analysis: Analysis,
    block: str,
    points: Sequence[Point],
    *,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> FollowedPoints:
    """Follow points through all sampled frames by a block's affinity; ``points.HOW`` says how.

    Args:
        analysis: the analysis.
        block: whose affinity.
        points: where they begin, each on any sampled frame.
        protocol: as for ``track``.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: no points, one outside the clip or on a frame that was not sampled, or what
            ``track`` raises of the block.
    """
    if not points:
        raise QueryError("There are no points to follow; give at least one.")
    for point in points:
        analysis.view.check(point)
    follower = _Follower(analysis, block, protocol or Protocol())
    places = np.zeros((len(points), follower.grid.t, 2))
    returned = np.zeros((len(points), follower.grid.t))
    starts = [analysis.view.cell(point, follower.grid).t for point in points]
    report = progress or silent
    follower.carrier.prepare(part_of(report, 0.0, 0.2))
    groups = sorted(set(starts))
    for number, start in enumerate(groups):
        share = 0.8 / len(groups)
        told = part_of(report, 0.2 + share * number, 0.2 + share * (number + 1))
        of = [i for i, step in enumerate(starts) if step == start]
        places[of], returned[of] = follower.follow(
            start, np.array([(points[i].x, points[i].y) for i in of], np.float64), told
        )
    report(1.0, "done")
    view = analysis.view
    steps = [view.step(position, follower.grid) for position in range(len(view.frames))]
    places, returned = places[:, steps], returned[:, steps]
    for array in (places, returned):
        array.flags.writeable = False
    return FollowedPoints(
        block, tuple(points), view.frames, places, returned, follower.protocol, view.source
    )


class _Follower:
    """Follows points with one block."""

    def __init__(self, analysis: Analysis, block: str, protocol: Protocol) -> None:
        self.carrier = Carrier(analysis, block, protocol)
        self.protocol, self.view, self.block = protocol, analysis.view, block
        self.grid: Grid = self.carrier.affinity.query_grid

    def follow(self, start: int, begin: Places, report: Progress) -> tuple[Places, Places]:
        """(P, T', 2) places and (P, T') distances of the ways back, from one time step."""
        known = np.stack([splat(place, self.view, self.grid) for place in begin], axis=-1)
        places = np.repeat(begin[:, None], self.grid.t, axis=1)
        lost = np.zeros((len(begin), self.grid.t), np.bool_)
        keys = {start: self.carrier.pool(known)}
        steps = self.carrier.steps(start)
        for number, (t, context) in enumerate(steps):
            report(0.6 * number / len(steps), f"following points with {self.block}")
            labels = self.carrier.step(t, context, np.stack([keys[s] for s in context]), start)
            keys[t] = self.carrier.pool(labels)
            before = t - 1 if t > start else t + 1
            for i in range(len(begin)):
                found = place_of(labels[..., i], self.view, self.grid)
                lost[i, t] = found is None
                places[i, t] = places[i, before] if found is None else found
        returned = np.zeros(lost.shape)
        for way in (range(self.grid.t - 1, start, -1), range(start)):
            self._back(way, start, begin, places, returned, report)
        returned[lost] = np.inf
        return places, returned

    def _back(
        self,
        way: range,
        start: int,
        begin: Places,
        places: Places,
        returned: Places,
        report: Progress,
    ) -> None:
        """The ways back from all time steps on one side, walked together towards the start."""
        walking = np.zeros((self.grid.rows, self.grid.cols, 0), np.float32)
        for number, t in enumerate(way):
            report(0.6 + 0.4 * number / len(way), "following points back")
            own = [splat(place, self.view, self.grid) for place in places[:, t]]
            walking = np.concatenate([walking, np.stack(own, axis=-1)], axis=-1)
            walking = self.carrier.step(t + way.step, (t,), self.carrier.pool(walking)[None])
        for at, t in enumerate(way):
            for i, place in enumerate(begin):
                labels = walking[..., at * len(begin) + i]
                found = place_of(labels, self.view, self.grid)
                returned[i, t] = np.inf if found is None else math.dist(found, place)


def splat(place: Places, view: View, grid: Grid) -> Soft:
    """(rows, cols): 1 shared between the four cells around a place, the nearer the more."""
    y, x = view.centres(grid)
    labels = np.zeros((grid.rows, grid.cols), np.float32)
    (low, high, down), (left, right, across) = _between(place[1], y), _between(place[0], x)
    for row, share in ((low, 1 - down), (high, down)):
        for col, part in ((left, 1 - across), (right, across)):
            labels[row, col] += share * part
    return labels


def place_of(labels: Soft, view: View, grid: Grid) -> tuple[float, float] | None:
    """(x, y): the mean of the labels around the highest one; None where there is none."""
    most = float(labels.max())
    if most <= 0:
        return None
    # The first of those that are as high, so that rounding does not decide between them.
    row, col = divmod(int((labels >= most * (1 - _ALIKE)).argmax()), grid.cols)
    rows, cols = (
        slice(max(row - AROUND, 0), row + AROUND + 1),
        slice(max(col - AROUND, 0), col + AROUND + 1),
    )
    near = labels[rows, cols].astype(np.float64)
    y, x = view.centres(grid)
    shares = near / near.sum()
    width, height = view.source
    here = float(shares.sum(0) @ x[cols]), float(shares.sum(1) @ y[rows])
    return min(max(here[0], 0.0), width - 1e-6), min(max(here[1], 0.0), height - 1e-6)


def _between(at: float, centres: Places) -> tuple[int, int, float]:
    """The two centres around a place, and how far it is from the first to the second."""
    if len(centres) == 1:
        return 0, 0, 0.0
    step = centres[1] - centres[0]
    along = min(max((at - centres[0]) / step, 0.0), len(centres) - 1.0)
    low = min(int(along), len(centres) - 2)
    return low, low + 1, along - low
