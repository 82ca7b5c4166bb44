"""Frames of what was tracked: pictures in a row as HTML, and layers that lie over the clip."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.film.ink import colour, disc, ring, trail
from nlviz.media.jpeg import data_address
from nlviz.tracking import FollowedPoints
from nlviz.viewer import blobs

_WIDTH = 360  # pixels across of a frame
_TRAIL = 16  # frames that a trail goes back


def small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame as large as it is shown in a row."""
    width = min(_WIDTH, frame.shape[1])
    size = width, max(1, round(width * frame.shape[0] / frame.shape[1]))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def with_points(
    picture: NDArray[np.uint8], found: FollowedPoints, position: int, colors: Sequence[str]
) -> NDArray[np.uint8]:
    """A frame of any size with each point and the way that it came."""
    scale = picture.shape[1] / found.size[0]
    drawn = np.ascontiguousarray(picture)
    for i, name in enumerate(colors):
        way = found.places[i, max(position - _TRAIL, 0) : position + 1] * scale
        places = [(x, y) for x, y in way.tolist()]
        trail(drawn, places, colour(name), 2.0)
        (disc if found.visible[i, position] else ring)(drawn, places[-1], colour(name), 3.5)
    return drawn


def points_layer(found: FollowedPoints, position: int, colors: Sequence[str]) -> NDArray[np.uint8]:
    """(h, w, 4): the same on nothing, to lie over the clip."""
    width, height = found.size
    wide = min(blobs.WIDEST, width)
    size = max(1, round(wide * height / width)), wide
    grounds = [np.full((*size, 3), ground, np.uint8) for ground in (0, 255)]
    black, white = (with_points(each, found, position, colors) for each in grounds)
    # What differs between black and white lets the ground through.
    through = white.astype(np.int16) - black
    alpha = np.asarray(255 - through.max(axis=2), np.int16)
    straight = black.astype(np.int32) * 255 // np.maximum(alpha, 1)[..., None]
    return np.dstack([straight.clip(0, 255), alpha]).astype(np.uint8)


def row_of(
    frames: Sequence[int],
    pictures: Sequence[NDArray[np.uint8]],
    told: Sequence[str],
    start: int,
    what: str,
) -> str:
    """The frames as HTML, each with what is told of it."""
    figures = [
        f'<figure><img src="{data_address(picture, 85)}" alt="Frame {frame} with {what}">'
        f"<figcaption>frame {frame}{' · start' if frame == start else ''}"
        f"<span>{escape(words)}</span></figcaption></figure>"
        for frame, picture, words in zip(frames, pictures, told, strict=True)
    ]
    return f'<div class="tracked">{"".join(figures)}</div>'
