"""Tracking through a long clip: each window carries the mask on that the one before it left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.progress import Progress, part_of, silent
from nlviz.tracking.propagation import Protocol, track
from nlviz.windows.long_analysis import LongAnalysis
from nlviz.windows.plan import TimeWindow

Masks = NDArray[np.bool_]

HANDED_ON = (
    "Each window is tracked as a clip of its own. The next one begins with the mask that this one "
    "carried to the first frame they share, in the direction of the tracking; the frame of the "
    "given mask is in the context of its own window only."
)
"""How a mask goes from window to window."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedWindow:
    """What one window carried.

    Args:
        window: which.
        frames: the source frames that it answers for.
        objects: (T, H, W), True on the object, for these frames; nothing where it was lost.
        masks: (T, H, W) float32, as those of ``Track``.
        begun: the source frame whose mask this window began with; None where it was lost before.
    """

    window: TimeWindow
    frames: tuple[int, ...]
    objects: Masks
    masks: NDArray[np.float32]
    begun: int | None


def track_windows(
    long: LongAnalysis,
    block: str,
    mask: Masks,
    *,
    frame: int | None = None,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> Iterator[TrackedWindow]:
    """Carry a mask of one frame through all windows by a block's affinity; see ``HANDED_ON``.

    Args:
        long: the windows; those that were not run are run as the mask comes to them.
        block: whose affinity.
        mask: (H, W) of the clip's size, True on the object.
        frame: the source frame it belongs to; the first sampled one if None.
        protocol, progress: as for ``nlviz.track``.

    Yields:
        each window once: from that of the frame to the last, then back to the first. One is held
        at a time.

    Raises:
        QueryError: what ``nlviz.track`` raises, or windows that share no frame.
    """
    frame = long.stream.indices[0] if frame is None else frame
    own = long.of(frame).number
    if len(long) > 1 and long.plan.shared == 0:
        raise QueryError(
            "Tracking goes from window to window by the frames that two of them share; choose an "
            "overlap of at least 1."
        )
    report = progress or silent
    first = _Start(mask, frame)
    done = 0
    back: _Start | None = None
    for way in (range(own, len(long)), range(own - 1, -1, -1)):
        start: _Start | None = first if way.step > 0 else back
        for number in way:
            told = part_of(report, done / len(long), (done + 1) / len(long))
            found, after, before = _carried(long, number, block, start, protocol, told)
            if number == own:
                back = before
            start = after if way.step > 0 else before
            done += 1
            yield found
    report(1.0, "done")


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    mask: Masks
    frame: int


def _carried(
    long: LongAnalysis,
    number: int,
    block: str,
    start: _Start | None,
    protocol: Protocol | None,
    progress: Progress,
) -> tuple[TrackedWindow, _Start | None, _Start | None]:
    """One window, and where the next and the one before it begin; None where nothing is left."""
    window = long.plan[number]
    frames = long.stream.indices[window.own_start : window.own_stop]
    if start is None:
        size = (len(frames), long.stream.info.height, long.stream.info.width)
        nothing = np.zeros(size, np.float32)
        return TrackedWindow(window, frames, nothing > 0, nothing, None), None, None
    analysis = long.window(number, part_of(progress, 0.0, 0.9), blocks=(block,))
    told = part_of(progress, 0.9, 1.0)
    found = track(analysis, block, start.mask, frame=start.frame, protocol=protocol, progress=told)
    objects = found.objects
    own = slice(window.own_start - window.start, window.own_stop - window.start)
    tracked = TrackedWindow(window, frames, objects[own], found.masks[own], start.frame)
    indices = analysis.clip.indices
    after = before = None
    if number + 1 < len(long):
        after = _left(objects, indices, long.plan[number + 1].start - window.start)
    if number > 0:
        before = _left(objects, indices, long.plan[number - 1].stop - 1 - window.start)
    return tracked, after, before


def _left(objects: Masks, indices: Sequence[int], position: int) -> _Start | None:
    """What a window leaves on a frame that it shares."""
    mask = objects[position]
    return _Start(mask.copy(), indices[position]) if mask.any() else None
