"""Numbers and places from the command line; argparse reports what cannot be read."""

from __future__ import annotations

import argparse
from typing import Any

from nlviz.errors import QueryError
from nlviz.geometry import Point, Region


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def number(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def region(text: str) -> Region:
    """FRAME,X0,Y0,X1,Y1 as a box; with more corners, the outline that they make."""
    try:
        frame, *corners = text.split(",")
        xs, ys = [float(x) for x in corners[::2]], [float(y) for y in corners[1::2]]
        if len(corners) == 4:
            return Region.box(int(frame), xs[0], ys[0], xs[1], ys[1])
        return Region(int(frame), tuple(zip(xs, ys, strict=True)))
    except (ValueError, QueryError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FRAME,X0,Y0,X1,Y1, as in 0,300,120,380,200: a whole number and the "
            "corners of a box, or three and more corners of an outline"
        ) from None


def point(text: str) -> Point:
    """FRAME,X,Y as a point."""
    try:
        frame, x, y = text.split(",")
        return Point(int(frame), float(x), float(y))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FRAME,X,Y, as in 0,338,162: a whole number and two numbers"
        ) from None


def size(text: str) -> tuple[int, int]:
    """WxH, whole numbers of pixels of at least 1."""
    width, _, height = text.lower().replace("×", "x").partition("x")
    try:
        return count(width), count(height)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WxH, as in 640x360") from None


_CM = {"cm": 1.0, "mm": 0.1, "in": 2.54, "pt": 2.54 / 72.27}  # TeX's points


def length(text: str) -> float:
    """A length in centimetres."""
    size, unit = text[:-2], text[-2:]
    try:
        return float(size) * _CM[unit]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a length; write it as 8.4cm, 84mm, 252pt or 3.3in"
        ) from None


def field(text: str) -> tuple[str, Any]:
    """KEY=VALUE of an input's record: a number, several with commas between, or a word."""
    key, equals, value = text.partition("=")
    if not key or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, as in mean=0.5,0.5,0.5")
    parts = tuple(_value(part) for part in value.replace("×", ",").split(","))
    return key, parts if len(parts) > 1 or key in ("mean", "deviation", "classes") else parts[0]


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between."""
    return tuple(number(part) for part in text.split(","))


def comma_separated(text: str) -> tuple[str, ...]:
    """Words with commas between."""
    return tuple(part.strip() for part in text.split(","))
