"""Tracking through a long clip: each window carries the mask on that the one before it left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.progress import Progress
from nlviz.tracking.propagation import check_masks
from nlviz.tracking.protocol import Protocol
from nlviz.windows.long_analysis import LongAnalysis
from nlviz.windows.objects import HandedObjects, carry_objects, track_objects_windows
from nlviz.windows.plan import TimeWindow, WindowPlan

Masks = NDArray[np.bool_]


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
    """Carry a mask of one frame through all windows by a block's affinity.

    ``windows.objects.HANDED_ON`` says how it goes from window to window.

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
    for each in track_objects_windows(
        long, block, mask[None], frame=frame, protocol=protocol, progress=progress
    ):
        count = range(len(each.frames))
        masks = np.stack([each.soft(i)[0] for i in count])
        objects = np.stack([each.numbers(i) for i in count]) > 0
        yield TrackedWindow(each.window, each.frames, objects, masks, each.begun)


@dataclass(frozen=True, slots=True, eq=False)
class Handed:
    """A mask, (H, W), that a window begins with, and the source frame that it belongs to."""

    mask: Masks
    frame: int


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What one window made of a mask.

    Args:
        objects, masks: (T, H, W) of the frames that it answers for, as those of ``TrackedWindow``.
        after, before: what it hands to the next window and to the one before; None where there is
            none, or nothing is left of the object.
    """

    objects: Masks
    masks: NDArray[np.float32]
    after: Handed | None
    before: Handed | None


def carried(
    analysis: Analysis,
    plan: WindowPlan,
    number: int,
    block: str,
    start: Handed,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> Carried:
    """A mask through one window; QueryError as of ``nlviz.track``.

    Args:
        analysis: of the window.
        plan: all windows.
        number: which one it is.
        block: whose affinity.
        start: the mask that it begins with.
        protocol, progress: as for ``nlviz.track``.
    """
    window = plan[number]
    size = analysis.clip.width, analysis.clip.height
    given = HandedObjects(start.frame, check_masks(size, start.mask[None], ("1",)), {})
    made = carry_objects(
        analysis, plan, number, block, given, ("1",), protocol=protocol, progress=progress
    )
    own = range(window.own_start - window.start, window.own_stop - window.start)
    return Carried(
        np.stack([made.found.numbers(position) for position in own]) > 0,
        np.stack([made.found.soft(position)[0] for position in own]),
        _alone(made.after),
        _alone(made.before),
    )


def _alone(left: HandedObjects | None) -> Handed | None:
    return None if left is None else Handed(left.masks[0], left.frame)
