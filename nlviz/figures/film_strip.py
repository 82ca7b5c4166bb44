"""The film strip: frames side by side and arrows from each query to its links, as in Figure 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from PIL import Image

from nlviz.errors import FigureError
from nlviz.figures import legend
from nlviz.figures.heat import Heat, Painted
from nlviz.figures.marks import COLOURS, GREY, SMALL, Arc, Scale, arrow, disc, dot, outline, text
from nlviz.figures.output import Figure
from nlviz.figures.strip import CAPTION, GAP, Strip, check_width, columns_for
from nlviz.geometry import Point, Region
from nlviz.links import Link, Query

if TYPE_CHECKING:
    from nlviz.analysis import Analysis

IMAGE_DPI = 300
CM_PER_INCH = 2.54


def film_strip(
    analysis: Analysis,
    links: Sequence[Sequence[Link]],
    *,
    width_cm: float = 17.4,
    columns: int | None = None,
    heat: Heat | None = None,
) -> Figure:
    """The clip's frames in a strip, with arrows from each query to the places of its links.

    An arrow's width and opacity grow with its weight, on one scale for the whole figure. It goes
    from what looks to what is looked at: from the links to a query that asks in reverse. The links
    of a token, which has no place, are drawn as discs of growing size.

    Args:
        analysis: the analysis that the links come from.
        links: one sequence of links for each query, as ``top_links`` gives them; 1 to 8.
        width_cm: width of the figure, 8 to 100; 17.4 is a page of two columns.
        columns: frames in a row; all in one row up to eight if None.
        heat: whose row lies over the frames in colour, with a colour bar; none if None.

    Raises:
        QueryError: a heat whose query cannot be answered.
        FigureError: no links, more than eight queries, links of another analysis, or a layout
            that cannot be drawn.
    """
    check_width(width_cm)
    _check(analysis, links)
    columns = columns_for(analysis.clip, columns)
    painted = Painted.of(analysis, heat) if heat is not None else None
    lines = legend.count(links, width_cm) + (2 if painted else 0)
    flat = Strip(analysis.clip, width_cm, columns, 0.0, lines)
    arcs = [Arc.of(flat, link) for one in links for link in one if link.source is not None]
    head = max((0.0, *(arc.top - flat.height for arc in arcs))) + GAP
    strip = Strip(analysis.clip, width_cm, columns, head, lines)
    return Figure(_draw(analysis, links, strip, painted))


def _check(analysis: Analysis, links: Sequence[Sequence[Link]]) -> None:
    if not links or not all(links):
        raise FigureError("There are no links to draw; give at least one link for each query.")
    if len(links) > len(COLOURS):
        raise FigureError(
            f"{len(links)} queries have more colours than can be told apart; "
            f"give at most {len(COLOURS)}."
        )
    for link in (link for one in links for link in one):
        for point in (link.source, link.target):
            if point is not None and point.frame not in analysis.clip.indices:
                raise FigureError(
                    f"A link touches frame {point.frame}, which this analysis does not have; "
                    "draw links with the analysis that they come from."
                )


def _draw(
    analysis: Analysis,
    links: Sequence[Sequence[Link]],
    strip: Strip,
    painted: Painted | None,
) -> Drawing:
    drawing = Drawing(figsize=(strip.width / CM_PER_INCH, strip.height / CM_PER_INCH))
    page = drawing.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    for position, frame in enumerate(analysis.clip.frames):
        _frame(page, strip, position, frame)
        if painted is not None:
            painted.frame(page, analysis.view, strip, position)
    if painted is not None:
        painted.bar(page, strip, strip.lines - 2)
    page.set(xlim=(0, strip.width), ylim=(0, strip.height))
    scale = Scale.of(links)
    for one, colour in zip(links, COLOURS, strict=False):
        _asked(page, analysis, strip, one[0].query, colour)
    # Heavy over light, whatever the query; the queries' own dots over all.
    drawn = [(link, number) for number, one in enumerate(links) for link in one]
    for link, number in sorted(drawn, key=lambda pair: abs(pair[0].drawn)):
        mark: Patch
        if link.source is None:
            mark = disc(_place(strip, link.target), COLOURS[number], scale, link.drawn)
        else:
            mark = arrow(Arc.of(strip, link), COLOURS[number], scale, link.drawn)
        mark.set_gid(f"link-{number + 1}-{link.rank}")
        page.add_patch(mark)
    for one, colour in zip(links, COLOURS, strict=False):
        if one[0].source is not None:
            dot(page, _place(strip, one[0].source), colour)
    legend.draw(page, analysis, links, strip)
    return drawing


def _frame(page: Axes, strip: Strip, position: int, frame: NDArray[np.uint8]) -> None:
    """One frame, brought down to what print can show, and its index below."""
    box = strip.frame(position)
    width, height = (
        max(1, min(size, round(extent / CM_PER_INCH * IMAGE_DPI)))
        for size, extent in ((frame.shape[1], box.width), (frame.shape[0], box.height))
    )
    pixels = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
    page.imshow(
        pixels,
        extent=(box.x, box.x + box.width, box.y, box.y + box.height),
        aspect="auto",
        gid=f"frame-{strip.clip.indices[position]}",
    )
    if not strip.clip.is_image:
        word = "frame " if position == 0 else ""
        page.text(
            *(box.x, box.y - CAPTION / 2, f"{word}{strip.clip.indices[position]}"),
            **text(SMALL, GREY),
        )


def _place(strip: Strip, point: Point) -> tuple[float, float]:
    return strip.place(strip.clip.indices.index(point.frame), point.x, point.y)


def _asked(page: Axes, analysis: Analysis, strip: Strip, query: Query, colour: str) -> None:
    """The outline of what was asked about: a region, or a place's cell on each frame it covers."""
    if isinstance(query.point, str):
        return
    if isinstance(query.point, Region):
        outlines = {query.point.frame: query.point.outline}
    else:
        affinity = analysis.affinity(query.block)
        grid = affinity.key_grid if query.reverse else affinity.query_grid
        cell = analysis.view.footprint(analysis.view.cell(query.point, grid), grid)
        box = ((cell.x0, cell.y0), (cell.x1, cell.y0), (cell.x1, cell.y1), (cell.x0, cell.y1))
        outlines = dict.fromkeys(cell.frames, box)
    for frame, corners in outlines.items():
        page.add_patch(
            Polygon(
                [_place(strip, Point(frame, x, y)) for x, y in corners],
                fill=False,
                edgecolor=colour,
                linewidth=0.7,
                path_effects=outline(colour, 0.7),
                gid=f"footprint-{frame}",
            )
        )
