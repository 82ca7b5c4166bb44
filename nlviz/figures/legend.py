"""The legend below the strip: block and grids, the scale, and the share that links cover."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Polygon
from matplotlib.textpath import TextPath

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.display import links_cover
from nlviz.figures.marks import FONT, GREY, LARGE, LinkScale, dot, text
from nlviz.figures.strip import Strip
from nlviz.geometry import Region
from nlviz.query import Link, Query

ENTRY, INDENT = 7.6, 0.28
"""Centimetres that one query's entry takes beside others, and that its words are set in by."""

WIDE = 12.0
"""Narrower figures have the scale on a line of its own, in centimetres."""

GAP = 0.2
"""Centimetres between a block's name and its grids."""

WEDGE, STEPS = 1.4, 24
LETTER, SPACE = 0.125, 0.15
DARKNESS = 0.87
"""Of the ink, where opacity is 1."""

POINTS_PER_CM = 72 / 2.54


def count(links: Sequence[Sequence[Link]], clip: Clip, width: float) -> int:
    """Lines that the legend takes on a page of ``width`` centimetres with these frames."""
    entries = max(row for _, row, _, _ in _entries(links, clip, width)) + 1
    return len(_blocks(links)) + (width < WIDE) + entries


def draw(
    page: Axes,
    analysis: Analysis,
    links: Sequence[Sequence[Link]],
    strip: Strip,
    colours: Sequence[str],
    *,
    named: bool,
) -> None:
    """Write the legend onto the page, with the network's name if ``named`` or it joins windows."""
    line = 0
    for block in _blocks(links):
        title = f"{analysis.network} {block}" if named or analysis.is_joined else block
        page.text(0, strip.line(line), title, weight="bold", **text())
        grids = "queries {}, keys {}".format(*analysis.affinity(block).grids_in_words)
        after = _set(title, weight="bold") + GAP
        page.text(after, strip.line(line), grids, **text(colour=GREY))
        line += 1
    if strip.width < WIDE:
        _wedge(page, analysis, strip, line, links)
        line += 1
    else:
        _wedge(page, analysis, strip, 0, links)
    dotted = set()
    for number, row, left, words in _entries(links, strip.clip, strip.width):
        middle = strip.line(line + row)
        if number not in dotted:
            dot(page, (left + 0.1, middle), colours[number])
            dotted.add(number)
        page.text(left + INDENT, middle, words, **text())


def _entries(
    links: Sequence[Sequence[Link]], clip: Clip, width: float
) -> list[tuple[int, int, float, str]]:
    """Query, line, left end and words: beside each other, below each other, or in two lines."""
    several = len(_blocks(links)) > 1
    said = [_entry(one, clip, several) for one in links]
    widest = max(map(_set, said))
    across = int(width // ENTRY) if widest < ENTRY - INDENT else 1
    if across > 1 or widest < width - INDENT:
        places = (divmod(number, max(1, across)) for number in range(len(said)))
        return [
            (number, row, column * ENTRY, words)
            for number, ((row, column), words) in enumerate(zip(places, said, strict=True))
        ]
    halves = [words.partition(": ") for words in said]
    return [
        (number, 2 * number + half, 0.0, words)
        for number, (asked, colon, answer) in enumerate(halves)
        for half, words in enumerate((asked + colon.rstrip(), answer))
    ]


def _wedge(
    page: Axes, analysis: Analysis, strip: Strip, line: int, links: Sequence[Sequence[Link]]
) -> None:
    """Width and opacity from the least to the greatest weight drawn, between their numbers."""
    scale = LinkScale.of(links)
    signed = any(link.drawn < 0 for one in links for link in one)
    by = {link.query.rank_by for one in links for link in one}
    what, name = ("", "contribution") if by == {"contribution"} else ("affinity ", "weight")
    if {link.block for one in links for link in one} & {*analysis.derived}:
        what = "derived "
    before = f"{what}{f'|{name}|' if signed else name} {scale.least:.2g}"
    after = f"{scale.most:.2g}{', dashed: negative' if signed else ''}"
    long = _length(before) + WEDGE + _length(after)
    left = 0.0 if strip.width < WIDE else strip.width - long
    middle = strip.line(line)
    page.text(left, middle, before, **text())
    page.text(left + long, middle, after, **text(across="right"))
    start = left + _length(before)
    # Each step is painted to the end, over the one before: no seams.
    for step in range(STEPS):
        begin, end = (scale.least + (scale.most - scale.least) * i / STEPS for i in (step, STEPS))
        x, y0 = start + WEDGE * step / STEPS, scale.width(begin) / POINTS_PER_CM / 2
        y1 = scale.width(end) / POINTS_PER_CM / 2
        corners = [(x, -y0), (start + WEDGE, -y1), (start + WEDGE, y1), (x, y0)]
        grey = str(round(1 - scale.opacity(begin) * DARKNESS, 3))
        page.add_patch(Polygon([(x, middle + y) for x, y in corners], facecolor=grey, linewidth=0))


def _entry(links: Sequence[Link], clip: Clip, several: bool) -> str:
    query = links[0].query
    drawn = sum(link.target.frame in clip.indices for link in links)
    part = "" if drawn == len(links) else f", {drawn} of them drawn"
    covered = sum(link.share for link in links)
    which = f" in {query.block}" if several else ""
    head = "" if query.head is None else f", head {query.head}"
    of = "column" if query.reverse else "row"
    return (
        f"{asked_in_words(query)}{which}{head}: {links_cover(len(links))} "
        f"{100 * covered:.3g} % of the {of}'s weight{part}"
    )


def asked_in_words(query: Query) -> str:
    """What was asked about, in words."""
    point = query.point
    if isinstance(point, str):
        return f"token {point}"
    if isinstance(point, Region):
        x0, y0, x1, y1 = point.bounds
        return f"frame {point.frame}, region ({x0:.0f}, {y0:.0f}) to ({x1:.0f}, {y1:.0f})"
    return f"frame {point.frame}, ({point.x:.0f}, {point.y:.0f})"


def _blocks(links: Sequence[Sequence[Link]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(link.block for one in links for link in one))


def _set(words: str, weight: str = "normal") -> float:
    """How wide words are in the usual font, in centimetres."""
    prop = FontProperties(family=FONT, weight=weight)
    plain = words.replace("$", r"\$")  # a name may have dollar signs, and is no formula
    path = TextPath((0, 0), plain, size=LARGE, prop=prop)
    return float(path.get_extents().width) / POINTS_PER_CM


def _length(words: str) -> float:
    """About how wide words are set, in centimetres."""
    return LETTER * len(words) + SPACE
