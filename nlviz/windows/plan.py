"""WindowPlan: which of a clip's sampled frames a network sees together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from nlviz.errors import QueryError
from nlviz.media.sampling import usual_overlap


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Neighbouring sampled frames that a network sees together.

    Args:
        number: from 0.
        start, stop: positions among the sampled frames, the stop not included.
        own_start, own_stop: of these, the positions that this window answers for: an overlap is
            halved between the two windows that share it.
    """

    number: int
    start: int
    stop: int
    own_start: int
    own_stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """How sampled frames are cut into windows, all of one length; the last one ends at the end.

    Where the windows do not come out even, the last begins earlier and shares more frames with the
    one before it. A clip that is not longer than a window is one window.

    Args:
        count: how many frames are sampled.
        length: frames of a window.
        overlap: frames that a window shares with the next; a quarter of its length if None.
        step: how many frames the network takes at a time: both are multiples of it.
        only: the number of frames that the network takes and no other, or None.

    Raises:
        QueryError: a window shorter than the network's step, a length or overlap that is no
            multiple of it, or an overlap that leaves nothing new to a window.
    """

    count: int
    length: int
    overlap: int | None = None
    step: int = 1
    only: int | None = None
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False, default=())
    _borders: tuple[int, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        length, step = self.length, self.step
        if self.only is not None and length != self.only:
            raise QueryError(
                f"A window of {_frames(length)} does not fit this network, which takes {self.only} "
                f"frames; choose a window of {self.only}."
            )
        if length < max(step, 1):
            raise QueryError(
                f"A window of {_frames(length)} is shorter than the network's step, the {step} it "
                f"takes at a time; choose a window of {step} or more."
            )
        if length % step:
            raise QueryError(
                f"A window of {_frames(length)} is no multiple of the network's step of {step}; "
                f"choose {length // step * step} or {-(-length // step) * step}."
            )
        if self.overlap is None:
            object.__setattr__(self, "overlap", usual_overlap(length, step))
        shared = self.shared
        if not 0 <= shared < length or shared % step:
            of = f" that are a multiple of {step}" if step > 1 else ""
            raise QueryError(
                f"An overlap of {_frames(shared)} does not go with a window of {length}; choose 0 "
                f"to {length - step}{of}."
            )
        last = max(self.count - length, 0)
        last = -(-last // step) * step  # where the network's steps of the other windows lie
        starts = (*range(0, last, length - shared), last)
        between = ((start + before + length + 1) // 2 for before, start in pairwise(starts))
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_borders", (0, *between, self.count))

    @property
    def shared(self) -> int:
        """Frames that a window shares with the next."""
        return self.overlap or 0

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._starts)

    def __getitem__(self, number: int) -> TimeWindow:
        if not 0 <= number < len(self):
            raise IndexError(number)
        start = self._starts[number]
        stop = min(start + self.length, self.count)
        return TimeWindow(number, start, stop, *self._borders[number : number + 2])

    def __iter__(self) -> Iterator[TimeWindow]:
        return (self[number] for number in range(len(self)))

    def at(self, position: int) -> TimeWindow:
        """The window that answers for a sampled frame; QueryError outside the clip."""
        if not 0 <= position < self.count:
            raise QueryError(f"Position {position} lies outside the {self.count} sampled frames.")
        return self[bisect_right(self._borders, position) - 1]


def _frames(count: int) -> str:
    return f"{count} frame" if count == 1 else f"{count} frames"
