"""Reading clips: the only room that decodes files, and none of them may run code or open others."""

from __future__ import annotations

import os
from pathlib import Path

from nlviz.clip import Clip
from nlviz.media import folder, images, video
from nlviz.media.budget import Budget
from nlviz.media.info import MediaInfo
from nlviz.media.masks import read_mask, read_masks
from nlviz.media.sampling import Sampling
from nlviz.media.source import Given, Source
from nlviz.progress import Progress

__all__ = ["MediaInfo", "probe", "read", "read_mask", "read_masks"]


def read(
    source: Given,
    *,
    frames: int = 8,
    stride: int | None = None,
    start: int = 0,
    name: str | None = None,
    progress: Progress | None = None,
) -> Clip:
    """Sampled frames of a video, an image, an animation or a folder of images, upright and RGB.

    Args:
        source: a path, a folder of images (natural order, one size), bytes, a binary file, or
            ``"sample:FILE"`` for a sample.
        frames: how many frames to take, at least 1; a shorter clip gives all that it has.
        stride: source frames from one to the next; None spreads ``frames`` evenly to the end.
        start: source frame index of the first one, from 0.
        name: what to call it; needed for bytes and for files without a name.
        progress: called several times a second with a fraction from 0 to 1 and a word on what is
            being done; what it raises ends the reading.

    Raises:
        MediaError: the source cannot be read, is too large, takes too long to decode, or has no
            frame ``start``; or the sample is not there.
    """
    sampling = Sampling(frames=frames, stride=stride, start=start)
    if home := _folder(source):
        with Budget(name or home.name, progress).kept() as budget:
            return folder.read(home, sampling, name, budget)
    origin = Source.of(source, name)
    with Budget(origin.name, progress).kept() as budget:
        if images.knows(origin):
            return images.read(origin, sampling, budget)
        return video.read(origin, sampling, budget)


def probe(source: Given, name: str | None = None, progress: Progress | None = None) -> MediaInfo:
    """Size and length of what ``read`` would read, as upright square pixels.

    ``progress`` is called as by ``read``.

    Raises:
        MediaError: the source cannot be read, is too large, or takes too long to decode.
    """
    if home := _folder(source):
        return folder.probe(home, name)
    origin = Source.of(source, name)
    with Budget(origin.name, progress).kept() as budget:
        return images.probe(origin, budget) if images.knows(origin) else video.probe(origin, budget)


def _folder(source: Given) -> Path | None:
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        return Path(source)
    return None
