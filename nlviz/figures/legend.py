"""The legend below the strip: block and grids, the scale, and the share that links cover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from nlviz.figures.marks import COLOURS, GREY, INK, Scale, dot, text
from nlviz.figures.strip import Strip
from nlviz.links import Link

if TYPE_CHECKING:
    from nlviz.analysis import Analysis

ENTRY = 7.6
"""Centimetres that one query's entry takes."""

WIDE = 12.0
"""Narrower figures have the scale on a line of its own, in centimetres."""

WEDGE, STEPS = 1.4, 14
POINTS_PER_CM = 72 / 2.54


def count(links: Sequence[Sequence[Link]], width: float) -> int:
    """Lines that the legend takes on a page of ``width`` centimetres."""
    entries = math.ceil(len(links) / _in_a_line(width))
    return len(_blocks(links)) + (width < WIDE) + entries


def draw(
    page: Axes,
    analysis: Analysis,
    links: Sequence[Sequence[Link]],
    strip: Strip,
    scale: Scale,
) -> None:
    """Write the legend onto the page."""
    line = 0
    for block in _blocks(links):
        affinity = analysis.affinity(block)
        page.text(0, strip.line(line), block, weight="bold", **text())
        grids = f"queries {affinity.query_grid}, keys {affinity.key_grid}"
        page.text(_indent(block), strip.line(line), grids, **text(colour=GREY))
        line += 1
    if strip.width < WIDE:
        _wedge(page, 0, strip.line(line), scale, links)
        line += 1
    else:
        _wedge(page, strip.width - WIDE / 2 + 0.2, strip.line(0), scale, links)
    across = _in_a_line(strip.width)
    for number, (one, colour) in enumerate(zip(links, COLOURS, strict=False)):
        row, column = divmod(number, across)
        left, middle = column * ENTRY, strip.line(line + row)
        dot(page, (left + 0.1, middle), colour)
        page.text(left + 0.28, middle, _entry(one, len(_blocks(links)) > 1), **text())


def _wedge(
    page: Axes, left: float, middle: float, scale: Scale, links: Sequence[Sequence[Link]]
) -> None:
    """Width and opacity from the least to the greatest weight drawn, between their numbers."""
    signed = any(link.weight < 0 for one in links for link in one)
    kind = "affinity |weight|" if signed else "affinity weight"
    page.text(left, middle, f"{kind}  {scale.least:.2g}", **text())
    start = left + 0.12 * len(f"{kind}  {scale.least:.2g}") + 0.1
    for step in range(STEPS):
        ends = [scale.least + (scale.most - scale.least) * (step + i) / STEPS for i in (0, 1)]
        x0, x1 = (start + WEDGE * (step + i) / STEPS for i in (0, 1))
        y0, y1 = (scale.width(weight) / POINTS_PER_CM / 2 for weight in ends)
        page.add_patch(
            Polygon(
                [(x0, middle - y0), (x1, middle - y1), (x1, middle + y1), (x0, middle + y0)],
                facecolor=INK,
                alpha=scale.opacity(ends[1]),
                linewidth=0,
            )
        )
    dashed = ", dashed below 0" if signed else ""
    page.text(start + WEDGE + 0.12, middle, f"{scale.most:.2g}{dashed}", **text())


def _entry(links: Sequence[Link], several: bool) -> str:
    source = links[0].source
    covered = sum(link.share for link in links)
    where = f"frame {source.frame}, ({source.x:.0f}, {source.y:.0f})"
    which = f" in {links[0].block}" if several else ""
    what = "link covers" if len(links) == 1 else "links cover"
    return f"{where}{which}: {len(links)} {what} {100 * covered:.3g} % of the row"


def _blocks(links: Sequence[Sequence[Link]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(link.block for one in links for link in one))


def _in_a_line(width: float) -> int:
    return max(1, int(width // ENTRY))


def _indent(word: str) -> float:
    return 0.16 * len(word) + 0.2
