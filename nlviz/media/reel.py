"""Reel: what is known of a file once it was looked through, so that it need not be again."""

from __future__ import annotations

from dataclasses import dataclass

from nlviz.clip import Clip
from nlviz.media import images, video
from nlviz.media.budget import Budget
from nlviz.media.frame_index import FrameIndex
from nlviz.media.info import MediaInfo
from nlviz.media.sampling import Sampling
from nlviz.media.source import Given, Source
from nlviz.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class Reel:
    """A file's size and length, and which frames a video has and when; None for images."""

    info: MediaInfo
    frame_index: FrameIndex | None = None

    def read(self, source: Given, sampling: Sampling, progress: Progress | None = None) -> Clip:
        """As ``nlviz.media.read`` of the same file, without looking through it again."""
        origin = Source.of(source, self.info.name)
        with Budget(origin.name, progress).kept() as budget:
            if self.frame_index is None:
                return images.read(origin, sampling, budget)
            return video.read(origin, sampling, budget, self.frame_index)


def look_through(
    source: Given, sampling: Sampling, name: str, progress: Progress | None = None
) -> tuple[Reel, Clip]:
    """A file's reel and a clip of it, decoded once for both.

    Args:
        source: a path, bytes, or a binary file; no folder.
        sampling: which frames the clip takes.
        name: what to call it.
        progress: as for ``nlviz.media.read``.

    Raises:
        MediaError: as ``nlviz.media.read``.
    """
    origin = Source.of(source, name)
    with Budget(origin.name, progress).kept() as budget:
        if images.knows(origin):
            info, clip = images.look_through(origin, sampling, budget)
            return Reel(info), clip
        info, frame_index, clip = video.look_through(origin, sampling, budget)
        return Reel(info, frame_index), clip
