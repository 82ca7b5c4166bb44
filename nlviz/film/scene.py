"""Scene: one query on a sheet, its heat, its links and where it points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nlviz.film import ink
from nlviz.film.heat import paint
from nlviz.film.sheet import Picture, Sheet
from nlviz.geometry import Point, Region
from nlviz.links import Link, Query
from nlviz.rows import row_of

if TYPE_CHECKING:
    from nlviz.analysis import Analysis

_WHITE = (238, 240, 244)


def heat(picture: Picture, sheet: Sheet, analysis: Analysis, query: Query, opacity: float) -> None:
    """The heat of what a query weighs."""
    signed = analysis.affinity(query.block).signed
    paint(picture, sheet, analysis.view, row_of(analysis, query), signed, opacity)


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


def asked(picture: Picture, sheet: Sheet, query: Query, paint: ink.Colour) -> None:
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
    ink.words(picture, (sheet.caption * 0.3, middle), text, size, _WHITE)
