"""Small multiples: a query's heat over some frames side by side, as one JPEG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.geometry import Point, View
from nlviz.heat.overlay import Shade, heat
from nlviz.media.jpeg import data_address
from nlviz.query import Query

_MOST = 8
_WIDTH = 720  # pixels across of a whole picture, twice what it is shown at


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Which frames a small multiple shows, by their positions, and how many in a row."""

    positions: tuple[int, ...]
    columns: int

    @classmethod
    def of(cls, analysis: Analysis, query: Query) -> Mosaic:
        """At most eight frames, evenly spread; the query's own takes the place of the nearest.

        That one alone where the block looks at each frame by itself.
        """
        view = analysis.view
        count = len(view.frames)
        chosen = [round(i) for i in np.linspace(0, count - 1, min(count, _MOST))]
        frame = getattr(query.point, "frame", None)
        if frame in view.frames:
            own = view.frames.index(frame)
            if not analysis.affinity(query.block).joins_frames:
                return cls((own,), 1)
            nearest = min(range(len(chosen)), key=lambda i: abs(chosen[i] - own))
            chosen[nearest] = own
        return cls(tuple(chosen), math.ceil(len(chosen) / 2) if len(chosen) > 3 else len(chosen))

    @classmethod
    def spread(cls, count: int) -> Mosaic:
        """At most eight of so many frames, evenly spread."""
        chosen = tuple(round(i) for i in np.linspace(0, count - 1, min(count, _MOST)))
        return cls(chosen, math.ceil(len(chosen) / 2) if len(chosen) > 3 else len(chosen))

    @property
    def rows(self) -> int:
        """Rows of frames."""
        return math.ceil(len(self.positions) / self.columns)

    def place(self, view: View, u: float, v: float) -> Point | None:
        """The source place at a fraction of the picture's width and height; None beside frames."""
        across, down = u * self.columns, v * self.rows
        index = math.floor(down) * self.columns + math.floor(across)
        if not (0 <= across < self.columns and 0 <= index < len(self.positions)):
            return None
        width, height = view.source
        x, y = round(across % 1 * width, 2), round(down % 1 * height, 2)
        inside = min(x, width - 0.01), min(y, height - 0.01)
        return Point(view.frames[self.positions[index]], *inside)


def multiple(analysis: Analysis, query: Query, mosaic: Mosaic, shade: Shade, color: str) -> str:
    """The frames with heat as a data address; QueryError."""
    width = _WIDTH // mosaic.columns
    frames = heat(analysis, query, mosaic.positions, width, shade, color=color)
    return data_address(together(frames, mosaic), 82)


def together(frames: Sequence[NDArray[np.uint8]], mosaic: Mosaic) -> NDArray[np.uint8]:
    """The frames of a mosaic as one picture, a thin line between them."""
    height, width = frames[0].shape[:2]
    whole = np.full((mosaic.rows * height, mosaic.columns * width, 3), 128, np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, mosaic.columns)
        frame = frame.copy()
        frame[-1:], frame[:, -1:] = 235, 235  # a thin line between neighbours
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = frame
    return whole
