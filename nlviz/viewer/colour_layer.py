"""A layer of colours over the frames, cell by cell: what features look like, in the viewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.geometry import Grid, View
from nlviz.viewer.blobs import grid_header, pack
from nlviz.viewer.headers import ComponentsHeader

MOST_CELLS = 2_000_000
"""Cells of a layer that a viewer takes: 8 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class ColourLayer:
    """Colours of cells, drawn over the frames in grey; no weights.

    Args:
        grid: the cells.
        colours: (T, H, W, 3) uint8 RGB.
        shown: (T, H, W), False where a cell has no colour and the frame is darker.
        words: what the colours are, in sentences.

    Raises:
        QueryError: more cells than a page should hold.
    """

    grid: Grid
    colours: NDArray[np.uint8]
    shown: NDArray[np.bool_]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.grid.size > MOST_CELLS:
            raise QueryError(
                f"A layer of {self.grid.size:,} cells is too fine for the viewer, which takes "
                f"{MOST_CELLS:,}; take a later layer, or fewer frames."
            )

    def blob(self, view: View, clip_tag: str) -> bytes:
        """As the viewer is sent it."""
        opaque = np.where(self.shown, np.uint8(255), np.uint8(0))[..., None]
        header: ComponentsHeader = {
            "kind": "components",
            "clip": clip_tag,
            "grid": grid_header(view, self.grid),
            "words": list(self.words),
        }
        cells = np.ascontiguousarray(np.concatenate([self.colours, opaque], axis=-1))
        return pack(header, [("cells", "u8", cells.tobytes())])
