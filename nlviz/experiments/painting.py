"""Places of the clip painted over, and what the network's class scores become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.geometry import Grid, View
from nlviz.inference.protocol import Network
from nlviz.inference.score_passes import class_output
from nlviz.inference.scores import class_logits
from nlviz.progress import Progress

PAINTING = (
    "A derived block is no layer, so nothing can be masked in it: nlviz paints a growing share of "
    "the places over in the clip itself, in the clip's mean colour, and the network runs on what "
    "is left. Once they go in order of the row's weight, heaviest first; then in random orders "
    "drawn with a fixed seed. Where the first curve falls faster than the random ones, the score "
    "depends on these places more than on others. A painted clip is unlike any that the network "
    "was trained on, and a part of the fall is due to that: it is in the random curves, too."
)


def painted_logits(
    analysis: Analysis,
    network: Network,
    grid: Grid,
    kept: NDArray[np.bool_],
    report: Progress,
) -> torch.Tensor | None:
    """(S, classes) logits of the clip with some cells painted over; None without classes.

    Args:
        analysis: whose clip and input size are run again.
        network: what made it.
        grid: of the cells.
        kept: (S, T', H', W'), False where a cell is painted over.
        report: told of each pass; what it raises ends the work.
    """
    found = []
    for number, clip in enumerate(_painted(analysis.clip, analysis.view, grid, kept)):
        report(number / len(kept), f"running {network.name} with places painted over")
        logits = class_logits(class_output(clip, analysis.view, network), network.classes)
        if logits is None:
            return None
        found.append(logits)
    return torch.stack(found)


def _painted(clip: Clip, view: View, grid: Grid, kept: NDArray[np.bool_]) -> Iterator[Clip]:
    rows, cols = _nearest(view, grid)
    steps = [view.step(position, grid) for position in range(len(view.frames))]
    colour = clip.frames.mean(axis=(0, 1, 2)).round().astype(np.uint8)
    for mask in kept:
        there = mask[steps][:, rows][:, :, cols]
        yield replace(clip, frames=np.where(there[..., None], clip.frames, colour))


def _nearest(view: View, grid: Grid) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The row of each line of source pixels, and the column of each of a line."""
    width, height = view.source
    (x0, y0), (_, down, right) = view.origin(grid), view.steps(grid)

    def along(count: int, first: float, step: float, cells: int) -> NDArray[np.intp]:
        at = np.floor((np.arange(count) + 0.5 - first) / step + 0.5)
        nearest: NDArray[np.intp] = np.clip(at, 0, cells - 1).astype(np.intp)
        return nearest

    return along(height, y0, down, grid.rows), along(width, x0, right, grid.cols)
