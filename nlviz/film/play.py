"""Play: the clip plays, and on each frame lie the heat and the links that fall on it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.ask.rows import row_of
from nlviz.display import links_cover
from nlviz.errors import ExportError
from nlviz.film import query_heat
from nlviz.film.film import Film
from nlviz.film.sheet import Picture
from nlviz.film.style import SHADE, FilmStyle
from nlviz.geometry import Point
from nlviz.heat.colormap import PALETTE
from nlviz.heat.overlay import Shade
from nlviz.query import Query

_RATE = Fraction(4)


def play(
    analysis: Analysis,
    queries: Sequence[Query],
    *,
    width: int | None = None,
    rate: float | None = None,
    shade: Shade = SHADE,
    palette: Sequence[str] = PALETTE,
    comment: str | None = None,
    label: str = "",
) -> Film:
    """The clip frame by frame: heat of the first query, links of all that end on the frame.

    A disc marks the place pointed at on its own frame, a ring the same place on the others.

    Args:
        analysis: what is shown.
        queries: 1 to 8, each in its colour.
        width: of the picture in pixels; the clip's own, up to 1280, if None.
        rate: frames of the clip a second; 4 if None.
        shade: how weights become colours; an opacity of 0 leaves the heat out.
        palette: the colours of the queries, ``#RRGGBB``.
        comment: kept in the file; the ``Provenance`` as JSON if None.
        label: stands before the caption of every frame.

    Raises:
        ExportError: a clip of one frame, no query or more than eight, or a size or rate out
            of range.
        QueryError: what ``top_links`` raises.
    """
    style = FilmStyle(width, rate, shade, palette, comment)
    count = len(analysis.clip.frames)
    if count == 1:
        raise ExportError(
            "A clip of one frame does not play; move the query along a path, or follow its links."
        )
    style.check(queries)
    heat = style.heat(analysis, queries[0])
    answers = [top_links(analysis, query) for query in queries]
    weighed = _weighed(analysis, queries[0])
    covered = sum(link.share for link in answers[0])

    def draw(position: int) -> Picture:
        clip = analysis.clip
        sheet = style.sheet(analysis, (position,))
        picture = sheet.picture()
        heat.lay(picture, sheet, queries[0])
        for query, drawn, colour in zip(queries, answers, style.colours, strict=False):
            frame = clip.indices[position]
            here = [link for link in drawn if link.target.frame == frame]
            own = drawn[0].source
            source = None if own is None else Point(frame, own.x, own.y)
            query_heat.links(picture, sheet, here, colour, source)
            query_heat.query_mark(picture, sheet, query, colour)
        text = (
            f"{label}{queries[0].block} · frame {clip.indices[position]} · "
            f"{clip.timestamps[position]:.2f} s · {weighed[position]} · "
            f"{links_cover(len(answers[0]))} {covered:.0%}{shade.note}"
        )
        query_heat.caption(picture, sheet, text)
        return picture

    style.sheet(analysis, (0,))  # a wrong width raises now
    return style.film(count, style.speed(_RATE), draw, analysis, queries)


def _weighed(analysis: Analysis, query: Query) -> list[str]:
    """The share of the weight on each frame, and whether it gets no links and no heat.

    Frames of one time step split its share evenly.
    """
    row = row_of(analysis, query)
    shares = [0.0] * len(analysis.clip.frames)
    drawn = [False] * len(shares)
    for t, step in enumerate(abs(row.weights).sum(axis=(1, 2))):
        positions = analysis.view.positions(t, row.grid)
        for position in positions:
            shares[position] += float(step) / len(positions) / (row.total or 1.0)
            drawn[position] |= bool(row.allowed[t].any())
    return [
        f"{share:.0%} of the weight here{'' if seen or not share else ', left out'}"
        for share, seen in zip(shares, drawn, strict=True)
    ]
