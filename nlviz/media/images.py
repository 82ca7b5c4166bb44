"""Images and animations, by Pillow: any mode to upright RGB, and no format that runs code."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.media import gif_frames
from nlviz.media.budget import Budget
from nlviz.media.info import MediaInfo
from nlviz.media.orientation import TRANSPARENT, Orientation, on_white
from nlviz.media.sampling import (
    MAX_PIXELS,
    MOST_PLAYED,
    Sampling,
    check_clip,
    check_count,
    check_frame,
    check_played,
    out_of_memory,
)
from nlviz.media.source import Source

Pixels = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM", "JPEG2000")
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".bmp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2"),
)
ANIMATED = ("PNG", "GIF", "WEBP", "AVIF", "TIFF")
# What Pillow's readers raise on damaged files.
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError),
    *(EOFError, AttributeError, RuntimeError, struct.error, zlib.error),
)

# EXIF orientation → how to set the picture upright.
ORIENTATIONS = {
    2: Orientation(mirror_x=True),
    3: Orientation(mirror_x=True, mirror_y=True),
    4: Orientation(mirror_y=True),
    5: Orientation(swap=True),
    6: Orientation(swap=True, mirror_x=True),
    7: Orientation(swap=True, mirror_x=True, mirror_y=True),
    8: Orientation(swap=True, mirror_y=True),
}
# Browsers show frames that ask for 10 ms or less for 100 ms; so does everyone who made the file.
SHORTEST, USUAL = 0.011, 0.1


def knows(source: Source) -> bool:
    """Whether the content starts as an image does, whatever the file is called."""
    head = source.head(32)
    brands = head[8:] if head[4:8] == b"ftyp" else b""
    avif = b"avif" in brands or b"avis" in brands
    if not avif and brands[:4] in (b"heic", b"heix", b"mif1", b"msf1"):
        raise MediaError(
            f"'{source.name}' is a HEIC photo, which is not read here; save it as JPEG or PNG."
        )
    starts = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
    return (
        head.startswith(starts)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or avif
        or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace())
    )


def probe(source: Source, budget: Budget) -> MediaInfo:
    """See ``nlviz.media.probe``."""
    with open_image(source) as image:
        total = _count(image, source, budget)
        if total > 1:
            check_played(source.name, total, *upright_size(image))
        ends = [end for _, _, end in _play(image, total, budget)] if total > 1 else []
        return _info(source.name, upright_size(image), total, ends)


def read(source: Source, sampling: Sampling, budget: Budget | None = None) -> Clip:
    """See ``nlviz.media.read``."""
    _, clip = _played(source, sampling, budget or Budget(source.name), whole=False)
    return clip


def look_through(source: Source, sampling: Sampling, budget: Budget) -> tuple[MediaInfo, Clip]:
    """What an image or animation holds, and some of its frames, decoded once."""
    return _played(source, sampling, budget, whole=True)


def times(source: Source, budget: Budget) -> tuple[MediaInfo, tuple[float, ...]]:
    """What an image or animation holds, and the second at which each frame begins."""
    with open_image(source) as image:
        total = _count(image, source, budget)
        if total == 1:
            return _info(source.name, upright_size(image), 1, []), (0.0,)
        check_played(source.name, total, *upright_size(image))
        played = [(begin, end) for _, begin, end in _play(image, total, budget)]
        info = _info(source.name, upright_size(image), len(played), [end for _, end in played])
        return info, tuple(begin for begin, _ in played)


def play(source: Source, wanted: Sequence[int], budget: Budget) -> Iterator[Pixels]:
    """The upright RGB frames at some rising indices, each as it is played; fewer where damaged."""
    among = set(wanted)
    with open_image(source) as image:
        upright = orientation(image)
        for index, _, _ in _play(image, max(among) + 1, budget):
            if index in among:
                yield upright(rgb(image)[0])


def _played(
    source: Source, sampling: Sampling, budget: Budget, *, whole: bool
) -> tuple[MediaInfo, Clip]:
    """The sampled frames; what the file holds is right where the ``whole`` of it is played."""
    with open_image(source) as image:
        total = _count(image, source, budget)
        wanted = sampling.indices(total, source.name)
        upright = orientation(image)
        check_clip(source.name, len(wanted), *image.size)
        last = total if whole else wanted[-1] + 1
        if last > 1:
            check_played(source.name, last, *image.size)
        taken: list[tuple[int, float, Pixels]] = []
        notes: dict[str, None] = {}
        ends: list[float] = []
        for index, begin, end in _play(image, last, budget):
            ends.append(end)
            if index in wanted:
                pixels, said = rgb(image)
                taken.append((index, begin, upright(pixels)))
                notes.update(dict.fromkeys(said))
        if len(taken) < len(wanted):
            notes[
                f"The file is damaged: of its {total} frames only the first ones can be read."
            ] = None
        clip = Clip(
            frames=np.stack([pixels for _, _, pixels in taken]),
            indices=tuple(index for index, _, _ in taken),
            timestamps=tuple(begin for _, begin, _ in taken),
            name=source.name,
            total=total,
            path=source.path,
            notes=(*source.notes, *sampling.notes(total), *notes, *_turned(upright)),
        )
        return _info(source.name, (clip.width, clip.height), total, ends), clip


def _info(name: str, size: tuple[int, int], total: int, ends: list[float]) -> MediaInfo:
    if total == 1:
        return MediaInfo(name, *size, 1, 0.0, 0.0)
    return MediaInfo(name, *size, total, ends[-1], len(ends) / ends[-1])


@contextmanager
def open_image(source: Source) -> Iterator[Image.Image]:
    """The image with its header read and nothing decoded; trouble becomes one MediaError."""
    with source.open() as file:
        try:
            with _header(file) as image:
                check_frame(source.name, *image.size)
                yield image
        except Image.DecompressionBombError:
            raise MediaError(
                f"'{source.name}' has more than {MAX_PIXELS / 1e6:.0f} million pixels; "
                "make it smaller first."
            ) from None
        except MemoryError:
            raise out_of_memory(source.name) from None
        except BROKEN:
            raise MediaError(
                f"'{source.name}' is damaged or cut off; save or download it again."
            ) from None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) after the orientation that its EXIF asks for."""
    return orientation(image).size(*image.size)


def rgb(image: Image.Image) -> tuple[Pixels, tuple[str, ...]]:
    """The current frame as (H, W, 3) RGB, and what was done to its colours."""
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        return _grey(grey), ("Its 16-bit values are shown in 8 bits.",)
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, np.float64))
        low, high = float(values.min()), float(values.max())
        grey = np.rint((values - low) * (255 / ((high - low) or 1)))
        return _grey(grey), (f"Its values, {low:g} to {high:g}, are shown as black to white.",)
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        if rgba[..., 3].min() < 255:
            return on_white(rgba), (TRANSPARENT,)
        return rgba[..., :3], ()
    said = ("Its CMYK colours are shown without a colour profile.",) if image.mode == "CMYK" else ()
    return np.asarray(image.convert("RGB")), said


def _grey(values: NDArray[np.generic]) -> Pixels:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def _header(file: IO[bytes]) -> Image.Image:
    with warnings.catch_warnings():
        # Our own limit says it in one sentence.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file, formats=FORMATS)


def _count(image: Image.Image, source: Source, budget: Budget) -> int:
    if image.format not in ANIMATED:
        return 1
    if image.format == "TIFF":
        return _pages(image, source, budget)
    if image.format == "GIF":  # Pillow takes minutes to count millions, and cannot be stopped
        with source.open() as file:
            check_count(source.name, gif_frames.count(file, MOST_PLAYED + 1, budget.look))
    return int(getattr(image, "n_frames", 1))


def _pages(image: Image.Image, source: Source, budget: Budget) -> int:
    """Pages of one size are a stack; others are thumbnails and layers of the first."""
    first, total = image.size, 1
    same = True
    while True:
        budget.look()
        try:
            image.seek(total)
        except EOFError:
            break
        same = same and image.size == first
        total += 1
        check_count(source.name, total)
    image.seek(0)
    return total if same else 1


def _play(image: Image.Image, count: int, budget: Budget) -> Iterator[tuple[int, float, float]]:
    """(index, begin, end in seconds) of the first ``count`` frames, each loaded when it comes.

    Stops early at a damaged frame, and at one of another size, which Pillow would enlarge the
    picture for past any limit; a damaged first frame raises.
    """
    end, size = 0.0, image.size
    for index in range(count):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is wrong is said in one sentence
                image.seek(index)
                if image.size != size:
                    return
                image.load()
        except BROKEN:
            if index == 0:
                raise
            return
        budget.share = index / count
        budget.spend(*size)
        shown = float(image.info.get("duration") or 0) / 1000
        begin, end = end, end + (shown if shown >= SHORTEST else USUAL)
        yield index, begin, end


def orientation(image: Image.Image) -> Orientation:
    """How its EXIF asks to turn it."""
    try:
        return ORIENTATIONS.get(image.getexif().get(0x0112, 1), Orientation())
    except BROKEN:
        return Orientation()


def _turned(upright: Orientation) -> tuple[str, ...]:
    return () if upright == Orientation() else ("Turned upright as its EXIF orientation says.",)
