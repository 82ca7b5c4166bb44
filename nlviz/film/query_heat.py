"""QueryHeat: one query drawn on a sheet: its heat, its links and where it points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlviz.analysis import Analysis
from nlviz.ask.rows import row_of
from nlviz.film import ink
from nlviz.film.sheet import Picture, Sheet
from nlviz.geometry import Point, Region
from nlviz.heat.overlay import HeatLayer, Shade, scale_of
from nlviz.heat.scale import HeatScale
from nlviz.query import Link, Query

_WHITE = (238, 240, 244)


@dataclass(frozen=True, slots=True, eq=False)
class QueryHeat:
    """The heat of an analysis' queries under one shade; the block's own scale is worked out once.

    Args:
        analysis: what is shown.
        shade: how weights become colours.
        common: the scale of all queries; None where each row has its own.
    """

    analysis: Analysis
    shade: Shade
    common: HeatScale | None

    @classmethod
    def of(cls, analysis: Analysis, query: Query, shade: Shade) -> QueryHeat:
        """For this query and others like it; QueryError."""
        scale = scale_of(analysis, query, row_of(analysis, query), shade)
        return cls(analysis, shade, None if scale.against == "row" else scale)

    def lay(self, picture: Picture, sheet: Sheet, query: Query) -> None:
        """The heat of what a query weighs over the frames of a sheet."""
        row = row_of(self.analysis, query)
        scale = self.common or scale_of(self.analysis, query, row, self.shade)
        if scale.most <= 0 or self.shade.opacity <= 0:
            return
        layer = HeatLayer.of(self.analysis.view, row, scale, self.shade, premultiplied=True)
        width, height = sheet.frame
        for position in sheet.positions:
            x, y = sheet.corner(position)
            frame = picture[y : y + height, x : x + width]
            layer.paint(frame, position, sheet.scale, sheet.scale)


def links(
    picture: Picture, sheet: Sheet, drawn: Sequence[Link], paint: ink.Colour, source: Point | None
) -> None:
    """The links that end on the sheet, the lightest first, from ``source`` where it lies there."""
    most = max((abs(link.drawn) for link in drawn), default=0.0) or 1.0
    unit = max(1.0, sheet.width / 960)
    for link in reversed(drawn):
        part = abs(link.drawn) / most
        end = sheet.place(link.target)
        if source is not None:
            width, opacity = unit * (1 + 2 * part), 0.35 + 0.65 * part
            ink.arc(picture, sheet.place(source), end, paint, width, opacity)
        ink.dot(picture, end, paint, unit * (2 + 3 * part))


def query_mark(picture: Picture, sheet: Sheet, query: Query, paint: ink.Colour) -> None:
    """Where a query points; a ring in its place on a sheet without its frame."""
    if isinstance(query.point, str):
        return
    unit = max(1.0, sheet.width / 960)
    here = query.point.centre if isinstance(query.point, Region) else query.point
    shown = [sheet.clip.indices[position] for position in sheet.positions]
    if here.frame not in shown:
        there = Point(shown[0], here.x, here.y)
        ink.ring(picture, sheet.place(there), paint, 6 * unit)
    elif isinstance(query.point, Region):
        corners = [sheet.place(Point(here.frame, x, y)) for x, y in query.point.outline]
        ink.outline(picture, corners, paint)
    else:
        ink.disc(picture, sheet.place(here), paint, 4 * unit)


def caption(picture: Picture, sheet: Sheet, text: str) -> None:
    """One line below the frames."""
    size = round(sheet.caption * 0.46)
    middle = sheet.height - sheet.caption / 2
    ink.text_line(picture, (sheet.caption * 0.3, middle), text, size, _WHITE)
