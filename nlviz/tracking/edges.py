"""Masks drawn along the picture's edges by a guided filter, for display only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlviz.geometry import Grid, View
from nlviz.heat.guided import Sharpener
from nlviz.tracking.cells import Numbers, Soft, decided
from nlviz.tracking.protocol import Decision


def along_edges(
    soft: Soft, frame: NDArray[np.uint8], view: View, grid: Grid, decision: Decision
) -> Numbers:
    """Which object each pixel is on, once its labels follow the frame's colours.

    J and F are never measured on these: the frame decides here, not the block.

    Args:
        soft: (K, H, W), how much of each pixel is on each object.
        frame: (H, W, 3), the frame itself.
        view, grid: how large a cell is: as far as that the filter looks.
        decision: see ``Protocol``.

    Returns:
        (H, W): 0 on the background, k on the k-th object.
    """
    _, down, right = view.steps(grid)
    sharpener = Sharpener.of(frame, right, down)
    return decided(np.stack([sharpener.drawn(each) for each in soft]), decision)
