"""Match strips: two clips above each other, and arrows from places of one into the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from nlviz.clip import Clip
from nlviz.errors import FigureError
from nlviz.figures import legend
from nlviz.figures.figure import Figure
from nlviz.figures.heat import Heat, Painted
from nlviz.figures.marks import GREY, SMALL, Arc, LinkScale, arrow, disc, dot, text
from nlviz.figures.panel import draw_asked, draw_frame, place_of
from nlviz.figures.strip import CM_PER_INCH, GAP, LINE, Strip, check_width, columns_for
from nlviz.figures.style import PLAIN, Style
from nlviz.geometry import Point
from nlviz.matching.command import match_command
from nlviz.matching.match import Match
from nlviz.matching.pairing import UNWEIGHED, Pairing
from nlviz.provenance import Provenance

_BETWEEN = 1.0  # centimetres between the strips, for the arrows
_FEWEST = 3  # columns of a strip of fewer frames
_LIKE = {"weights": "θ of the upper clip, φ of the lower", "cosine": "cosine of the block's input"}


def match_strips(
    matches: Sequence[Match],
    *,
    width_cm: float = 17.4,
    columns: int | None = None,
    heat: Heat | None = None,
    style: Style = PLAIN,
    command: str | None = None,
) -> Figure:
    """The first clip's frames above, the second's below, and arrows from each place to its links.

    An arrow's width and opacity grow with its weight, on one scale. A line of the legend says that
    no network weighed these, also without titles.

    Args:
        matches: what to draw, 1 to 8 of one pairing, each in its colour.
        width_cm: width of the figure, 8 to 100; 17.4 is a page of two columns.
        columns: frames in a row, of both; all in one row up to eight if None.
        heat: whose row lies over the second clip: that of one of the matches; none if None.
        style: font, colours, and whether there are words at all; its ``frames`` have to be None.
        command: what the user typed; without it the ``match`` command that gives the same.

    Raises:
        QueryError: a heat that cannot be scaled so.
        FigureError: no matches, more than colours, matches of several pairings, frames that were
            chosen, or a layout that cannot be drawn.
    """
    check_width(width_cm)
    style.check_room(width_cm)
    pairing = _pairing(matches, style)
    scale = style.scale
    laid = _Laid.of(pairing, matches, width_cm / scale, columns, heat, style)
    drawing = Drawing(figsize=(width_cm / CM_PER_INCH, laid.height * scale / CM_PER_INCH))
    laid.draw(drawing, matches, style)
    for words in (words for page in drawing.axes for words in page.texts):
        words.set(family=style.font, fontsize=float(words.get_fontsize()) * scale)
    queries = [each.query for each in matches]
    here = Provenance.of(pairing.asked, queries)
    made = [
        replace(here, command=command or match_command(matches)),
        replace(Provenance.of(pairing.there), command=None),
    ]
    return Figure(drawing, made)


def _pairing(matches: Sequence[Match], style: Style) -> Pairing:
    if not matches:
        raise FigureError("There are no matches to draw; give at least one.")
    if len(matches) > len(style.colours):
        raise FigureError(
            f"{len(matches)} places have more colours than can be told apart; "
            f"give at most {len(style.colours)}."
        )
    if any(each.pairing is not matches[0].pairing for each in matches):
        raise FigureError("Matches of several pairings have no common strips; draw each alone.")
    if style.frames is not None:
        raise FigureError("Two clips have frames of their own; leave out which frames to draw.")
    return matches[0].pairing


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """Both strips on their page, the first above."""

    pairing: Pairing
    upper: Strip
    lower: Strip
    painted: Painted | None

    @classmethod
    def of(
        cls,
        pairing: Pairing,
        matches: Sequence[Match],
        width: float,
        columns: int | None,
        heat: Heat | None,
        style: Style,
    ) -> _Laid:
        painted = None if heat is None else Painted.of(pairing.asked, heat)
        here, there = pairing.here.clip, pairing.there.clip
        links = [each.links for each in matches]
        words = legend.count(links, there, width) + (2 if painted else 0) if style.titles else 0
        named = LINE if style.titles else GAP
        most = columns_for(here, columns)
        head = _BETWEEN + (LINE if style.titles else 0)
        upper = Strip(here, width, most, named, 0, style.titles)
        lower = Strip(there, width, _columns(there, columns, most), head, words + 1, style.titles)
        return cls(pairing, upper, lower, painted)

    @property
    def height(self) -> float:
        """Of the page, in centimetres."""
        return self.upper.height + self.lower.height

    def draw(self, drawing: Drawing, matches: Sequence[Match], style: Style) -> None:
        """Frames and heat, then what lies over both strips."""
        share = self.lower.height / self.height
        above = _page(drawing, self.upper, share, 1 - share)
        below = _page(drawing, self.lower, 0, share)
        for page, strip in ((above, self.upper), (below, self.lower)):
            for position, frame in enumerate(strip.clip.frames):
                draw_frame(page, strip, position, frame)
                if self.painted is not None and page is below:
                    self.painted.frame(page, self.pairing.there.view, strip, position)
            page.set(xlim=(0, strip.width), ylim=(0, strip.height))
        asked = self.pairing.asked
        for each, colour in zip(matches, style.colours, strict=False):
            draw_asked(above, asked, self.upper, each.query, colour)
        self._arrows(drawing, matches, style)
        self._words(above, below, matches, style)

    def _arrows(self, drawing: Drawing, matches: Sequence[Match], style: Style) -> None:
        """Over both strips, heavy over light; discs for a token, which has no place."""
        over = _page(drawing, self.lower, 0, 1)
        over.set(xlim=(0, self.lower.width), ylim=(0, self.height))
        scale = LinkScale.of([each.links for each in matches])
        numbered = [(link, i) for i, each in enumerate(matches) for link in each.links]
        for link, number in sorted(numbered, key=lambda pair: abs(pair[0].drawn)):
            colour, end = style.colours[number], place_of(self.lower, link.target)
            mark = (
                disc(end, colour, scale, link.drawn)
                if link.source is None
                else arrow(Arc(self._above(link.source), end, 0.0), colour, scale, link.drawn)
            )
            mark.set_gid(f"link-{number + 1}-{link.rank}")
            over.add_patch(mark)
        for each, colour in zip(matches, style.colours, strict=False):
            if each.best.source is not None:
                dot(over, self._above(each.best.source), colour)

    def _above(self, point: Point) -> tuple[float, float]:
        x, y = place_of(self.upper, point)
        return x, y + self.lower.height

    def _words(self, above: Axes, below: Axes, matches: Sequence[Match], style: Style) -> None:
        """The clips' names and the legend; what no network weighed is said in any case."""
        pairing, lower = self.pairing, self.lower
        said = f"{_LIKE[pairing.of]}: {UNWEIGHED}"
        below.text(0, lower.line(lower.lines - 1), said, **text(colour=GREY))
        if not style.titles:
            return
        for page, strip, name in (
            (above, self.upper, pairing.here.clip.name),
            (below, lower, pairing.there.clip.name),
        ):
            box = strip.frame(0)
            page.text(box.x, box.y + box.height + LINE / 2, name, **text(SMALL, GREY))
        if self.painted is not None:
            self.painted.bar(below, lower, lower.lines - 3)
        links = [each.links for each in matches]
        legend.draw(below, pairing.asked, links, lower, style.colours, named=False)


def _columns(clip: Clip, columns: int | None, most: int) -> int:
    """As many as the first clip has, so that frames are alike; a photo is larger."""
    if columns is not None or len(clip.frames) > most:
        return columns_for(clip, columns)
    return max(len(clip.frames), min(most, _FEWEST))


def _page(drawing: Drawing, strip: Strip, bottom: float, share: float) -> Axes:
    page = drawing.add_axes((0, bottom, 1, share))
    page.set_axis_off()
    page.set_xlim(0, strip.width)
    return page
