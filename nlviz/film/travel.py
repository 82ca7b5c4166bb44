"""Travel and follow: the query moves along a path, or along its heaviest link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.ask.places import Side
from nlviz.ask.rows import affinity_of
from nlviz.display import links_cover
from nlviz.errors import ExportError
from nlviz.film import ink, query_heat
from nlviz.film.film import Film
from nlviz.film.sheet import Picture, Sheet
from nlviz.film.style import SHADE, FilmStyle
from nlviz.geometry import Point
from nlviz.heat.colormap import PALETTE
from nlviz.heat.overlay import Shade
from nlviz.query import Link, Query

_RATE = Fraction(12)
_SECONDS = 4.0
_LOOK, _GO = 10, 8  # pictures that a hop stands still and is on its way
_TRAIL = ink.colour("#FFFFFF")


def travel(
    analysis: Analysis,
    query: Query,
    path: Sequence[Point],
    *,
    seconds: float | None = None,
    width: int | None = None,
    rate: float | None = None,
    shade: Shade = SHADE,
    palette: Sequence[str] = PALETTE,
    comment: str | None = None,
) -> Film:
    """All frames side by side, and the query on its way along a path in one of them.

    On its way over cells where the block has no query there are no links and no heat.

    Args:
        analysis: what is shown.
        query: what is asked at each place; its own point is not used.
        path: at least two points of one frame, of which the first can be asked; the query goes
            straight from each to the next.
        seconds: how long it takes, 4 if None.
        width, rate, shade, palette, comment: as for ``play``; the rate is 12 if None.

    Raises:
        ExportError: fewer than two points, or a size, rate or time out of range.
        QueryError: what ``top_links`` raises.
    """
    style = FilmStyle(width, rate, shade, palette, comment)
    style.check([query])
    check_path(path)
    time = _SECONDS if seconds is None else seconds
    if not 0.5 <= time <= 120:
        raise ExportError(f"A film can last 0.5 to 120 seconds; got {time:g}.")
    for point in path:
        analysis.view.check(point)
    speed = style.speed(_RATE)
    painter = _Painter.of(analysis, replace(query, point=path[0]), style)
    count = max(2, round(time * speed))

    def draw(i: int) -> Picture:
        now = replace(query, point=_on(path, i / (count - 1)))
        return painter.draw(now, top_links(analysis, now) if _asks(analysis, now) else ())

    asked = [replace(query, point=point) for point in path]
    return style.film(count, speed, draw, analysis, asked)


def follow(
    analysis: Analysis,
    query: Query,
    hops: int = 5,
    *,
    width: int | None = None,
    rate: float | None = None,
    shade: Shade = SHADE,
    palette: Sequence[str] = PALETTE,
    comment: str | None = None,
) -> Film:
    """All frames side by side, and the query going where its heaviest link leads, hop by hop.

    It ends earlier where it comes back to a cell it has been at, or where the block has no query
    (in reverse no key): what looks and what is looked at may lie on different frames.

    Args:
        analysis: what is shown.
        query: where it starts, a point.
        hops: how often it goes on, 1 to 50.
        width, rate, shade, palette, comment: as for ``play``; the rate is 12 if None.

    Raises:
        ExportError: a query that is not a point, or a size, rate or number out of range.
        QueryError: what ``top_links`` raises.
    """
    style = FilmStyle(width, rate, shade, palette, comment)
    style.check([query])
    if not isinstance(query.point, Point) or not 1 <= hops <= 50:
        raise ExportError("Following links starts at a point and goes on 1 to 50 times.")
    chain = _chain(analysis, query, hops)
    painter = _Painter.of(analysis, query, style)

    def draw(i: int) -> Picture:
        hop, step = divmod(i, _LOOK + _GO)
        asked, answer = chain[hop]
        trail = [links[0] for _, links in chain[:hop]]
        gone = max(0, step - _LOOK + 1) / _GO
        return painter.draw(asked, answer, trail, gone)

    count = len(chain) * (_LOOK + _GO) - _GO
    return style.film(count, style.speed(_RATE), draw, analysis, [query])


def _chain(analysis: Analysis, query: Query, hops: int) -> list[tuple[Query, tuple[Link, ...]]]:
    """Each query and its links; one query more than hops, unless it comes back or cannot ask."""
    grid = Side(affinity_of(analysis, query), query.reverse).own
    chain: list[tuple[Query, tuple[Link, ...]]] = []
    been = set()
    while len(chain) <= hops and not (chain and not _asks(analysis, query)):
        cell = analysis.view.cell(query.point, grid) if isinstance(query.point, Point) else None
        chain.append((query, top_links(analysis, query)))
        if cell in been:
            break
        been.add(cell)
        query = replace(query, point=chain[-1][1][0].target)
    return chain


def _asks(analysis: Analysis, query: Query) -> bool:
    """Whether the block has a query, in reverse a key, where a query points."""
    side = Side(affinity_of(analysis, query), query.reverse)
    return not isinstance(query.point, Point) or side.has(analysis.view, query.point)


@dataclass(frozen=True, slots=True, eq=False)
class _Painter:
    """Draws the pictures of a film by what they all share."""

    sheet: Sheet
    heat: query_heat.QueryHeat
    colour: ink.Colour

    @classmethod
    def of(cls, analysis: Analysis, query: Query, style: FilmStyle) -> _Painter:
        """All frames side by side, and the heat of this query and others like it."""
        sheet = style.sheet(analysis, range(len(analysis.clip.frames)))
        return cls(sheet, style.heat(analysis, query), style.colours[0])

    def draw(
        self,
        query: Query,
        answer: Sequence[Link],
        trail: Sequence[Link] = (),
        gone: float = 0.0,
    ) -> Picture:
        """One picture; ``gone`` is the part of the heaviest link that the query has gone along.

        Without an answer, where the block has no query, there is neither heat nor a link.
        """
        sheet, colour = self.sheet, self.colour
        picture = sheet.picture()
        if answer:
            self.heat.lay(picture, sheet, query)
        for link in trail:
            if link.source is not None:
                ends = (sheet.place(link.source), sheet.place(link.target))
                ink.arc(picture, *ends, _TRAIL, 2.0, 0.8)
        query_heat.links(picture, sheet, answer, colour, answer[0].source if answer else None)
        query_heat.query_mark(picture, sheet, query, colour)
        if gone and answer[0].source is not None:
            ends = (sheet.place(answer[0].source), sheet.place(answer[0].target))
            ink.disc(picture, ink.along(*ends, gone)[-1], colour, 5.0)
        query_heat.caption(picture, sheet, _words(query, answer) + self.heat.shade.note)
        return picture


def check_path(path: Sequence[Point]) -> None:
    """ExportError for fewer than two points, or points of several frames."""
    if len(path) < 2 or len({point.frame for point in path}) != 1:
        raise ExportError("A path needs at least two points, all on one frame.")


def _words(query: Query, answer: Sequence[Link]) -> str:
    point = query.point
    where = (
        f"frame {point.frame}, ({point.x:.0f}, {point.y:.0f})" if isinstance(point, Point) else ""
    )
    if not answer:
        return f"{query.block} · {where} · no {'key' if query.reverse else 'query'} here"
    covered = sum(link.share for link in answer)
    return f"{query.block} · {where} · {links_cover(len(answer))} {covered:.0%}"


def _on(path: Sequence[Point], part: float) -> Point:
    """The place after a part of the path's length."""
    ways = [(a, b, math.dist((a.x, a.y), (b.x, b.y))) for a, b in pairwise(path)]
    left = part * sum(length for *_, length in ways)
    for a, b, length in ways:
        if left <= length and length > 0:
            u = left / length
            return Point(a.frame, a.x + u * (b.x - a.x), a.y + u * (b.y - a.y))
        left -= length
    return path[-1]
