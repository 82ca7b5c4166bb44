"""The heat of one query over the frames: its row in colour, and a labelled colour bar."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.ask.rows import Row, row_of
from nlviz.errors import FigureError
from nlviz.figures.legend import WIDE
from nlviz.figures.marks import GREY, text
from nlviz.figures.strip import Strip
from nlviz.geometry import Cell, Grid, View
from nlviz.heat.colormap import COLOUR_MAPS, PRINT, SCREEN, Colours, coloured
from nlviz.heat.guided import SHARPENED
from nlviz.heat.overlay import Shade, SharpenedHeat, scale_of
from nlviz.heat.scale import Against, Curve, HeatScale
from nlviz.query import Query

_PIXELS = 8  # a side of a cell, so that no program that shows the picture blurs cells into others
_BAR, _THICK = 4.0, 0.16  # centimetres
_OPAQUE, _VEILED = replace(PRINT, veil=1.0), replace(PRINT, veil=SCREEN.veil)
_AGAINST = {"row": "this row", "block": "the whole block", "absolute": "1"}
_CURVES = {"linear": "", "root": ", square root", "log": ", logarithmic"}


@dataclass(frozen=True, slots=True)
class Heat:
    """Whose row lies over the frames, and in which colours.

    Args:
        query: whose row or column; contributions where it ranks by them. What it leaves out stays
            clear, as in the viewer.
        against: what the last colour stands for: the greatest weight of this row that can be
            linked, the block's, or 1.
        curve: ``"linear"``, ``"root"`` or ``"log"``.
        colours: ``"viridis"``, ``"cividis"``, ``"grey"``, or the viewer's ``"dusk"``; all are even
            in lightness and can be read by colour-blind people. Signed weights have a map that
            diverges around zero.
        opacity: of the heaviest weight, above 0 to 1.
        sharpened: whether cells are drawn along the frame's edges by a guided filter, for display
            only, as the legend then says; they stay cells if not.

    Raises:
        FigureError: an unknown colour map, or an opacity out of range.
    """

    query: Query
    against: Against = "row"
    curve: Curve = "linear"
    colours: Colours = "viridis"
    opacity: float = 0.75
    sharpened: bool = False

    def __post_init__(self) -> None:
        if self.colours not in COLOUR_MAPS or not 0 < self.opacity <= 1:
            raise FigureError(
                f"Heat is drawn in {', '.join(COLOUR_MAPS)} at an opacity above 0 to 1; got "
                f"{self.colours!r} at {self.opacity:g}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A heat with its row and scale, ready to be drawn."""

    heat: Heat
    row: Row
    scale: HeatScale
    derived: bool = False

    @classmethod
    def of(cls, analysis: Analysis, heat: Heat) -> Painted:
        """QueryError where the query cannot be answered or scaled so."""
        row = row_of(analysis, heat.query)
        shade = Shade(heat.opacity, heat.colours, heat.against, heat.curve)
        derived = heat.query.block in analysis.derived
        return cls(heat, row, scale_of(analysis, heat.query, row, shade), derived)

    def frame(self, page: Axes, view: View, strip: Strip, position: int) -> None:
        """Lay the heat over one frame; cells stay cells, and what lies outside is cut off."""
        grid, box = self.row.grid, strip.frame(position)
        sampled = view.frames.index(strip.clip.indices[position])
        step = view.shown_step(sampled, grid)
        if step is None:
            return
        if self.heat.sharpened:
            self._sharpened(page, view, strip, position, step)
            return
        x0, y0, x1, y1 = _extent(view, grid)
        left, top = strip.place(position, x0, y0)
        right, bottom = strip.place(position, x1, y1)
        colours = self.colour(self.row.ranked[step])
        colours[~self.row.allowed[step], 3] = 0
        image = page.imshow(
            colours.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1),
            extent=(left, right, bottom, top),
            aspect="auto",
            gid=f"heat-{strip.clip.indices[position]}",
        )
        inside = Rectangle((box.x, box.y), box.width, box.height, transform=page.transData)
        image.set_clip_path(inside)

    def _sharpened(self, page: Axes, view: View, strip: Strip, position: int, step: int) -> None:
        """The same over the whole frame, along its edges."""
        grid, box, frame = self.row.grid, strip.frame(position), strip.clip.frames[position]
        _, down, right = view.steps(grid)
        x0, y0 = view.origin(grid)
        shade = Shade(self.heat.opacity, self.heat.colours, sharpened=True)
        heat = SharpenedHeat.of(view, self.row, self.scale, shade)
        place = np.array([[right, 0, x0 - 0.5], [0, down, y0 - 0.5]])
        page.imshow(
            np.clip(heat.layer(frame, step, place, PRINT), 0, 1),
            extent=(box.x, box.x + box.width, box.y, box.y + box.height),
            aspect="auto",
            gid=f"heat-{strip.clip.indices[position]}",
        )

    def bar(self, page: Axes, strip: Strip, line: int) -> None:
        """The colour bar with its weights, and what it is scaled to; below it on a narrow page."""
        scale, middle = self.scale, strip.line(line)
        ends = np.linspace(-1.0 if scale.signed else 0.0, 1.0, 256)[None]
        signs = ["≤ " if scale.curve == "log" and not scale.signed else "", "", ""]
        said = [f"{sign}{tick:.2g}" for sign, tick in zip(signs, scale.ticks, strict=True)]
        name = "derived weight" if self.derived else "affinity f/C"
        name = name if self.row.contributions is None else "contribution"
        column = "this column" if self.heat.query.reverse else "this row"
        against = column if scale.against == "row" else _AGAINST[scale.against]
        scaled = f"scaled to {against}{_CURVES[scale.curve]}"
        narrow = strip.width < WIDE
        if self.heat.sharpened:
            scaled += ", sharpened for display only" if narrow else f", {SHARPENED}"
        page.text(0, middle, f"heat: {name}{f', {scaled}' if narrow else ''}", **text())
        start = 0.0 if narrow else 2.6
        if narrow:
            middle = strip.line(line + 1) + 0.08
        # Matplotlib's maps make an opaque bar; dusk's shows the screen's veil, on the white page.
        own = self.heat.colours == "dusk" and not scale.signed
        page.imshow(
            coloured(ends, scale.signed, 1.0, self.heat.colours, _VEILED if own else _OPAQUE),
            extent=(start, start + _BAR, middle - _THICK / 2, middle + _THICK / 2),
            aspect="auto",
            gid="heat-bar",
        )
        for share, words in zip((0.0, 0.5, 1.0), said, strict=True):
            across = ("left", "center", "right")[round(share * 2)]
            page.text(start + share * _BAR, middle - 0.21, words, **text(4.5, across=across))
        if not narrow:
            page.text(start + _BAR + 0.2, middle, scaled, **text(colour=GREY))

    def colour(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """(rows, cols, 4): colours whose opacity rises with the weight's size from a veil."""
        places, heat = self.scale.places(weights), self.heat
        return coloured(places, self.scale.signed, heat.opacity, heat.colours, PRINT)


def _extent(view: View, grid: Grid) -> tuple[float, float, float, float]:
    """The outer edges of a grid's cells in source pixels; they may lie outside the frame."""
    _, down, right = view.steps(grid)
    middle = view.point(Cell(0, grid.rows // 2, grid.cols // 2), grid)
    x0 = middle.x - (grid.cols // 2 + 0.5) * right
    y0 = middle.y - (grid.rows // 2 + 0.5) * down
    return x0, y0, x0 + grid.cols * right, y0 + grid.rows * down
