"""A film of a long clip: every sampled frame, each as the window that answers for it saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.film.film import Film
from nlviz.film.play import play
from nlviz.film.sheet import Picture
from nlviz.film.style import SHADE
from nlviz.geometry import Region
from nlviz.heat.colormap import PALETTE
from nlviz.heat.overlay import Shade
from nlviz.query import Query
from nlviz.windows.long_analysis import LongAnalysis
from nlviz.windows.plan import TimeWindow


def play_windows(
    long: LongAnalysis,
    queries: Sequence[Query],
    *,
    width: int | None = None,
    rate: float | None = None,
    shade: Shade = SHADE,
    palette: Sequence[str] = PALETTE,
    comment: str | None = None,
) -> Film:
    """The whole clip frame by frame, as ``play`` draws it; one window is held at a time.

    No window knows of another, so every window is asked by itself: at a query's own frame in the
    window that answers for it, and in every other one at the same pixels of its middle frame, which
    the caption names. The clip may have moved there; ask at several places, or track, to follow a
    thing. The heat has its scale in each window.

    Args:
        long: what is shown; windows that were not run are run as the film comes to them.
        queries: 1 to 8, each in its colour.
        width, rate, shade, palette, comment: as for ``play``.

    Raises:
        ExportError, QueryError: what ``play`` raises; or a token, which every window has of its own
            and no window answers for.
    """
    how = {"width": width, "rate": rate, "shade": shade, "palette": palette}
    numbers = [_number(long, query) for query in queries]
    films: dict[int, Film] = {}  # of the window that is drawn, and of no other

    def film_of(number: int) -> Film:
        if number not in films:
            films.clear()
            blocks = tuple(dict.fromkeys(query.block for query in queries))
            analysis = long.window(number, blocks=blocks)
            window = long.plan[number]
            asked = [
                query if number == own else _again(long, query, window)
                for query, own in zip(queries, numbers, strict=True)
            ]
            films[number] = play(
                analysis,
                asked,
                **how,  # type: ignore[arg-type]
                comment="",
                label=_label(long, window, asked[0]),
            )
        return films[number]

    def draw(position: int) -> Picture:
        window = long.plan.at(position)
        return film_of(window.number).draw(position - window.start)

    # What is wrong with the questions is told now, by the window of the first.
    first = film_of(numbers[0])
    made = comment if comment is not None else provenance(long.window(numbers[0]), queries[0])
    return Film(long.plan.count, first.rate, draw, made)


def provenance(analysis: Analysis, query: Query) -> str:
    """How a film of a long clip was made, by the window that its first query lies in."""
    from nlviz.provenance import Provenance

    return Provenance.of(analysis, [query]).json


def _number(long: LongAnalysis, query: Query) -> int:
    if isinstance(query.point, str):
        raise QueryError(
            f"Every window has a token {query.point!r} of its own; ask a place of the clip, which "
            "one window answers for."
        )
    return long.of(query.point.frame).number


def _again(long: LongAnalysis, query: Query, window: TimeWindow) -> Query:
    """The same pixels in another window, on the middle one of the frames it answers for."""
    middle = long.stream.indices[(window.own_start + window.own_stop - 1) // 2]
    point = query.point
    if isinstance(point, Region):
        return replace(query, point=Region(middle, point.outline))
    return query if isinstance(point, str) else replace(query, point=replace(point, frame=middle))


def _label(long: LongAnalysis, window: TimeWindow, query: Query) -> str:
    frame = "" if isinstance(query.point, str) else f", asked on {query.point.frame}"
    return f"window {window.number + 1}/{len(long)}{frame} · "
