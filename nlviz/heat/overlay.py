"""A query's weights as heat over small frames: the viewer's picture, made without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.ask.rows import Row, row_of
from nlviz.geometry import Point, Region
from nlviz.heat.colormap import Colours, coloured
from nlviz.heat.scale import Against, Curve, HeatScale, heat_scale
from nlviz.query import Query

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shade:
    """How weights become colours, as the viewer's controls say it.

    Args:
        opacity: at the last colour, 0 to 1.
        colours: the map of weights from 0 up; signed ones have their own.
        against: what the last colour stands for: the heaviest weight of the row that can be linked,
            of the whole block, or 1. Contributions are scaled to their row.
        curve: of the weights.
    """

    opacity: float = 0.75
    colours: Colours = "dusk"
    against: Against = "row"
    curve: Curve = "linear"


def heat(
    analysis: Analysis,
    query: Query,
    positions: Sequence[int],
    width: int,
    shade: Shade = Shade(),
    *,
    color: str = "#FFFFFF",
) -> list[Picture]:
    """Some frames with the query's row over them.

    Args:
        analysis: the analysis.
        query: what is asked; what it excludes stays clear.
        positions: which sampled frames, from 0.
        width: of each picture in pixels; the height keeps the frame's shape.
        shade: how weights become colours.
        color: of the mark at the place asked about, ``#RRGGBB``.

    Returns:
        (height, width, 3) uint8 RGB for each position.

    Raises:
        QueryError: what ``row_of`` raises.
    """
    row = row_of(analysis, query)
    clip, view = analysis.clip, analysis.view
    height = max(1, round(width * clip.height / clip.width))
    scale = scale_of(analysis, query, row, shade)
    tiles, across, down = _tiles(row, scale, shade), *_lattice(analysis, row, width, height)
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


def _tiles(row: Row, scale: HeatScale, shade: Shade) -> NDArray[np.float32]:
    """(T', H', W', 4): each cell's colour, 0 to 255, and opacity; clear where none is allowed."""
    places = scale.places(row.ranked)
    tiles = coloured(places, scale.signed, shade.opacity, shade.colours).astype(np.float32)
    tiles[..., :3] *= 255
    tiles[..., 3] *= row.allowed
    return tiles


def scale_of(analysis: Analysis, query: Query, row: Row, shade: Shade) -> HeatScale:
    """The viewer's scale: a row's to what can be linked; contributions have none in common."""
    against = shade.against if row.contributions is None else "row"
    scale = heat_scale(analysis, query, row, against=against, curve=shade.curve)
    if against != "row":
        return scale
    return replace(scale, most=float(np.abs(np.where(row.allowed, row.ranked, 0)).max()))


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
