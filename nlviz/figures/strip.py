"""Strip: where frames, captions and legend lie on the page, in centimetres from its lower left."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nlviz.clip import Clip
from nlviz.errors import FigureError

CM_PER_INCH = 2.54
IN_A_ROW = 8
GAP = 0.06
CAPTION = 0.32
LINE = 0.36
TALLEST = 20.0
NARROWEST, WIDEST = 8.0, 100.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page: lower left corner, width and height in centimetres."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Strip:
    """A page: frames row by row, a caption under each, ``lines`` lines of legend at the bottom.

    Args:
        clip: the clip whose frames are laid out.
        width: of the page.
        columns: frames in a row.
        head: room left above the frames.
        lines: lines of legend.
        titled: whether frames have their number below.
    """

    clip: Clip
    width: float
    columns: int
    head: float
    lines: int
    titled: bool = True

    @property
    def height(self) -> float:
        """Of the page."""
        rows = math.ceil(len(self.clip.frames) / self.columns)
        frames = rows * (self._frame[1] + self.caption) + (rows - 1) * GAP
        return self.head + frames + self.lines * LINE + GAP

    @property
    def caption(self) -> float:
        """Room below a frame; a still has no number to tell."""
        return CAPTION if self.titled and not self.clip.is_image else 2 * GAP

    def frame(self, position: int) -> Box:
        """The box of a frame by its position in the clip."""
        row, column = divmod(position, self.columns)
        width, height = self._frame
        strip = self.columns * width + (self.columns - 1) * GAP
        left = (self.width - strip) / 2 + column * (width + GAP)
        top = self.height - self.head - row * (height + self.caption + GAP)
        return Box(left, top - height, width, height)

    def place(self, position: int, x: float, y: float) -> tuple[float, float]:
        """Where a source pixel of a frame lies on the page."""
        box = self.frame(position)
        scale = box.width / self.clip.width
        return box.x + x * scale, box.y + box.height - y * scale

    def line(self, number: int) -> float:
        """Height of the middle of a line of legend, from 0 at the top."""
        return GAP + (self.lines - number - 0.5) * LINE

    @property
    def _frame(self) -> tuple[float, float]:
        rows = math.ceil(len(self.clip.frames) / self.columns)
        width = (self.width - (self.columns - 1) * GAP) / self.columns
        width = min(width, TALLEST / rows * self.clip.width / self.clip.height)
        return width, width * self.clip.height / self.clip.width


def columns_for(clip: Clip, columns: int | None) -> int:
    """The columns asked for; else one row up to eight frames, and rows of equal length above."""
    count = len(clip.frames)
    if columns is None:
        return math.ceil(count / math.ceil(count / IN_A_ROW))
    if columns < 1:
        raise FigureError(f"columns must be at least 1; got {columns}.")
    return min(columns, count)


def check_width(width_cm: float) -> None:
    """FigureError for a page that is too narrow for its legend, or wider than a poster."""
    if not NARROWEST <= width_cm <= WIDEST:
        raise FigureError(
            f"A figure is {NARROWEST:g} to {WIDEST:g} cm wide; got {width_cm:g}. Choose "
            "8.4 for one column of a page or 17.4 for two."
        )
