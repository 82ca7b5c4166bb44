"""Points through a long clip: each window follows on from where the one before it left them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nlviz.errors import QueryError
from nlviz.geometry import Point, View
from nlviz.progress import Progress, part_of, silent
from nlviz.query import Baseline
from nlviz.tracking.points import FollowedPoints, track_points
from nlviz.tracking.protocol import Protocol
from nlviz.windows.long_analysis import LongAnalysis
from nlviz.windows.objects import window_of

POINTS_HANDED_ON = (
    "Each window follows points as a clip of its own, the next one from where they are on the "
    "first frame they share; the distances of the ways back add up."
)
"""How points go from window to window."""


def track_points_windows(
    long: LongAnalysis,
    block: str,
    points: Sequence[Point],
    *,
    protocol: Protocol | None = None,
    baseline: Baseline | None = None,
    progress: Progress | None = None,
) -> FollowedPoints:
    """Follow points through all windows by a block's affinity; see ``POINTS_HANDED_ON``.

    Args:
        long: the windows; those that were not run are run.
        block: whose affinity.
        points: where they begin, each on any sampled frame.
        protocol, progress: as for ``nlviz.track_points``.
        baseline: follow by this baseline of the block instead; it runs the network once more.

    Raises:
        QueryError: what ``nlviz.track_points`` raises, or windows that share no frame.
    """
    if not points:
        raise QueryError("There are no points to follow; give at least one.")
    if len(long) > 1 and long.plan.shared == 0:
        raise QueryError(
            "Points go from window to window by the frames that two of them share; choose an "
            "overlap of at least 1."
        )
    walk = _Walk(long, block, points, protocol or Protocol(), baseline)
    report, count = progress or silent, len(long)
    for number in range(count):
        told = part_of(report, number / count / 2, (number + 1) / count / 2)
        begin = {i: (points[i], 0.0) for i, own in enumerate(walk.own) if own == number}
        walk.through(number, begin, 1, told)
    walk.coming = {}
    for number in range(count - 2, -1, -1):
        part = 0.5 + (count - 2 - number) / count / 2
        begin = {i: walk.back[i] for i, own in enumerate(walk.own) if own == number + 1}
        walk.through(number, begin, -1, part_of(report, part, part + 0.5 / count))
    report(1.0, "done")
    return walk.found


Left = tuple[Point, float]  # where a point is, and how far off its way back has ended


class _Walk:
    """Where the points are on each sampled frame so far."""

    def __init__(
        self,
        long: LongAnalysis,
        block: str,
        points: Sequence[Point],
        protocol: Protocol,
        baseline: Baseline | None,
    ) -> None:
        self.long, self.block, self.protocol = long, block, protocol
        self.points, self.baseline = tuple(points), baseline
        self.frames = long.stream.indices
        self.size = long.stream.info.width, long.stream.info.height
        for point in points:
            long.of(point.frame)
            View(self.size, self.size, (point.frame,)).check(point)
        self.own = [long.of(point.frame).number for point in points]
        self.places = np.zeros((len(points), len(self.frames), 2))
        self.returned = np.zeros((len(points), len(self.frames)))
        self.coming: dict[int, Left] = {}  # from the window before, in the direction of the walk
        self.back: dict[int, Left] = {}  # what its own window leaves to the one before it

    @property
    def found(self) -> FollowedPoints:
        """All points on all sampled frames."""
        for array in (self.places, self.returned):
            array.flags.writeable = False
        return FollowedPoints(
            self.block,
            self.points,
            self.frames,
            self.places,
            self.returned,
            self.protocol,
            self.size,
        )

    def through(self, number: int, begin: dict[int, Left], way: int, progress: Progress) -> None:
        """One window: the points that begin in it, and those that come to it."""
        starts, self.coming = {**begin, **self.coming}, {}
        if not starts:
            return
        window, plan = self.long.plan[number], self.long.plan
        told = part_of(progress, 0.0, 0.8)
        analysis, block = window_of(self.long, number, self.block, self.baseline, told)
        found = track_points(
            analysis,
            block,
            [point for point, _ in starts.values()],
            protocol=self.protocol,
            progress=part_of(progress, 0.8, 1.0),
        )
        kept = slice(window.own_start, window.own_stop)
        own = slice(window.own_start - window.start, window.own_stop - window.start)
        for at, (i, (_, before)) in enumerate(starts.items()):
            self.places[i, kept] = found.places[at, own]
            self.returned[i, kept] = found.returned[at, own] + before

            def left(position: int, at: int = at, before: float = before) -> Left:
                x, y = found.places[at, position]
                return Point(found.frames[position], x, y), float(
                    found.returned[at, position]
                ) + before

            if way > 0 and number + 1 < len(plan):
                self.coming[i] = left(plan[number + 1].start - window.start)
            if number > 0 and (way < 0 or i in begin):
                there = left(plan[number - 1].stop - 1 - window.start)
                (self.coming if way < 0 else self.back)[i] = there
