"""Estimate: what running windows will cost here, told before anything is run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nlviz.display import bytes_in_words, seconds_in_words
from nlviz.errors import BudgetError
from nlviz.inference.pace import free_now, held_now, measure
from nlviz.progress import Progress
from nlviz.windows.long_analysis import LongAnalysis

LONG = 600.0
"""Seconds above which somebody is asked first."""

_TRIED = 4  # frames that are decoded to see how long that takes
_LOWER = "a larger stride, a smaller input size or a shorter window makes it less"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What windows cost that were not run yet.

    Args:
        windows: how many there are to run.
        length: frames of each.
        positions: queries in the block that has the most of them, in each window.
        memory: bytes that this process will hold at most, as it holds some now.
        disk: bytes that will be written.
        seconds: how long it takes, by a probe on this machine.
        free_memory, free_disk: bytes that are free now; None where the system does not say.
    """

    windows: int
    length: int
    positions: int
    memory: int
    disk: int
    seconds: float
    free_memory: int | None = None
    free_disk: int | None = None

    @property
    def sentence(self) -> str:
        """All of it, to print before the work."""
        return (
            f"{self.windows} window{'s'[: self.windows > 1]} of {self.length} frames with up to "
            f"{self.positions:,} positions each: about {seconds_in_words(self.seconds)} on this "
            f"machine (measured now), {bytes_in_words(self.memory)} of memory and "
            f"{bytes_in_words(self.disk)} on disk."
        )

    @property
    def question(self) -> str:
        """Why somebody should be asked before, and what to lower; empty where nobody need be."""
        reasons = []
        if self.seconds > LONG:
            reasons.append(f"takes about {seconds_in_words(self.seconds)}")
        if self.free_memory is not None and self.memory - held_now() > self.free_memory:
            needed, free = bytes_in_words(self.memory), bytes_in_words(self.free_memory)
            reasons.append(f"needs {needed} of memory, where {free} is free")
        return f"This {' and '.join(reasons)}; {_LOWER}." if reasons else ""

    def check(self) -> None:
        """BudgetError where the disk is too small, so that it could not come to an end."""
        if self.free_disk is not None and self.disk > self.free_disk:
            raise BudgetError(
                f"The windows need {bytes_in_words(self.disk)} on disk, and "
                f"{bytes_in_words(self.free_disk)} is free there; a larger stride makes it less, "
                "or give another folder."
            )


def estimate(
    long: LongAnalysis,
    numbers: Sequence[int] | None = None,
    *,
    more: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    progress: Progress | None = None,
) -> Estimate | None:
    """What it will cost to run windows: the network on a few frames, and a few frames decoded.

    Args:
        long: the windows.
        numbers: of those that are wanted; all if None. Those that were run cost nothing.
        more: passes of every window that come after, for what is not held of it.
        clock: seconds, for tests.
        progress: as for ``analyse``.

    Returns:
        the estimate; None where nothing is left to run.

    Raises:
        MediaError, NetworkError, CaptureError, BudgetError: what reading and running raise.
    """
    waiting = [n for n in long.waiting() if numbers is None or n in set(numbers)]
    if not waiting:
        return None
    info, length = long.stream.info, len(long.plan[waiting[0]])
    pace = measure(
        long.network,
        info.width,
        info.height,
        size=long.size,
        most=length,
        clock=clock,
        progress=progress,
    )
    positions = {p for n in waiting for p in range(long.plan[n].start, long.plan[n].stop)}
    frame = info.width * info.height * 3
    return Estimate(
        windows=len(waiting),
        length=length,
        positions=pace.positions_of(length),
        memory=held_now() + pace.memory_of(length) + length * frame,
        disk=len(positions) * frame + 2 * len(waiting) * pace.kept_of(length),
        seconds=(len(waiting) + more * len(long)) * pace.seconds_of(length)
        + len(positions) * _to_decode(long, waiting[0], clock),
        free_memory=free_now(),
        free_disk=shutil.disk_usage(long.store.folder).free,
    )


def _to_decode(long: LongAnalysis, number: int, clock: Callable[[], float]) -> float:
    """Seconds from one sampled frame to the next, of the first few of a window."""
    start = long.plan[number].start
    stop = min(start + _TRIED, long.plan.count)
    frames = long.stream.frames(start, stop)
    next(frames)
    begun = clock()
    count = sum(1 for _ in frames)
    return (clock() - begun) / max(count, 1)
