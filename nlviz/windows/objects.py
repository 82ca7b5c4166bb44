"""Several objects through a long clip: each window carries on what the one before it left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Point
from nlviz.progress import Progress, part_of, silent
from nlviz.query import Baseline
from nlviz.tracking.carrying import Carrier, FirstFrame
from nlviz.tracking.cells import Numbers, Soft
from nlviz.tracking.propagation import ObjectTracks, carried_on, check_masks, labels_of
from nlviz.tracking.protocol import Protocol
from nlviz.windows.long_analysis import LongAnalysis
from nlviz.windows.plan import TimeWindow, WindowPlan

Masks = NDArray[np.bool_]

HANDED_ON = (
    "Each window is tracked as a clip of its own. The next one begins with the mask that this one "
    "carried to the first frame they share, in the direction of the tracking; the frame of the "
    "given mask is in the context of its own window only."
)
"""How a mask goes from window to window."""

KEPT_FIRST = (
    "The next window begins with the labels, not yet decided, of all frames that it shares with "
    "this one, and the frame of the given mask stays in the context of every window: its keys "
    "there are those of its own window, which the network never weighed together with others."
)
"""The same where the first frame is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowOfObjects:
    """What one window carried.

    Args:
        window: which.
        frames: the source frames that it answers for.
        names: of the objects.
        begun: the source frame whose masks this window began with; None where all were lost before.
        size: (width, height) of the clip.
        found: the objects in all frames of the window; None where all were lost before.
    """

    window: TimeWindow
    frames: tuple[int, ...]
    names: tuple[str, ...]
    begun: int | None
    size: tuple[int, int]
    found: ObjectTracks | None

    def soft(self, number: int) -> Soft:
        """(K, H, W), how much of each pixel is on each object, of a frame that it answers for."""
        if self.found is None:
            return np.zeros((len(self.names), *self.size[::-1]), np.float32)
        return self.found.soft(self._position(number))

    def numbers(self, number: int) -> Numbers:
        """(H, W): 0 on the background, k on ``names[k - 1]``, of a frame that it answers for."""
        if self.found is None:
            return np.zeros(self.size[::-1], np.uint16)
        return self.found.numbers(self._position(number))

    def _position(self, number: int) -> int:
        return self.window.own_start - self.window.start + number


@dataclass(frozen=True, slots=True, eq=False)
class HandedObjects:
    """What a window begins with.

    Args:
        frame: the source frame that it was left on.
        masks: (K, H, W), the objects there.
        shared: source frame → (rows, cols, K) labels, of all shared frames; where the first frame
            is kept.
        first: that frame's keys and labels, or None.
    """

    frame: int
    masks: Masks
    shared: dict[int, Soft]
    first: FirstFrame | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CarriedObjects:
    """What one window made of its objects, and what it hands to the next and to the one before.

    None where there is no such window, or nothing is left of any object.
    """

    found: ObjectTracks
    after: HandedObjects | None
    before: HandedObjects | None


def carry_objects(
    analysis: Analysis,
    plan: WindowPlan,
    number: int,
    block: str,
    start: HandedObjects,
    names: tuple[str, ...],
    *,
    protocol: Protocol | None = None,
    keep_first: bool = False,
    progress: Progress | None = None,
) -> CarriedObjects:
    """Objects through one window; QueryError as of ``nlviz.track``.

    Args:
        analysis: of the window.
        plan: all windows.
        number: which one it is.
        block: whose affinity.
        start: what it begins with.
        names: of the objects.
        protocol, progress: as for ``nlviz.track``.
        keep_first: whether the frame of the given masks stays in the context of later windows.
    """
    view, grid = analysis.view, analysis.affinity(block).query_grid
    if start.first is None:
        known = {
            view.cell(Point(start.frame, 0, 0), grid).t: labels_of(analysis, block, start.masks)
        }
    else:
        known = {view.cell(Point(each, 0, 0), grid).t: soft for each, soft in start.shared.items()}
    found = carried_on(
        analysis,
        block,
        known,
        names,
        frame=start.frame,
        protocol=protocol,
        first=start.first,
        progress=progress,
    )
    first = start.first
    if keep_first and first is None and len(plan) > 1:
        (at,) = known
        carrier = Carrier(analysis, block, found.protocol)
        first = carrier.keys_of(at, known[at], start.frame)
        Carrier(analysis, block, found.protocol, first)  # refuses links within groups
    window, after, before = plan[number], None, None
    if number + 1 < len(plan):
        shared = range(plan[number + 1].start - window.start, len(window))
        after = _left(analysis, found, shared, shared.start, first)
    if number > 0:
        shared = range(plan[number - 1].stop - window.start)
        before = _left(analysis, found, shared, shared.stop - 1, first)
    return CarriedObjects(found, after, before)


def _left(
    analysis: Analysis,
    found: ObjectTracks,
    shared: range,
    position: int,
    first: FirstFrame | None,
) -> HandedObjects | None:
    """What a window leaves on the frames that it shares."""
    numbers = found.numbers(position)
    if not numbers.any():
        return None
    masks = np.stack([numbers == number for number in range(1, len(found.names) + 1)])
    frames, view = analysis.clip.indices, analysis.view
    kept = {frames[i]: found.labels[view.step(i, found.grid)] for i in shared}
    return HandedObjects(frames[position], masks, {} if first is None else kept, first)


def track_objects_windows(
    long: LongAnalysis,
    block: str,
    masks: Masks,
    *,
    names: Sequence[str] | None = None,
    frame: int | None = None,
    protocol: Protocol | None = None,
    keep_first: bool = False,
    baseline: Baseline | None = None,
    progress: Progress | None = None,
) -> Iterator[WindowOfObjects]:
    """Carry the masks of several objects through all windows; see ``HANDED_ON``, ``KEPT_FIRST``.

    Args:
        long: the windows; those that were not run are run as the objects come to them.
        block: whose affinity.
        masks, names, frame, protocol, progress: as for ``nlviz.track_objects``.
        keep_first: whether the frame of the given masks stays in the context of all windows.
        baseline: carry by this baseline of the block instead; it runs the network once more.

    Yields:
        each window once: from that of the frame to the last, then back to the first. One is held
        at a time.

    Raises:
        QueryError: what ``nlviz.track_objects`` raises, windows that share no frame, or a first
            frame that cannot be kept.
        BudgetError: more objects than are carried together.
    """
    names = tuple(names or (str(number) for number in range(1, len(masks) + 1)))
    frame = long.stream.indices[0] if frame is None else frame
    own = long.of(frame).number
    if len(long) > 1 and long.plan.shared == 0:
        raise QueryError(
            "Tracking goes from window to window by the frames that two of them share; choose an "
            "overlap of at least 1."
        )
    size = long.stream.info.width, long.stream.info.height
    masks = check_masks(size, masks, names)
    report, done = progress or silent, 0
    back: HandedObjects | None = None
    for way in (range(own, len(long)), range(own - 1, -1, -1)):
        start = HandedObjects(frame, masks, {}) if way.step > 0 else back
        for number in way:
            told = part_of(report, done / len(long), (done + 1) / len(long))
            window, found = long.plan[number], None
            frames = long.stream.indices[window.own_start : window.own_stop]
            if start is not None:
                analysis, carrying = window_of(long, number, block, baseline, part_of(told, 0, 0.9))
                found = carry_objects(
                    analysis,
                    long.plan,
                    number,
                    carrying,
                    start,
                    names,
                    protocol=protocol,
                    keep_first=keep_first,
                    progress=part_of(told, 0.9, 1.0),
                )
                if number == own:
                    back = found.before
            begun, tracks = (
                (None, None) if found is None or start is None else (start.frame, found.found)
            )
            yield WindowOfObjects(window, frames, names, begun, size, tracks)
            if found is not None:
                start = found.after if way.step > 0 else found.before
            done += 1
    report(1.0, "done")


def window_of(
    long: LongAnalysis, number: int, block: str, baseline: Baseline | None, progress: Progress
) -> tuple[Analysis, str]:
    """One window, or a baseline of its block, and the name of the block to ask there."""
    analysis = long.window(number, progress, blocks=(block,))
    if baseline is None:
        return analysis, block
    from nlviz.experiments.baselines import baseline as made

    other = made(analysis, long.network, block, baseline)
    return other, other.blocks[0]
