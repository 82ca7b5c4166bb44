"""A query's weights as heat over small frames: the viewer's picture, made without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.geometry import Point, Region
from nlviz.links import Query
from nlviz.rows import Row, row_of

if TYPE_CHECKING:  # a picture is of an analysis, but needs none of what makes one
    from nlviz.analysis import Analysis

Picture = NDArray[np.uint8]
Numbers = NDArray[np.float64]

_VEIL = 0.4  # how much of the opacity a weight of zero gets, so that the rest stands out


def heat(
    analysis: Analysis,
    query: Query,
    positions: Sequence[int],
    width: int,
    *,
    opacity: float = 0.75,
    color: str = "#FFFFFF",
) -> list[Picture]:
    """Some frames with the query's row over them, scaled to the heaviest weight that can be linked.

    Args:
        analysis: the analysis.
        query: what is asked; what it excludes stays clear.
        positions: which sampled frames, from 0.
        width: of each picture in pixels; the height keeps the frame's shape.
        opacity: of the heat at the heaviest weight, 0 to 1.
        color: of the mark at the place asked about, ``#RRGGBB``.

    Returns:
        (height, width, 3) uint8 RGB for each position.

    Raises:
        QueryError: what ``row_of`` raises.
    """
    row = row_of(analysis, query)
    clip, view = analysis.clip, analysis.view
    height = max(1, round(width * clip.height / clip.width))
    tiles, across, down = _tiles(analysis, row, opacity), *_lattice(analysis, row, width, height)
    step_of = {p: t for t in range(row.grid.t) for p in view.positions(t, row.grid)}
    pictures = []
    for position in positions:
        frame = cv2.resize(clip.frames[position], (width, height), interpolation=cv2.INTER_AREA)
        picture = frame.astype(np.float32)
        if position in step_of:
            layer = cv2.remap(
                *(tiles[step_of[position]], across, down, cv2.INTER_LINEAR),
                borderMode=cv2.BORDER_REPLICATE,
            )
            alpha = layer[..., 3:]
            picture = picture * (1 - alpha) + layer[..., :3] * alpha
        drawn = np.ascontiguousarray(picture.round().astype(np.uint8))
        if getattr(query.point, "frame", None) == view.frames[position]:
            _mark(drawn, query, width / clip.width, color)
        pictures.append(drawn)
    return pictures


@lru_cache(maxsize=2)
def colours(signed: bool) -> NDArray[np.float32]:
    """(256, 4): the heat map's red, green, blue 0 to 255 and its opacity 0 to 1.

    Weights from 0 up rise evenly in lightness from dark violet to pale yellow; signed ones are
    blue below zero and orange above.
    """
    u = (np.arange(256) - 127.5) / 127.5 if signed else np.arange(256) / 255
    size = np.abs(u)
    if signed:
        light, chroma, hue = 0.2 + 0.6 * size, 0.01 + 0.13 * size, np.where(u < 0, 245, 62)
    else:
        light, chroma, hue = 0.2 + 0.76 * u, 0.08 + 0.13 * np.sin(np.pi * u**0.8), 290 + 170 * u
    alpha = _VEIL + (1 - _VEIL) * size**0.7
    return np.column_stack([_rgb(light, chroma, hue), alpha]).astype(np.float32)


def _rgb(light: Numbers, chroma: Numbers, hue: Numbers) -> Numbers:
    """OKLCH (lightness 0 to 1, chroma, hue in degrees) to sRGB 0 to 255, after Ottosson (2020)."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    cubes = (
        np.stack(
            [
                light + 0.3963377774 * a + 0.2158037573 * b,
                light - 0.1055613458 * a - 0.0638541728 * b,
                light - 0.0894841775 * a - 1.291485548 * b,
            ]
        )
        ** 3
    )
    linear = (
        np.array(
            [
                [4.0767416621, -3.3077115913, 0.2309699292],
                [-1.2684380046, 2.6097574011, -0.3413193965],
                [-0.0041960863, -0.7034186147, 1.707614701],
            ]
        )
        @ cubes
    ).clip(0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rgb: Numbers = 255 * curved.T
    return rgb


def _tiles(analysis: Analysis, row: Row, opacity: float) -> NDArray[np.float32]:
    """(T', H', W', 4): each cell's colour and opacity; 0 where no link is allowed."""
    weights = np.where(row.allowed, row.weights, 0)
    signed = bool((row.weights < 0).any())
    most = float(np.abs(weights).max()) or 1.0
    level = (weights / most + 1) * 127.5 if signed else weights / most * 255
    tiles: NDArray[np.float32] = colours(signed)[level.round().astype(np.intp)]
    tiles[..., 3] *= np.where(row.allowed, opacity, 0)
    return tiles


def _lattice(
    analysis: Analysis, row: Row, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Which column and row of the grid, in fractions, lies under each pixel of a picture."""
    view, grid = analysis.view, row.grid
    _, dy, dx = view.steps(grid)
    x0, y0 = view.origin(grid)
    x = (np.arange(width) + 0.5) * view.source[0] / width
    y = (np.arange(height) + 0.5) * view.source[1] / height
    across, down = np.meshgrid((x - x0) / dx, (y - y0) / dy)
    return across.astype(np.float32), down.astype(np.float32)


def _mark(picture: Picture, query: Query, scale: float, color: str) -> None:
    """A dot, or a region's outline, dark around its colour."""
    rgb = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
    if isinstance(query.point, Region):
        outline = np.round(np.array(query.point.outline) * scale * 16).astype(np.int32)
        for ink, thick in (((20, 24, 30), 4), (rgb, 2)):
            cv2.polylines(picture, [outline], True, ink, thick, cv2.LINE_AA, 4)
    elif isinstance(query.point, Point):
        centre = round(query.point.x * scale), round(query.point.y * scale)
        for ink, radius in (((20, 24, 30), 6), (rgb, 4)):
            cv2.circle(picture, centre, radius, ink, cv2.FILLED, cv2.LINE_AA)
