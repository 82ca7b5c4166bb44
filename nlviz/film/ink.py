"""Ink: arcs, discs, rings and words on a picture, with a dark rim so that they read anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nlviz.figures.marks import BEND, FONT
from nlviz.film.sheet import Picture

Spot = tuple[float, float]
Colour = tuple[int, int, int]

_SHIFT = 4  # binary digits of a pixel that OpenCV's drawing takes
_RIM: Colour = (0, 0, 0)
_STEPS = 24


def colour(hexadecimal: str) -> Colour:
    """#RRGGBB as red, green, blue."""
    value = int(hexadecimal[1:], 16)
    return value >> 16, value >> 8 & 255, value & 255


def arc(
    picture: Picture, begin: Spot, end: Spot, paint: Colour, width: float, opacity: float = 1.0
) -> None:
    """A bent line between two places."""
    points = along(begin, end)
    lines = np.round(np.array(points) * 2**_SHIFT).astype(np.int32)
    mixed = picture.copy()
    for thick, ink in ((width + 2, _RIM), (width, paint)):
        cv2.polylines(mixed, [lines], False, ink, max(1, round(thick)), cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(mixed, opacity, picture, 1 - opacity, 0, dst=picture)


def trail(picture: Picture, places: Sequence[Spot], paint: Colour, width: float) -> None:
    """Straight lines through places, the older the fainter."""
    for number in range(1, len(places)):
        lines = np.round(np.array(places[number - 1 : number + 1]) * 2**_SHIFT).astype(np.int32)
        mixed, opacity = picture.copy(), 0.25 + 0.75 * number / (len(places) - 1)
        for thick, ink in ((width + 2, _RIM), (width, paint)):
            cv2.polylines(mixed, [lines], False, ink, max(1, round(thick)), cv2.LINE_AA, _SHIFT)
        cv2.addWeighted(mixed, opacity, picture, 1 - opacity, 0, dst=picture)


def along(begin: Spot, end: Spot, part: float = 1.0) -> list[Spot]:
    """Points of the first part of an arc, bent as the figures' arcs are."""
    (x0, y0), (x1, y1) = begin, end
    side = -1 if x1 < x0 else 1
    middle = (
        (x0 + x1) / 2 + side * 2 * BEND * (y1 - y0) / 2,
        (y0 + y1) / 2 - side * 2 * BEND * (x1 - x0) / 2,
    )
    ways = (part * i / _STEPS for i in range(_STEPS + 1))
    return [
        (
            (1 - u) ** 2 * x0 + 2 * u * (1 - u) * middle[0] + u**2 * x1,
            (1 - u) ** 2 * y0 + 2 * u * (1 - u) * middle[1] + u**2 * y1,
        )
        for u in ways
    ]


def disc(picture: Picture, place: Spot, paint: Colour, radius: float) -> None:
    """A filled disc in a white and a dark ring: where one points."""
    for more, ink in ((3.0, _RIM), (2.0, (255, 255, 255)), (0.0, paint)):
        _circle(picture, place, radius + more, ink, -1)


def dot(picture: Picture, place: Spot, paint: Colour, radius: float) -> None:
    """A filled dot in a dark rim: where a link ends."""
    _circle(picture, place, radius + 1.2, _RIM, -1)
    _circle(picture, place, radius, paint, -1)


def ring(picture: Picture, place: Spot, paint: Colour, radius: float) -> None:
    """A ring: the place pointed at, on a frame where it is not."""
    _circle(picture, place, radius, _RIM, 4)
    _circle(picture, place, radius, paint, 2)


def outline(picture: Picture, corners: Sequence[Spot], paint: Colour) -> None:
    """A closed line."""
    lines = np.round(np.array(corners) * 2**_SHIFT).astype(np.int32)
    for thick, ink in ((4, _RIM), (2, paint)):
        cv2.polylines(picture, [lines], True, ink, thick, cv2.LINE_AA, _SHIFT)


def text_line(picture: Picture, place: Spot, text: str, size: int, paint: Colour) -> None:
    """Words from a place on, centred on its height; cut off at the picture's edge."""
    x, y = round(place[0]), round(place[1])
    strip = picture[max(0, y - size) : y + size, x:]
    image = Image.fromarray(strip)
    ImageDraw.Draw(image).text((0, strip.shape[0] / 2), text, paint, _font(size), anchor="lm")
    strip[:] = np.asarray(image)


def _circle(picture: Picture, place: Spot, radius: float, paint: Colour, thick: int) -> None:
    x, y = (round(at * 2**_SHIFT) for at in place)
    size = max(1, math.ceil(radius * 2**_SHIFT))
    cv2.circle(picture, (x, y), size, paint, thick, cv2.LINE_AA, _SHIFT)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    file = f"{FONT.replace(' ', '')}.ttf"  # Matplotlib's own, the figures' too
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file, size)
