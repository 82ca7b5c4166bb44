"""Where the cells of a grid stand in a tensor of the network, as a block's input."""

from __future__ import annotations

import torch
from torch import Tensor

from nlviz.geometry import Grid
from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.notes import Placed, on_our_own


def cells_in(x: Tensor, places: Places, grid: Grid) -> Tensor | None:
    """Which cell each element of a tensor lies in, by its row-major index; −1 for none.

    Args:
        x: a tensor of the pass that ``places`` followed.
        places: of a network whose whole input is one clip.
        grid: with its stride and first cell.

    Returns:
        whole numbers with the axes of x, 1 along those over which the cell does not change, as
        channels; None where the places of x are not known.
    """
    note = places.of(x)
    known = note.read() if note is not None else None
    if not isinstance(known, Placed) or len(known.cores) != 1 or not places.clips.frames:
        return None
    with on_our_own():
        (core,), at = known.cores, places.coordinates
        centre = torch.where((at.kind(core) == Kind.CELL)[..., None], at.centre(core), torch.nan)
        frame = centre[..., :1] * places.clips.each + centre[..., 1:2]
        stride, first = torch.tensor(grid.stride), torch.tensor(grid.first)
        step = (torch.cat([frame, centre[..., 2:]], dim=-1) - first) / stride
        nearest = step.round()
        inside = (
            ((step - nearest).abs() < 0.5) & (nearest >= 0) & (nearest < torch.tensor(grid.shape))
        )
        t, row, col = torch.where(inside, nearest, 0).long().unbind(-1)
        index = (t * grid.rows + row) * grid.cols + col
        return torch.where(inside.all(-1), index, -1)
