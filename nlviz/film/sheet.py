"""Sheet: where the clip's frames and the caption lie in a picture of a film, in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.errors import ExportError
from nlviz.geometry import Point

Picture = NDArray[np.uint8]

NARROWEST, WIDEST = 160, 3840
_PAPER = (22, 24, 29)
_WIDE = 16 / 9
_LONGEST = 4096  # of a side, as H.264's decoders take it


def check_width(width: int | None) -> None:
    """ExportError for a width that no film has; None is the usual one."""
    if width is not None and not NARROWEST <= width <= WIDEST:
        raise ExportError(f"A film can be {NARROWEST} to {WIDEST} pixels wide; got {width}.")


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Frames in rows, a gap between them, and room for a caption below.

    Args:
        clip: whose frames.
        positions: of the frames in the clip that are laid out.
        width: of the picture, even.
        columns: frames in a row.
    """

    clip: Clip
    positions: tuple[int, ...]
    width: int
    columns: int

    @classmethod
    def of(cls, clip: Clip, positions: tuple[int, ...], width: int | None) -> Sheet:
        """The sheet whose picture comes nearest to 16:9.

        Raises:
            ExportError: a width out of range, or frames that make the picture too tall.
        """
        count = len(positions)
        columns = min(range(1, count + 1), key=lambda n: _off(clip, count, n))
        wide = clip.width if count == 1 else 640 * columns
        width = min(max(wide, 320), 1280) if width is None else width
        check_width(width)
        sheet = cls(clip, positions, width // 2 * 2, columns)
        if sheet.height > _LONGEST:
            raise ExportError(
                f"A film of {sheet.width}×{sheet.height} is too tall to play; choose a "
                "smaller width."
            )
        return sheet

    @property
    def gap(self) -> int:
        """Between frames."""
        return 0 if len(self.positions) == 1 else max(2, self.width // 320)

    @property
    def caption(self) -> int:
        """Height of the room below the frames."""
        return max(26, self.width // 22)

    @property
    def frame(self) -> tuple[int, int]:
        """(width, height) of a frame as it is drawn."""
        width = (self.width - (self.columns - 1) * self.gap) // self.columns
        return width, max(1, round(width * self.clip.height / self.clip.width))

    @property
    def height(self) -> int:
        """Of the picture, even."""
        rows = math.ceil(len(self.positions) / self.columns)
        return (rows * self.frame[1] + (rows - 1) * self.gap + self.caption + 1) // 2 * 2

    @property
    def scale(self) -> float:
        """Pixels of the picture for one of the source."""
        return self.frame[0] / self.clip.width

    def corner(self, position: int) -> tuple[int, int]:
        """(x, y) of a frame's upper left corner, by its position in the clip."""
        row, column = divmod(self.positions.index(position), self.columns)
        width, height = self.frame
        return column * (width + self.gap), row * (height + self.gap)

    def place(self, point: Point) -> tuple[float, float]:
        """Where a source pixel lies in the picture."""
        x, y = self.corner(self.clip.indices.index(point.frame))
        return x + point.x * self.scale, y + point.y * self.scale

    def picture(self) -> Picture:
        """The frames and nothing else; the caller's own."""
        picture: Picture = np.full((self.height, self.width, 3), _PAPER, np.uint8)
        width, height = self.frame
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        for position in self.positions:
            x, y = self.corner(position)
            small = cv2.resize(self.clip.frames[position], self.frame, interpolation=how)
            picture[y : y + height, x : x + width] = small
        return picture


def _off(clip: Clip, count: int, columns: int) -> float:
    """How far a layout is from 16:9; each place left empty counts about as much as double."""
    rows = math.ceil(count / columns)
    aspect = columns * clip.width / (rows * clip.height)
    return abs(math.log(aspect / _WIDE)) + 0.8 * (rows * columns - count)
