"""Marks: arrows, dots and words, and how weight becomes width and opacity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyArrowPatch

from nlviz.figures.strip import Strip
from nlviz.query import Link

LIGHT = 0.3
"""Luminance from which a colour is light, and so has a dark rim."""

INK, GREY = "#222222", "#666666"
FONT = "DejaVu Sans"  # comes with Matplotlib
LARGE, SMALL = 6.5, 6.0
"""Sizes of words in points."""

BEND = 0.14
"""How far an arrow bends: the rise of its middle over its length …"""

HIGHEST = 0.45
"""… and over the height of a frame, at most."""


@dataclass(frozen=True, slots=True)
class Arc:
    """A bent line on the page, in centimetres; ``rise`` is how far its middle leaves the chord."""

    begin: tuple[float, float]
    end: tuple[float, float]
    rise: float

    @classmethod
    def of(cls, strip: Strip, link: Link) -> Arc:
        """The arc of a link, bent upwards, from what looks to what is looked at."""
        where = strip.clip.indices.index
        begin, end = (
            strip.place(where(point.frame), point.x, point.y)
            for point in (link.source or link.target, link.target)
        )
        if link.query.reverse:
            begin, end = end, begin
        rise = min(BEND * math.dist(begin, end), HIGHEST * strip.frame(0).height)
        return cls(begin, end, rise)

    @property
    def top(self) -> float:
        """No point of the arc lies higher."""
        return max(self.begin[1], self.end[1], (self.begin[1] + self.end[1]) / 2 + self.rise)

    @property
    def bend(self) -> str:
        """Matplotlib's word for it: the control point's distance over the chord, upwards."""
        length = math.dist(self.begin, self.end)
        side = -1 if self.end[0] >= self.begin[0] else 1
        return f"arc3,rad={side * 2 * self.rise / length if length else 0:.4f}"


@dataclass(frozen=True, slots=True)
class LinkScale:
    """From |weight| to line width and opacity, straight from 0 to the heaviest link."""

    least: float
    most: float

    @classmethod
    def of(cls, links: Sequence[Sequence[Link]]) -> LinkScale:
        """The scale that all queries of a figure share."""
        sizes = [abs(link.drawn) for one in links for link in one]
        return cls(min(sizes), max(sizes))

    def width(self, weight: float) -> float:
        """Line width in points, 0.3 to 1.3."""
        return 0.3 + 1.0 * self._part(weight)

    def opacity(self, weight: float) -> float:
        """0.4 to 1."""
        return 0.4 + 0.6 * self._part(weight)

    def _part(self, weight: float) -> float:
        return abs(weight) / self.most if self.most else 0.0


def arrow(arc: Arc, colour: str, scale: LinkScale, weight: float) -> FancyArrowPatch:
    """An arrow along an arc; dashed where the weight is negative."""
    width, opacity = scale.width(weight), scale.opacity(weight)
    return FancyArrowPatch(
        arc.begin,
        arc.end,
        connectionstyle=arc.bend,
        arrowstyle=f"-|>,head_length={1.4 + 1.3 * width:.3f},head_width={0.6 + 0.6 * width:.3f}",
        mutation_scale=1,
        shrinkA=0,
        shrinkB=0,
        linewidth=width,
        linestyle="-" if weight >= 0 else (0, (3, 1.5)),
        color=colour,
        alpha=opacity,
        joinstyle="miter",
        capstyle="butt",
        path_effects=outline(colour, width, opacity),
    )


def disc(place: tuple[float, float], colour: str, scale: LinkScale, weight: float) -> Circle:
    """A link that starts nowhere: a disc, dashed and hollow where the weight is negative."""
    width, opacity = scale.width(weight), scale.opacity(weight)
    return Circle(
        place,
        0.05 * width + 0.02,
        facecolor=colour if weight >= 0 else "none",
        edgecolor=colour,
        linewidth=0.5,
        linestyle="-" if weight >= 0 else (0, (3, 1.5)),
        alpha=opacity,
        path_effects=outline(colour, 0.5, opacity),
    )


def dot(page: Axes, place: tuple[float, float], colour: str) -> None:
    """A query: a disc of its colour in a white and a dark ring."""
    for size, fill in ((4.2, INK), (3.6, "#FFFFFF"), (2.5, INK if colour == "#FFFFFF" else colour)):
        page.plot(*place, "o", markersize=size, color=fill, markeredgewidth=0, zorder=5)
    if colour == "#FFFFFF":
        page.plot(*place, "o", markersize=1.6, color=colour, markeredgewidth=0, zorder=5)


def outline(colour: str, width: float, opacity: float = 1.0) -> list[Any]:
    """A thin rim, dark around light colours and light around dark ones, to stand out anywhere."""
    rim = "#000000" if luminance(colour) > LIGHT else "#FFFFFF"
    return [
        patheffects.Stroke(linewidth=width + 0.4, foreground=rim, alpha=0.35 * opacity),
        patheffects.Normal(),
    ]


def luminance(colour: str) -> float:
    """Relative luminance of a colour, 0 for black to 1 for white, as WCAG defines it."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def text(size: float = LARGE, colour: str = INK, across: str = "left") -> dict[str, Any]:
    """How words are set."""
    words = {"family": FONT, "fontsize": size, "color": colour}
    return {**words, "va": "center_baseline", "ha": across, "parse_math": False}
