"""Panel: one strip of a figure, laid out and drawn onto its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from PIL import Image

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import FigureError
from nlviz.figures import legend
from nlviz.figures.heat import Heat, Painted
from nlviz.figures.marks import GREY, SMALL, Arc, LinkScale, arrow, disc, dot, outline, text
from nlviz.figures.strip import CAPTION, CM_PER_INCH, GAP, Strip, columns_for
from nlviz.figures.style import Style
from nlviz.geometry import Point, Region
from nlviz.query import Link, Query

IMAGE_DPI = 300


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """What one strip of a figure shows.

    Args:
        analysis: the analysis that the links come from.
        links: one sequence of links for each query, as ``top_links`` gives them.
        heat: whose row lies over the frames in colour; none if None.
    """

    analysis: Analysis
    links: Sequence[Sequence[Link]]
    heat: Heat | None = None

    def laid(self, width: float, columns: int | None, style: Style) -> Laid:
        """The panel on a page of ``width`` centimetres; FigureError where it cannot be drawn."""
        self._check(style)
        clip = frames_shown(self.analysis.clip, style.frames)
        self._check_frames(clip)
        columns = columns_for(clip, columns)
        painted = Painted.of(self.analysis, self.heat) if self.heat is not None else None
        words = legend.count(self.links, clip, width) + (2 if painted else 0)
        flat = Strip(clip, width, columns, 0.0, words if style.titles else 0, style.titles)
        drawn = [[link for link in one if link.target.frame in clip.indices] for one in self.links]
        arcs = [Arc.of(flat, link) for one in drawn for link in one if link.source is not None]
        head = max((0.0, *(arc.top - flat.height for arc in arcs))) + GAP
        return Laid(self, replace(flat, head=head), drawn, painted)

    def _check(self, style: Style) -> None:
        if not self.links or not all(self.links):
            raise FigureError("There are no links to draw; give at least one link for each query.")
        if len(self.links) > len(style.colours):
            raise FigureError(
                f"{len(self.links)} queries have more colours than can be told apart; "
                f"give at most {len(style.colours)}."
            )
        for link in (link for one in self.links for link in one):
            for point in (link.source, link.target):
                if point is not None and point.frame not in self.analysis.clip.indices:
                    raise FigureError(
                        f"A link touches frame {point.frame}, which this analysis does not have; "
                        "draw links with the analysis that they come from."
                    )

    def _check_frames(self, clip: Clip) -> None:
        for one in self.links:
            source = one[0].source
            if source is not None and source.frame not in clip.indices:
                raise FigureError(
                    f"Frame {source.frame}, from which links go, is not among the frames to draw; "
                    "add it."
                )


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A panel, its strip, and of each query's links those that end on it."""

    panel: Panel
    strip: Strip
    drawn: Sequence[Sequence[Link]]
    painted: Painted | None

    def draw(self, page: Axes, style: Style, *, named: bool, prefix: str) -> None:
        """Draw it; the names of its parts in an SVG begin with ``prefix``."""
        analysis, strip, links = self.panel.analysis, self.strip, self.panel.links
        for position, frame in enumerate(strip.clip.frames):
            draw_frame(page, strip, position, frame)
            if self.painted is not None:
                self.painted.frame(page, analysis.view, strip, position)
        if self.painted is not None and style.titles:
            self.painted.bar(page, strip, strip.lines - 2)
        page.set(xlim=(0, strip.width), ylim=(0, strip.height))
        scale = LinkScale.of(links)
        for one, colour in zip(links, style.colours, strict=False):
            draw_asked(page, analysis, strip, one[0].query, colour)
        # Heavy over light, whatever the query; the queries' own dots over all.
        numbered = [(link, number) for number, one in enumerate(self.drawn) for link in one]
        for link, number in sorted(numbered, key=lambda pair: abs(pair[0].drawn)):
            mark: Patch
            if link.source is None:
                mark = disc(place_of(strip, link.target), style.colours[number], scale, link.drawn)
            else:
                mark = arrow(Arc.of(strip, link), style.colours[number], scale, link.drawn)
            mark.set_gid(f"link-{number + 1}-{link.rank}")
            page.add_patch(mark)
        for one, colour in zip(links, style.colours, strict=False):
            if one[0].source is not None:
                dot(page, place_of(strip, one[0].source), colour)
        if style.titles:
            legend.draw(page, analysis, links, strip, style.colours, named=named)
        for part in page.get_children():
            name = part.get_gid()
            if prefix and name:
                part.set_gid(prefix + name)


def frames_shown(clip: Clip, frames: Sequence[int] | None) -> Clip:
    """The clip with the frames to be drawn; FigureError for one that it does not have."""
    if frames is None:
        return clip
    for frame in frames:
        if frame not in clip.indices:
            raise FigureError(
                f"Frame {frame} was not sampled; draw some of {', '.join(map(str, clip.indices))}."
            )
    kept = [i for i, frame in enumerate(clip.indices) if frame in frames]
    return replace(
        clip,
        frames=clip.frames[kept],
        indices=tuple(clip.indices[i] for i in kept),
        timestamps=tuple(clip.timestamps[i] for i in kept),
    )


def draw_frame(page: Axes, strip: Strip, position: int, frame: NDArray[np.uint8]) -> None:
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
    if strip.titled and not strip.clip.is_image:
        word = "frame " if position == 0 else ""
        page.text(
            *(box.x, box.y - CAPTION / 2, f"{word}{strip.clip.indices[position]}"),
            **text(SMALL, GREY),
        )


def place_of(strip: Strip, point: Point) -> tuple[float, float]:
    """Where a place of the clip lies on the page."""
    return strip.place(strip.clip.indices.index(point.frame), point.x, point.y)


def draw_asked(page: Axes, analysis: Analysis, strip: Strip, query: Query, colour: str) -> None:
    """The outline of what was asked about: a region, or a place's cell on what it covers."""
    if isinstance(query.point, str):
        return
    if isinstance(query.point, Region):
        outlines = {query.point.frame: query.point.outline}
    else:
        affinity = analysis.affinity(query.block)
        grid = affinity.key_grid if query.reverse else affinity.query_grid
        cell = analysis.view.footprint(analysis.view.cell(query.point, grid), grid)
        box = ((cell.x0, cell.y0), (cell.x1, cell.y0), (cell.x1, cell.y1), (cell.x0, cell.y1))
        outlines = {frame: box for frame in cell.frames if frame in strip.clip.indices}
    for frame, corners in outlines.items():
        page.add_patch(
            Polygon(
                [place_of(strip, Point(frame, x, y)) for x, y in corners],
                fill=False,
                edgecolor=colour,
                linewidth=0.7,
                path_effects=outline(colour, 0.7),
                gid=f"footprint-{frame}",
            )
        )
