"""A folder of images in natural order is a clip."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nlviz.clip import Clip
from nlviz.display import as_text
from nlviz.errors import MediaError
from nlviz.media import images
from nlviz.media.budget import Budget
from nlviz.media.info import MediaInfo
from nlviz.media.sampling import Sampling, check_clip
from nlviz.media.source import Source

RATE = 25.0
"""Frames a second: a folder has no clock of its own."""

CLOCK = f"A folder has no clock; {RATE:g} frames a second are assumed."
"""What is told of a folder of several images."""


def probe(folder: Path, name: str | None = None) -> MediaInfo:
    """See ``nlviz.media.probe``."""
    files = images_of(folder)
    width, height = _size(folder, files)
    duration = len(files) / RATE if len(files) > 1 else 0.0
    rate = RATE if len(files) > 1 else 0.0
    return MediaInfo(
        name or as_text(folder.resolve().name), width, height, len(files), duration, rate
    )


def read(
    folder: Path, sampling: Sampling, name: str | None = None, budget: Budget | None = None
) -> Clip:
    """See ``nlviz.media.read``."""
    files = images_of(folder)
    name = name or as_text(folder.resolve().name)
    budget = budget or Budget(name)
    indices = sampling.indices(len(files), name)
    width, height = _size(folder, files)
    check_clip(name, len(indices), width, height)
    # Each file is read as an image of its own; an animation gives its first frame.
    pictures = [images.read(Source.of(files[i]), Sampling(frames=1), budget) for i in indices]
    said = dict.fromkeys(note for picture in pictures for note in picture.notes)
    return Clip(
        frames=np.concatenate([picture.frames for picture in pictures]),
        indices=indices,
        timestamps=tuple(i / RATE for i in indices),
        name=name,
        total=len(files),
        path=str(folder),
        notes=(*sampling.notes(len(files)), *said, *([CLOCK] if len(files) > 1 else [])),
    )


def images_of(folder: Path) -> list[Path]:
    """Its image files in natural order; MediaError where there are none or one leaves it."""
    try:
        found = [p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file()]
    except OSError as error:
        raise MediaError(
            f"The folder '{folder}' cannot be opened ({error.strerror}); check its permissions."
        ) from None
    files = sorted((p for p in found if p.suffix.lower() in images.SUFFIXES), key=_natural)
    if not files:
        raise MediaError(
            f"The folder '{folder}' has no images; give a folder of PNG, JPEG, WebP or TIFF files."
        )
    home = folder.resolve()
    for file in files:
        if not file.resolve().is_relative_to(home):
            raise MediaError(
                f"'{file}' is a link that leaves its folder; put a copy of the image there."
            )
    return files


def _size(folder: Path, files: list[Path]) -> tuple[int, int]:
    """(width, height) that all files share, by their headers."""
    first = _header(files[0])
    for file in files[1:]:
        if (other := _header(file)) != first:
            raise MediaError(
                f"The images in '{folder}' differ in size: '{files[0].name}' is "
                f"{first[0]}×{first[1]}, '{file.name}' is {other[0]}×{other[1]}; make them alike."
            )
    return first


def _header(file: Path) -> tuple[int, int]:
    with images.open_image(Source.of(file)) as image:
        return images.upright_size(image)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts frame2 before frame10."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]
