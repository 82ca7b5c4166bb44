"""Analyses with more or fewer time steps than frames, each step with a weight of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nlviz import Affinity, Analysis, Grid
from tests.support import make

# Frames, the keys' grid, and which of its time steps is drawn on each frame: the one whose centre
# is nearest to the frame's, if it covers it.
CASES = {
    "one for each": (3, Grid(3, 2, 2), [0, 1, 2]),
    "each covers two": (4, Grid(2, 2, 2), [0, 0, 1, 1]),
    "two on each": (3, Grid(6, 2, 2), [1, 3, 5]),
    "four on an image": (1, Grid(4, 2, 2), [2]),
    "the last frame given again": (2, Grid(6, 2, 2, (1, 24, 32), (0.5, 12, 16)), [0, 1]),
    "the last frame pooled away": (5, Grid(2, 2, 2, (2, 24, 32), (1, 12, 16)), [0, 0, 1, 1, None]),
}


def analysis(frames: int, keys: Grid) -> Analysis:
    """Rows whose weights rise from time step to time step and are even within each."""
    whole = make.analysis(frames=frames)
    dark = replace(whole.clip, frames=np.zeros_like(whole.clip.frames))
    steps = np.repeat(np.arange(keys.t, dtype=float) + 1, keys.rows * keys.cols)
    rising = Affinity("dot_product", np.ones((1, keys.size)), steps[None], keys, keys)
    return replace(whole, clip=dark, affinities={"rising": rising}, fidelity={"rising": 1e-7})
