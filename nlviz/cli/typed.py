"""What is typed, as numbers and places; argparse tells what it is not."""

from __future__ import annotations

import argparse

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
    """FRAME,X0,Y0,X1,Y1 as a box."""
    try:
        frame, x0, y0, x1, y1 = text.split(",")
        return Region.box(int(frame), float(x0), float(y0), float(x1), float(y1))
    except (ValueError, QueryError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FRAME,X0,Y0,X1,Y1, as in 0,300,120,380,200: a whole number and the "
            "corners of a box"
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
