"""The passes that class scores come from, where it is not the one that is drawn: square windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.errors import BudgetError
from nlviz.geometry import MOST_INPUT, Grid, Point, View
from nlviz.hooks.capture import evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.inference.passes import network_input, resized, telling_stages
from nlviz.inference.protocol import Network
from nlviz.inference.scores import class_logits
from nlviz.models.score_windows import ScoreWindows
from nlviz.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Window:
    """A square window of a clip, in all of its frames, as a network is given it.

    Args:
        corner: (x, y) of its first pixel in the clip.
        view: how the window, taken for the whole picture, becomes the network's input.
    """

    corner: tuple[int, int]
    view: View

    @property
    def pixels(self) -> int:
        """Of a frame, as the network is given it."""
        return self.view.input[0] * self.view.input[1]

    def input(self, clip: Clip, network: Network) -> torch.Tensor:
        """What the network's module is called with."""
        (x, y), (width, height) = self.corner, self.view.source
        cut = clip.frames[:, y : y + height, x : x + width]
        return network.prepare(resized(cut, *self.view.input))

    def drawn_cells(self, drawn: View, own: Grid, other: Grid) -> NDArray[np.intp]:
        """(own.size,) the cell of a grid of the whole clip where each of the window's cells lies.

        That whose centre is nearest to the middle of the window's cell, by its row-major index.

        Args:
            drawn: how the whole clip becomes the network's input.
            own: the grid of the window's cells.
            other: the grid of the whole clip's.
        """
        (x0, y0), frame = self.corner, drawn.frames[0]
        y, x = self.view.centres(own)
        rows = [drawn.cell(Point(frame, x0, y0 + each), other).row for each in y]
        cols = [drawn.cell(Point(frame, x0 + each, y0), other).col for each in x]
        middle = (self.view.positions(t, own) for t in range(own.t))
        steps = [drawn.step(covered[(len(covered) - 1) // 2], other) for covered in middle]
        there: NDArray[np.intp] = np.ravel_multi_index(np.ix_(steps, rows, cols), other.shape)
        return there.ravel()


def declared(network: Network) -> ScoreWindows | None:
    """The windows that a network says its class scores come from; None where it says none."""
    said: ScoreWindows | None = getattr(network, "score_windows", None)
    return said if network.classes else None


def windows_of(clip: Clip, network: Network) -> tuple[Window, ...]:
    """The windows of a clip that a network's class scores come from.

    Empty where they come from the pass that is drawn, and where the network has no classes.

    Raises:
        BudgetError: more frames than the network may be given.
    """
    said = declared(network)
    if said is None:
        return ()
    size, side = said.size, min(clip.width, clip.height)
    most = MOST_INPUT // size**2
    if len(clip.frames) > most:
        raise BudgetError(
            f"{len(clip.frames)} frames at {size}×{size}, which class scores come from, do not fit "
            f"into memory; take at most {most} frames."
        )
    view = View((side, side), (size, size), clip.indices)
    return tuple(Window(corner, view) for corner in said.corners(clip.width, clip.height))


def mean_logits(
    windows: Sequence[Window], clip: Clip, network: Network, *, progress: Progress | None = None
) -> Any:
    """What class scores are read from: the mean of the logits (classes,) over windows.

    Each window is a pass of its own through the whole network, its blocks included, as a clip of
    all frames. Where nothing that the network puts out can be class scores, it is that.

    Raises:
        BudgetError: the machine has too little memory.
    """
    report, found = progress or silent, []
    number = len(windows)
    with enough_memory(f"class scores of {len(clip.frames)} frames"), evaluating(network.module):
        for i, window in enumerate(windows):

            def told(fraction: float, stage: str, i: int = i) -> None:
                report((i + fraction) / number, f"window {i + 1} of {number}")

            with telling_stages(network, told):
                output = network.module(window.input(clip, network))
            logits = class_logits(output, network.classes)
            if logits is None:
                return output
            found.append(logits)
        return torch.stack(found).mean(0)


def class_output(
    clip: Clip, view: View, network: Network, *, progress: Progress | None = None
) -> Any:
    """What a network's class scores of a clip are read from, in as few passes as that needs.

    Its windows' ``mean_logits`` where it has them, else what it puts out for the clip in ``view``.
    """
    windows = windows_of(clip, network)
    if windows:
        return mean_logits(windows, clip, network, progress=progress)
    with evaluating(network.module):
        return network.module(network_input(clip, view, network))
