"""The whole of a clip in windows as long as the part on screen: run in turns, kept on disk.

θ and φ of the windows lie in a folder of the server, memory-mapped at half precision, which counts
as visitors' files do and goes with whoever wanted it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nlviz.analysis import Analysis
from nlviz.app import paces, startup
from nlviz.app.choice import Choice, ClipPart
from nlviz.app.held import DISK, HeldFolder
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.shown import Shown
from nlviz.display import bytes_in_words, seconds_in_words
from nlviz.media.sampling import usual_overlap
from nlviz.progress import Progress, part_of

if TYPE_CHECKING:
    from nlviz.windows import LongAnalysis

_HALF = 2  # bytes of a number


@dataclass(frozen=True, slots=True)
class Cost:
    """What the windows of a whole clip cost.

    Args:
        windows: how many there are.
        frames: how many frames are sampled.
        disk: bytes that they take.
        seconds: how long the network takes; None where that was not measured here.
    """

    windows: int
    frames: int
    disk: int
    seconds: float | None

    @property
    def sentence(self) -> str:
        """All of it."""
        long = "" if self.seconds is None else f"about {seconds_in_words(self.seconds)} and "
        return (
            f"{self.frames} frames in {self.windows} windows: {long}{bytes_in_words(self.disk)} of "
            "the server's disk. What is done is kept for the next film or track."
        )

    @property
    def too_long(self) -> str:
        """Why this server does not do it; empty where it does."""
        longest = startup.longest()
        if self.seconds is None or self.seconds <= longest:
            return ""
        return (
            f"This takes about {seconds_in_words(self.seconds)}, and this server gives "
            f"{seconds_in_words(longest)} to one computation; take fewer frames (a larger 'Every "
            "n-th'), a smaller input, or the command line."
        )


def sampled(part: ClipPart) -> tuple[int, int, int]:
    """(frames of a window, stride, first frame): every frame of the part is among them."""
    stride = part.stride or 1
    return part.frames, stride, part.start % stride


def cost(choice: Choice, analysis: Analysis) -> Cost | None:
    """What the whole clip costs, by the window on screen; None where that is all, or none runs."""
    frames, stride, start = sampled(choice.part)
    count = len(range(start, analysis.clip.total, stride))
    if not choice.runs_again or choice.part.stride is None or count <= frames:
        return None
    windows = 1 + -(-(count - frames) // max(frames - usual_overlap(frames), 1))
    clip = analysis.clip
    kept = sum(each.theta.size + each.phi.size for each in analysis.affinities.values())
    disk = count * clip.width * clip.height * 3 + windows * kept * _HALF
    pace = paces.find(choice, (clip.width, clip.height))
    return Cost(windows, count, disk, None if pace is None else windows * pace.seconds_of(frames))


def place(shown: Shown, told: Cost, *, sizes: bool) -> HeldFolder:
    """The folder for the windows, the same for all who see the same; MediaError for no room."""
    choice = shown.choice
    part = sampled(choice.part)
    how = choice.model, shown.made_with, choice.size, choice.layer, part, sizes
    key = "windows", choice.material.id, *how
    return DISK.folder(key, told.disk, startup.disk_bytes())


@contextmanager
def run_through(
    shown: Shown, folder: HeldFolder, progress: Progress, *, sizes: bool
) -> Iterator[LongAnalysis]:
    """All windows of the clip, each run in a turn of its own where it was not yet.

    Args:
        shown: the part on screen.
        folder: as ``place`` gives it.
        progress: is told how far that is.
        sizes: measure what each place adds too.

    Raises:
        NlvizError: what reading and running raise, or windows that the network does not take.
    """
    choice = shown.choice
    frames, stride, start = sampled(choice.part)
    kind = kind_of("analysis", choice)
    with choice.material.open() as source:
        with one_at_a_time(progress, kind_of("opening", choice)) as told:
            told(0.0, "Looking through the clip")
            from nlviz.windows import open_long

            long = open_long(
                source,
                shown.network(),
                window=frames,
                stride=stride,
                start=start,
                size=choice.size,
                folder=folder.path,
                sizes=sizes,
                name=choice.material.name,
                features=choice.layers,
            )
        waiting = long.waiting()
        for done, number in enumerate(waiting):
            some = part_of(progress, done / len(waiting), (done + 1) / len(waiting))
            with one_at_a_time(_said(some, done + 1, len(waiting)), kind) as told:
                long.make_sure(number, told)
        yield long


def _said(progress: Progress, number: int, count: int) -> Progress:
    """Tells the window before whatever is told of it."""

    def told(fraction: float, what: str) -> None:
        progress(fraction, f"Window {number} of {count}: {what[:1].lower()}{what[1:]}")

    return told
