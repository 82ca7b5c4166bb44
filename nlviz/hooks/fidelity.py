"""How well a captured affinity reproduces what the block itself put out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.geometry import Cell, Grid

Array = NDArray[np.float32]

_CHECKED_QUERIES = 32
# By precision: the greatest relative error of a capture that is right, and the least size of y
# (beside the size of what all queries have in common) that rounding leaves something to check in.
_LIMITS = {True: (0.02, 1e-3), False: (0.05, 0.2)}


def checked_queries(
    grid: Grid, cells: Sequence[int] | NDArray[np.intp] | None = None, tokens: Sequence[str] = ()
) -> list[Cell | str]:
    """The queries to recompute: spread over the cells that are there, and some tokens.

    Args:
        grid: the grid of the queries.
        cells: row-major indices of those that are there; all of the grid if None.
        tokens: names of queries that are no cells.
    """
    there = np.arange(grid.size) if cells is None else np.asarray(cells)
    spread = np.linspace(0, len(there) - 1, min(len(there), _CHECKED_QUERIES)).round().astype(int)
    return [*(grid.cell(int(i)) for i in there[spread]), *tokens[:4]]


def relative_error(weighed: Array, even: Array, y: Array, dtype: torch.dtype) -> float:
    """‖row · g − y‖ relative to the size of y without what says nothing about the weights.

    Args:
        weighed: (n, width) row · g of some queries.
        even: what even weights would give them, subtracted from y; 0 unless rows sum to 1.
        y: what the block put out for them.
        dtype: the precision that the block worked in.

    Raises:
        CaptureError: y is zero, or not finite.
    """
    size = float(np.linalg.norm(y))
    if not size or not np.isfinite(size):
        raise CaptureError(
            f"puts out {size:g} for this input, so its weights cannot be checked; give it another "
            "input or weights"
        )
    _, least = _LIMITS[is_precise(dtype)]
    off = float(np.linalg.norm(weighed - y))
    return off / max(float(np.linalg.norm(y - even)), least * size)


def is_right(error: float, dtype: torch.dtype) -> bool:
    """Whether rounding in that precision explains an error."""
    limit, _ = _LIMITS[is_precise(dtype)]
    return error < limit


def is_precise(dtype: torch.dtype) -> bool:
    """Whether numbers of that kind have more than half precision."""
    return dtype in (torch.float32, torch.float64)


def even_weights(affinity: Affinity, queries: Sequence[Cell | str]) -> Array:
    """(n, M): rows of queries that weigh all the keys they can reach equally."""
    nothing = (np.zeros((1, t.shape[1]), np.float32) for t in (affinity.theta, affinity.phi))
    theta, phi = nothing
    return replace(affinity, theta=theta, phi=phi, heads=1).weights(queries)
