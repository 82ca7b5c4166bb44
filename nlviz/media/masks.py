"""Masks of an object: read from a picture, or a folder with one for each frame, and written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nlviz.clip import Clip
from nlviz.errors import ExportError, MediaError
from nlviz.media import folder, images
from nlviz.media.mask_objects import MaskObjects, Masks
from nlviz.media.mask_picture import MaskPicture
from nlviz.media.sampling import MAX_BYTES
from nlviz.media.source import Source

_HELD = 8  # bytes for each pixel: its value, and which object it is on


MOST_OBJECTS = 255
"""Objects that a PNG's palette tells apart."""


def read_mask(path: str | os.PathLike[str], clip: Clip, *, label: int | str | None = None) -> Masks:
    """(H, W), True on the object that a picture of the clip's size shows.

    What is transparent or black is background. Any other grey value, palette index or colour is
    an object of its own, so 0 and 1 do as well as 0 and 255; with soft edges, in a JPEG, or with
    many values, the object is what is brighter than the middle grey.

    Args:
        path: an image file.
        clip: whose size it has.
        label: which object of several: its grey value or palette index, or its colour, "#ff0000".

    Raises:
        MediaError: a picture that cannot be read, or one of another size; several objects and no
            label, or a label that no object has.
    """
    (mask,) = read_objects(path, clip).mask(label)
    return np.asarray(mask)


def read_masks(
    path: str | os.PathLike[str], clip: Clip, *, label: int | str | None = None
) -> Masks:
    """(T, H, W) for a clip's sampled frames, from a folder with a picture for each frame.

    The folder holds one for each frame of the source, or one for each sampled frame, in natural
    order. What of them is the object, ``read_mask`` says; one ``label`` is one object in all.

    Raises:
        MediaError: not a folder of pictures, another length or size than the clip's, or too many
            to hold; several objects and no label, or a label that no object has.
    """
    return read_objects_of_frames(path, clip).mask(label)


def read_objects(path: str | os.PathLike[str], clip: Clip) -> MaskObjects:
    """All objects of a picture of the clip's size, see ``read_mask``; MediaError."""
    return MaskObjects.of(Path(path).name, [_picture(Path(path), clip)])


def read_objects_of_frames(
    path: str | os.PathLike[str], clip: Clip, *, part: tuple[int, int] | None = None
) -> MaskObjects:
    """All objects of a folder of pictures, see ``read_masks``; MediaError.

    Args:
        path: the folder.
        clip: whose frames they are of.
        part: positions among the sampled frames, from and up to, of the masks to read; all of them
            if None.
    """
    begin, end = part or (0, len(clip.frames))
    home = Path(path)
    if not home.is_dir():
        raise MediaError(f"'{path}' is not a folder; give one with a mask for each frame.")
    files = folder.images_of(home)
    if len(files) not in (clip.total, len(clip.frames)):
        raise MediaError(
            f"The folder '{path}' has {len(files)} masks, but the clip has {clip.total} frames, of "
            f"which {len(clip.frames)} are looked at; give a mask for each of the one or the other."
        )
    size = (end - begin) * clip.width * clip.height * _HELD
    if size > MAX_BYTES:
        raise MediaError(
            f"{end - begin} masks of {clip.width}×{clip.height} need {size / 2**30:.1f} GiB "
            f"at once, and at most {MAX_BYTES / 2**30:g} GiB are used; give the first one alone, "
            "or a smaller clip."
        )
    wanted = clip.indices if len(files) == clip.total else range(len(files))
    pictures = [_picture(files[i], clip) for i in wanted[begin:end]]
    return MaskObjects.of(home.resolve().name, pictures)


def mask_pngs(masks: NDArray[np.float32], frames: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """A name, ``00012.png``, and an 8-bit PNG for each mask, as ``read_masks`` reads them.

    Args:
        masks: (T, H, W), 0 to 1.
        frames: their source frame indices.
    """
    for frame, mask in zip(frames, masks, strict=True):
        _, content = cv2.imencode(".png", np.rint(mask * 255).astype(np.uint8))
        yield f"{frame:05d}.png", content.tobytes()


def object_pngs(
    numbers: Iterable[NDArray[np.uint16]], frames: Sequence[int]
) -> Iterator[tuple[str, bytes]]:
    """A name, ``00012.png``, and a PNG with a palette for each mask of several objects.

    The palette is that of Pascal VOC and DAVIS, so index k is object k and 0, black, is background.

    Args:
        numbers: (H, W) each, 0 on the background and k on the k-th object; at most 255 of them.
        frames: their source frame indices.

    Raises:
        ExportError: more objects than a palette holds.
    """
    for frame, each in zip(frames, numbers, strict=True):
        if each.max(initial=0) > MOST_OBJECTS:
            raise ExportError(
                f"A PNG's palette holds {MOST_OBJECTS} objects; carry fewer of them at a time."
            )
        image = Image.fromarray(each.astype(np.uint8), "P")
        image.putpalette(_davis_palette())
        content = io.BytesIO()
        image.save(content, "PNG")
        yield f"{frame:05d}.png", content.getvalue()


def _davis_palette() -> bytes:
    """Red, green and blue of index i: its bits, three by three, from the highest bit down."""
    colours = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for bit in range(8):
            set_ = (np.arange(256) >> (3 * bit + channel)) & 1
            colours[:, channel] |= (set_ << (7 - bit)).astype(np.uint8)
    return colours.tobytes()


def _picture(path: Path, clip: Clip) -> MaskPicture:
    source = Source.of(path)
    with images.open_image(source) as image:
        width, height = images.upright_size(image)
    if (width, height) != (clip.width, clip.height):
        raise MediaError(
            f"The mask '{source.name}' is {width}×{height} pixels, the clip "
            f"{clip.width}×{clip.height}; give masks of the clip's size."
        )
    return MaskPicture.read(source)
