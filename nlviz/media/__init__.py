"""Reading clips: the only room that decodes files, and none of them may run code or open others."""

from __future__ import annotations

import os
from pathlib import Path

from nlviz.clip import Clip
from nlviz.media import folder, images, video
from nlviz.media.info import MediaInfo
from nlviz.media.masks import read_mask, read_masks
from nlviz.media.sampling import Sampling
from nlviz.media.source import Given, Source

__all__ = ["MediaInfo", "probe", "read", "read_mask", "read_masks"]


def read(
    source: Given,
    *,
    frames: int = 8,
    stride: int | None = None,
    start: int = 0,
    name: str | None = None,
) -> Clip:
    """Sampled frames of a video, an image, an animation or a folder of images, upright and RGB.

    Args:
        source: a path, a folder of images (natural order, one size), bytes, or a binary file.
        frames: how many frames to take, at least 1; a shorter clip gives all that it has.
        stride: source frames from one to the next; None spreads ``frames`` evenly to the end.
        start: source frame index of the first one, from 0.
        name: what to call it; needed for bytes and for files without a name.

    Raises:
        MediaError: the source cannot be read, is too large, or has no frame ``start``.
    """
    sampling = Sampling(frames=frames, stride=stride, start=start)
    if home := _folder(source):
        return folder.read(home, sampling, name)
    origin = Source.of(source, name)
    return images.read(origin, sampling) if images.knows(origin) else video.read(origin, sampling)


def probe(source: Given, name: str | None = None) -> MediaInfo:
    """Size and length of what ``read`` would read, as upright square pixels.

    Raises:
        MediaError: the source cannot be read or is too large.
    """
    if home := _folder(source):
        return folder.probe(home, name)
    origin = Source.of(source, name)
    return images.probe(origin) if images.knows(origin) else video.probe(origin)


def _folder(source: Given) -> Path | None:
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        return Path(source)
    return None
