"""Style: the choices that a paper makes for its figures."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib import font_manager
from matplotlib.colors import is_color_like

from nlviz.errors import FigureError
from nlviz.figures.marks import FONT, LARGE
from nlviz.figures.strip import NARROWEST
from nlviz.heat.colormap import PALETTE

SMALLEST, LARGEST = 4.0, 24.0
"""The smallest and the largest size of text, in points."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a figure looks like, beside what it shows.

    Args:
        frames: source frames to draw; all that were sampled if None. Links that end on others are
            left out, and the legend says how many are drawn.
        font: the family of all words, one that is installed.
        size: of the words in points, 4 to 24; frame numbers are a little smaller.
        colours: of the queries in order, as Matplotlib names colours.
        titles: whether there are frame numbers and a legend at all.

    Raises:
        FigureError: a font that is not installed, a size out of range, or an unknown colour.
    """

    frames: tuple[int, ...] | None = None
    font: str = FONT
    size: float = LARGE
    colours: tuple[str, ...] = PALETTE
    titles: bool = True

    def __post_init__(self) -> None:
        if self.frames is not None and not self.frames:
            raise FigureError("There are no frames to draw; name at least one.")
        if not SMALLEST <= self.size <= LARGEST:
            raise FigureError(
                f"Text must be {SMALLEST:g} to {LARGEST:g} points; got {self.size:g}."
            )
        for colour in self.colours:
            if not is_color_like(colour):
                raise FigureError(
                    f"{colour!r} is not a colour; write it as #E69F00 or by its name."
                )
        try:
            font_manager.findfont(self.font, fallback_to_default=False)
        except ValueError:
            raise FigureError(
                f"The font {self.font!r} is not installed; {FONT!r} always is."
            ) from None

    @property
    def scale(self) -> float:
        """How much larger words are than usual."""
        return self.size / LARGE

    def check_room(self, width_cm: float) -> None:
        """FigureError for text too large for the width."""
        if self.titles and width_cm / self.scale < NARROWEST:
            most = LARGE * width_cm / NARROWEST
            raise FigureError(
                f"Text of {self.size:g} points does not fit in {width_cm:g} cm; choose at most "
                f"{most:.3g} points, a wider figure, or none of them."
            )


PLAIN = Style()
"""A figure of two columns in most journals."""
