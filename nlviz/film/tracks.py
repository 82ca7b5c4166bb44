"""Films of what was tracked: objects tinted, and points with the trails that they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.film import ink
from nlviz.film.film import Film
from nlviz.film.query_heat import caption
from nlviz.film.sheet import Picture, Sheet
from nlviz.film.style import check_rate
from nlviz.heat.colormap import PALETTE
from nlviz.heat.tint import tinted
from nlviz.tracking.points import FollowedPoints

_RATE = Fraction(12)
TRAIL = 16
"""Frames that a trail goes back."""


@dataclass(frozen=True, slots=True)
class TrackStyle:
    """How a film of what was tracked looks.

    Args:
        width: of the picture in pixels; the clip's own, up to 1280, if None.
        rate: frames of the clip a second; 12 if None.
        palette: the colours, ``#RRGGBB``; they begin again after the last.
        comment: kept in the file.
    """

    width: int | None = None
    rate: float | None = None
    palette: Sequence[str] = PALETTE
    comment: str = ""

    @property
    def speed(self) -> Fraction:
        """Pictures a second; ExportError out of range."""
        check_rate(self.rate)
        return _RATE if self.rate is None else Fraction(self.rate)


def objects_film(
    clip: Clip,
    numbers: Callable[[int], NDArray[np.uint16]],
    words: str,
    style: TrackStyle = TrackStyle(),
) -> Film:
    """The clip frame by frame with its objects tinted.

    Args:
        clip: the frames.
        numbers: (H, W) of a sampled frame by its position: 0 on the background, k on an object.
        words: stand before the frame's number in the caption.
        style: how it looks.

    Raises:
        ExportError: a size or rate out of range.
    """

    def draw(position: int) -> Picture:
        picture, sheet = _page(clip, position, style, words)
        width, height = sheet.frame
        picture[:height, :width] = tinted(
            picture[:height, :width], numbers(position), style.palette
        )
        return picture

    Sheet.of(clip, (0,), style.width)  # a wrong width raises now
    return Film(len(clip.frames), style.speed, draw, style.comment)


def points_film(
    clip: Clip, found: FollowedPoints, words: str, style: TrackStyle = TrackStyle()
) -> Film:
    """The clip frame by frame, each point with its trail; a ring where it is not believed.

    Args:
        clip: the frames.
        found: the points.
        words: stand before the frame's number in the caption.
        style: how it looks.

    Raises:
        ExportError: a size or rate out of range.
    """
    visible = found.visible

    def draw(position: int) -> Picture:
        picture, sheet = _page(clip, position, style, words)
        unit = max(1.0, sheet.width / 960)
        for i in range(len(found.points)):
            colour = ink.colour(style.palette[i % len(style.palette)])
            places = found.places[i, max(position - TRAIL, 0) : position + 1] * sheet.scale
            ink.trail(picture, [(x, y) for x, y in places.tolist()], colour, 2 * unit)
            mark = ink.disc if visible[i, position] else ink.ring
            mark(picture, (places[-1, 0], places[-1, 1]), colour, 3.5 * unit)
        return picture

    Sheet.of(clip, (0,), style.width)  # a wrong width raises now
    return Film(len(clip.frames), style.speed, draw, style.comment)


def _page(clip: Clip, position: int, style: TrackStyle, words: str) -> tuple[Picture, Sheet]:
    sheet = Sheet.of(clip, (position,), style.width)
    picture = sheet.picture()
    seconds = clip.timestamps[position]
    caption(picture, sheet, f"{words} · frame {clip.indices[position]} · {seconds:.2f} s")
    return picture, sheet
