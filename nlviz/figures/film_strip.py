"""The film strip: frames side by side and arrows from each query to its links, as in Figure 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure as Drawing

from nlviz.analysis import Analysis
from nlviz.ask.links import best_path, top_links
from nlviz.errors import FigureError
from nlviz.figures.figure import Figure
from nlviz.figures.heat import Heat
from nlviz.figures.panel import Panel
from nlviz.figures.strip import CM_PER_INCH, check_width
from nlviz.figures.style import PLAIN, Style
from nlviz.provenance import Provenance, repeated
from nlviz.query import Link, Query

BETWEEN = 0.25
"""Centimetres between strips."""


def film_strip(
    analysis: Analysis,
    links: Sequence[Sequence[Link]],
    *,
    width_cm: float = 17.4,
    columns: int | None = None,
    heat: Heat | None = None,
    style: Style = PLAIN,
) -> Figure:
    """The clip's frames in a strip, with arrows from each query to the places of its links.

    An arrow's width and opacity grow with its weight, on one scale for the whole strip. It goes
    from what looks to what is looked at: from the links to a query that asks in reverse. The links
    of a token, which has no place, are drawn as discs of growing size.

    Args:
        analysis: the analysis that the links come from.
        links: one sequence of links for each query, as ``top_links`` gives them; 1 to 8.
        width_cm: width of the figure, 8 to 100; 17.4 is a page of two columns.
        columns: frames in a row; all in one row up to eight if None.
        heat: whose row lies over the frames in colour, with a colour bar; none if None.
        style: which frames, font, colours, and whether there are words at all.

    Raises:
        QueryError: a heat whose query cannot be answered.
        FigureError: no links, more queries than colours, links of another analysis, or a layout
            that cannot be drawn.
    """
    panel = Panel(analysis, links, heat)
    return film_strips([panel], width_cm=width_cm, columns=columns, style=style)


def film_strips(
    panels: Sequence[Panel],
    *,
    width_cm: float = 17.4,
    columns: int | None = None,
    style: Style = PLAIN,
) -> Figure:
    """Film strips below each other: the same places in several blocks, or of several networks.

    Each strip has its own scale and legend.

    Args:
        panels: what each strip shows, from above.
        width_cm, columns, style: as for ``film_strip``, for all of them.

    Raises:
        QueryError, FigureError: as for ``film_strip``; or no panels.
    """
    check_width(width_cm)
    if not panels:
        raise FigureError("There are no strips to draw; give at least one.")
    scale = style.scale  # the page is laid out for words of the usual size, and then scaled
    style.check_room(width_cm)
    named = len({panel.analysis.network for panel in panels}) > 1
    laid = [panel.laid(width_cm / scale, columns, style) for panel in panels]
    height = sum(each.strip.height for each in laid) + BETWEEN * (len(laid) - 1)
    drawing = Drawing(figsize=(width_cm / CM_PER_INCH, height * scale / CM_PER_INCH))
    top = height
    for number, each in enumerate(laid, start=1):
        share = each.strip.height / height
        page = drawing.add_axes((0, top / height - share, 1, share))
        page.set_axis_off()
        each.draw(page, style, named=named, prefix=f"{number}-" if len(laid) > 1 else "")
        for words in page.texts:
            words.set(family=style.font, fontsize=float(words.get_fontsize()) * scale)
        top -= each.strip.height + BETWEEN
    return Figure(drawing, _made(panels))


def _made(panels: Sequence[Panel]) -> list[Provenance]:
    """Of each analysis, with all that its strips ask."""
    asked: dict[int, tuple[Analysis, dict[Query, None]]] = {}
    for panel in panels:
        _, queries = asked.setdefault(id(panel.analysis), (panel.analysis, {}))
        queries |= dict.fromkeys(links[0].query for links in panel.links)
    return [
        replace(Provenance.of(analysis, list(queries)), command=_command(analysis, panels))
        for analysis, queries in asked.values()
    ]


def _command(analysis: Analysis, panels: Sequence[Panel]) -> str | None:
    """The command that gives all links drawn of an analysis; None where none does."""
    drawn = [tuple(one) for panel in panels if panel.analysis is analysis for one in panel.links]
    queries = list(dict.fromkeys(links[0].query for links in drawn))
    if repeated(analysis, queries) is None:
        return None
    if all(top_links(analysis, links[0].query) == links for links in drawn):
        return repeated(analysis, queries)
    if all(best_path(analysis, links[0].query) == links for links in drawn):
        return repeated(analysis, queries, "--path")
    return None
