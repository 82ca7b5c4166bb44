"""A query's weights as heat over frames: the viewer's picture, made without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.ask.rows import Row, row_of
from nlviz.geometry import Grid, Point, Region, View
from nlviz.heat.colormap import SCREEN, Colours, Medium, coloured
from nlviz.heat.guided import SHARPENED, Sharpener
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
        sharpened: whether cells are drawn along the frame's edges by a guided filter; for display
            only, and every legend says so.
    """

    opacity: float = 0.75
    colours: Colours = "dusk"
    against: Against = "row"
    curve: Curve = "linear"
    sharpened: bool = False

    @property
    def note(self) -> str:
        """What a caption adds where the heat is sharpened; else nothing."""
        return f" · heat {SHARPENED}" if self.sharpened else ""


def heat(
    analysis: Analysis,
    query: Query,
    positions: Sequence[int],
    width: int,
    shade: Shade = Shade(),
    *,
    color: str = "#FFFFFF",
    scaled_to_drawn: bool = False,
) -> list[Picture]:
    """Some frames with the query's row over them.

    Args:
        analysis: the analysis.
        query: what is asked; what it excludes stays clear.
        positions: which sampled frames, from 0.
        width: of each picture in pixels; the height keeps the frame's shape.
        shade: how weights become colours.
        color: of the mark at the place asked about, ``#RRGGBB``.
        scaled_to_drawn: whether a row's own scale goes up to the heaviest weight on these frames
            and not to that of all frames.

    Returns:
        (height, width, 3) uint8 RGB for each position.

    Raises:
        QueryError: what ``row_of`` raises.
    """
    row = row_of(analysis, query)
    clip, view = analysis.clip, analysis.view
    height = max(1, round(width * clip.height / clip.width))
    scale = scale_of(analysis, query, row, shade)
    if scaled_to_drawn and scale.against == "row":
        steps = (view.shown_step(position, row.grid) for position in positions)
        seen = sorted({t for t in steps if t is not None})
        most = np.abs(np.where(row.allowed, row.ranked, 0))[seen].max(initial=0.0)
        scale = replace(scale, most=float(most) or scale.most)
    layer = HeatLayer.of(view, row, scale, shade, premultiplied=False)
    pictures = []
    for position in positions:
        frame = cv2.resize(clip.frames[position], (width, height), interpolation=cv2.INTER_AREA)
        drawn = np.ascontiguousarray(frame, dtype=np.uint8)
        layer.paint(drawn, position, width / view.source[0], height / view.source[1])
        if getattr(query.point, "frame", None) == view.frames[position]:
            _mark(drawn, query, width / clip.width, color)
        pictures.append(drawn)
    return pictures


@dataclass(frozen=True, slots=True, eq=False)
class SharpenedHeat:
    """A row's places on a colour map, to be drawn along the edges of a frame before they are.

    Args:
        places: (T', H', W') float32, as ``HeatScale.places`` gives them.
        allowed: (T', H', W') float32, 1 where a link is allowed, else 0.
        signed: whether the map diverges.
        shade: how places become colours.
    """

    places: NDArray[np.float32]
    allowed: NDArray[np.float32]
    signed: bool
    shade: Shade

    @classmethod
    def of(cls, view: View, row: Row, scale: HeatScale, shade: Shade) -> SharpenedHeat:
        """Of a row on a scale."""
        allowed = row.allowed.astype(np.float32)
        places = scale.places(row.ranked).astype(np.float32) * allowed
        return cls(places, allowed, scale.signed, shade)

    def layer(
        self, frame: Picture, t: int, place: NDArray[np.float64], medium: Medium
    ) -> NDArray[np.float64]:
        """(height, width, 4) colours and opacity of one time step over a whole frame.

        Args:
            frame: (height, width, 3) RGB: the guide.
            t: which step.
            place: (2, 3) from columns and rows of cells to the frame's pixels.
            medium: where it is looked at.
        """
        size = frame.shape[1], frame.shape[0]
        smooth, there = (
            cv2.warpAffine(each[t], place, size, borderMode=cv2.BORDER_REPLICATE)
            for each in (self.places, self.allowed)
        )
        sharpener = Sharpener.of(frame, float(place[0, 0]), float(place[1, 1]))
        drawn = sharpener.drawn(np.asarray(smooth, np.float32))
        layer = coloured(drawn, self.signed, self.shade.opacity, self.shade.colours, medium)
        layer[..., 3] *= there
        return layer


@dataclass(frozen=True, slots=True, eq=False)
class HeatLayer:
    """A row in colours, ready to be laid over frames of any size.

    Args:
        view: how source pixels and the row's grid correspond.
        grid: the row's.
        tiles: (T', H', W', 4) float32: each cell's colour and its opacity, 0 to 1; clear where no
            link is allowed.
        premultiplied: whether the colours are already times their opacity, so that between cells
            each counts by its opacity, as in a browser.
        sharpened: the cells' places on the colour map, which are drawn along the frame's edges in
            their stead, or None.
    """

    view: View
    grid: Grid
    tiles: NDArray[np.float32]
    premultiplied: bool
    sharpened: SharpenedHeat | None = None

    @classmethod
    def of(
        cls, view: View, row: Row, scale: HeatScale, shade: Shade, *, premultiplied: bool
    ) -> HeatLayer:
        """The colours of a row's cells on a scale."""
        places = scale.places(row.ranked)
        tiles = coloured(places, scale.signed, shade.opacity, shade.colours).astype(np.float32)
        tiles[~row.allowed, 3] = 0
        if premultiplied:
            tiles[..., :3] *= tiles[..., 3:]
        sharpened = SharpenedHeat.of(view, row, scale, shade) if shade.sharpened else None
        return cls(view, row.grid, tiles, premultiplied, sharpened)

    def paint(self, frame: Picture, position: int, across: float, down: float) -> None:
        """Lay the heat over a frame, in place, bilinear between the cells' centres.

        Args:
            frame: (height, width, 3) RGB, the whole of it in any size.
            position: which sampled frame it is, from 0.
            across, down: pixels of the frame for one of the source.
        """
        _, dy, dx = self.view.steps(self.grid)
        x0, y0 = self.view.origin(self.grid)
        # From columns and rows of cells to pixels of the frame, both counted at their centres.
        place = np.array([[dx * across, 0, x0 * across - 0.5], [0, dy * down, y0 * down - 0.5]])
        size = frame.shape[1], frame.shape[0]
        t = self.view.shown_step(position, self.grid)
        if t is None or not self.tiles[t, ..., 3].any():
            return
        layer: NDArray[Any]
        if self.sharpened is not None:
            layer = self.sharpened.layer(frame, t, place, SCREEN)
        else:
            layer = cv2.warpAffine(self.tiles[t], place, size, borderMode=cv2.BORDER_REPLICATE)
        colour, alpha = layer[..., :3], layer[..., 3:]
        premultiplied = self.premultiplied and self.sharpened is None
        mixed = frame * (1 - alpha) + 255 * (colour if premultiplied else colour * alpha)
        frame[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def scale_of(analysis: Analysis, query: Query, row: Row, shade: Shade) -> HeatScale:
    """The viewer's scale: a row's to what can be linked; contributions have none in common."""
    against = shade.against if row.contributions is None else "row"
    scale = heat_scale(analysis, query, row, against=against, curve=shade.curve)
    if against != "row":
        return scale
    return replace(scale, most=float(np.abs(np.where(row.allowed, row.ranked, 0)).max()))


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
