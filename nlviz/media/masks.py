"""Masks of an object: read from a picture, or a folder with one for each frame, and written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.media import folder, images
from nlviz.media.sampling import Sampling
from nlviz.media.source import Source

Masks = NDArray[np.bool_]


def read_mask(path: str | os.PathLike[str], clip: Clip) -> Masks:
    """(H, W), True where a picture of the clip's size is brighter than the middle grey.

    Raises:
        MediaError: a picture that cannot be read, or one of another size.
    """
    (mask,) = _bright(images.read(Source.of(path), Sampling(frames=1)), clip)
    return np.asarray(mask)


def read_masks(path: str | os.PathLike[str], clip: Clip) -> Masks:
    """(T, H, W) for a clip's sampled frames, from a folder with a picture for each frame.

    The folder holds one for each frame of the source, or one for each sampled frame, in natural
    order.

    Raises:
        MediaError: not a folder of pictures, or another length or size than the clip's.
    """
    home = Path(path)
    if not home.is_dir():
        raise MediaError(f"'{path}' is not a folder; give one with a mask for each frame.")
    count = folder.probe(home).total
    if count not in (clip.total, len(clip.frames)):
        raise MediaError(
            f"The folder '{path}' has {count} masks, but the clip has {clip.total} frames, of "
            f"which {len(clip.frames)} are looked at; give a mask for each of the one or the other."
        )
    wanted = clip.indices if count == clip.total else range(count)
    read = [folder.read(home, Sampling(frames=1, start=i)) for i in wanted]
    return np.concatenate([_bright(each, clip) for each in read])


def mask_pngs(masks: NDArray[np.float32], frames: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """A name, ``00012.png``, and an 8-bit PNG for each mask, as ``read_masks`` reads them.

    Args:
        masks: (T, H, W), 0 to 1.
        frames: their source frame indices.
    """
    for frame, mask in zip(frames, masks, strict=True):
        _, content = cv2.imencode(".png", np.rint(mask * 255).astype(np.uint8))
        yield f"{frame:05d}.png", content.tobytes()


def _bright(picture: Clip, clip: Clip) -> Masks:
    if (picture.width, picture.height) != (clip.width, clip.height):
        raise MediaError(
            f"The mask '{picture.name}' is {picture.width}×{picture.height} pixels, the clip "
            f"{clip.width}×{clip.height}; give masks of the clip's size."
        )
    bright: Masks = picture.frames.max(axis=3) > 127
    return bright
