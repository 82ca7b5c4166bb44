"""Where cells lie in space and time: fractions of the frame's diagonal, and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.geometry import Cell, Grid

Numbers = NDArray[np.float64]

BINS = 20
EDGES = np.linspace(0.0, 1.0, BINS + 1)
"""Of the bins of distance, in diagonals of the source frame."""


@dataclass(frozen=True, slots=True, eq=False)
class CellCentres:
    """The centres of a grid's cells.

    Args:
        spots: (rows · cols, 2) x and y in diagonals of the source frame, row by row.
        seconds: (t,) the mean time stamp of the frames that each time step covers.
    """

    spots: Numbers
    seconds: Numbers

    @classmethod
    def of(cls, analysis: Analysis, grid: Grid) -> CellCentres:
        """Of one grid of an analysis."""
        view, stamps = analysis.view, np.asarray(analysis.clip.timestamps)
        diagonal = math.hypot(*view.source)
        down = [view.point(Cell(0, row, 0), grid).y / diagonal for row in range(grid.rows)]
        right = [view.point(Cell(0, 0, col), grid).x / diagonal for col in range(grid.cols)]
        spots = np.stack(np.meshgrid(right, down), axis=-1).reshape(-1, 2)
        seconds = [stamps[list(view.positions(t, grid))].mean() for t in range(grid.t)]
        return cls(spots, np.asarray(seconds))


def distances(here: Numbers, there: Numbers) -> Numbers:
    """(n, m): how far apart n and m spots lie, whatever their frames."""
    off = here[:, None] - there[None]
    far: Numbers = np.hypot(off[..., 0], off[..., 1])
    return far


def binned(far: Numbers, shares: Numbers) -> Numbers:
    """(BINS,): the shares summed by their distance."""
    # Centres lie on a lattice, and their distances often on an edge: rounding must not decide.
    number = np.clip((far * BINS + 1e-9).astype(np.intp), 0, BINS - 1)
    sums: Numbers = np.bincount(number.ravel(), shares.ravel(), BINS).astype(np.float64)
    return sums


def entropy(shares: Numbers) -> Numbers:
    """−Σ p ln p over the last axis, in nats; 0 ln 0 is 0."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    nats: Numbers = -(shares * logs).sum(axis=-1)
    return nats
