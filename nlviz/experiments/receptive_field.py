"""The receptive field of a block's cells: all of the clip that the layers before it can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.display import listed
from nlviz.errors import CaptureError
from nlviz.experiments.cells import cells_in
from nlviz.experiments.positive_weights import marked, positive
from nlviz.experiments.rerun import find_block
from nlviz.geometry import Cell, Footprint, Grid, Point, Region, View
from nlviz.hooks.capture import PUT_BACK, evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.hooks.module_calls import first_tensor, this_thread
from nlviz.hooks.places.follow import Following, Places
from nlviz.inference.passes import layout_of, network_input
from nlviz.inference.protocol import Network
from nlviz.query import Query


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What a place's cell has been computed from.

    Args:
        local: the box of source pixels and the source frames that the layers before the block
            read for the cell, the blocks before it left out.
        through: the blocks before it. By their links a cell may hold something of any place that
            these reach: after one that reaches everywhere, of the whole clip.
    """

    local: Footprint
    through: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The same as a line to print."""
        box, frames = self.local, self.local.frames
        over = f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"
        rest = f"; by their links also what {listed(self.through)} reach" if self.through else ""
        return (
            f"receptive field: x {box.x0:.4g} to {box.x1:.4g}, y {box.y0:.4g} to {box.y1:.4g}, "
            f"{over}{rest}"
        )


def receptive_field(
    analysis: Analysis, network: Network, block: str, place: Point | Region
) -> ReceptiveField:
    """All of the clip that can change a block's input at a place; runs the network once more.

    This is the theoretical receptive field: from the block's input at the place's cells back to
    the network's, by the gradient of the same network with positive weights and no nonlinearity
    (``nlviz.experiments.positive_weights``), whose every path counts and none cancels another. It
    does not say how much each pixel really weighs, which falls off towards the edges.

    Args:
        analysis: what the network saw.
        network: the network that it was made with.
        block: one of the analysis's blocks; its queries' cells are meant.
        place: a point, or a region, whose cells' fields are joined.

    Raises:
        QueryError: an unknown block, or a place outside the clip.
        CaptureError: the block's input has its cells in an unknown order, or it lies inside a block
            before it.
        BudgetError: the machine has too little memory.
    """
    affinity, view = analysis.affinity(block), analysis.view
    asked_of = Side(affinity).places(view, Query(place, block=block))
    cells = [cell for cell in asked_of if isinstance(cell, Cell)]
    before = analysis.blocks[: analysis.blocks.index(block)]
    layout = layout_of(network)
    with enough_memory(f"the receptive field of {block!r}"):
        inputs = network_input(analysis.clip, view, network)
        with evaluating(network.module), positive():
            inputs = inputs.requires_grad_()
            given = inputs.clone()  # a module may write into what it is given
            places = Places(network.module, (given,), layout=layout)
            with _stopping(network.module, block, before) as reached, Following(places):
                network.module(given)
            (x,) = reached
            if _is_in_order(x, affinity.query_grid) and analysis.places.get(block) != PUT_BACK:
                there = [_of_map(x)[affinity.query_grid.index(cell)] for cell in cells]
            else:
                there = _at(cells, x, places, affinity.query_grid, block)
            asked = torch.stack([each.sum() for each in there]).sum()
            (gradient,) = torch.autograd.grad(asked, inputs, allow_unused=True)
        seen = inputs.new_zeros(()) if gradient is None else marked(gradient).bool()
    if not seen.any():
        raise CaptureError(f"No path leads from the clip to block {block!r}, so it has no field.")
    return ReceptiveField(_box(seen.movedim(layout.index("T"), 0), view), before)


class _Reached(Exception):
    """The block was given its input; the rest of the pass is not needed."""


@contextmanager
def _stopping(module: nn.Module, block: str, before: tuple[str, ...]) -> Iterator[list[Tensor]]:
    """Ends a pass where it enters a block, and makes the blocks before it add nothing.

    What is yielded holds the block's input afterwards.
    """
    target, _, number = find_block(module, block)
    around = [find_block(module, name) for name in before]
    for name, (outer, *_) in zip(before, around, strict=True):
        if outer is not target and any(part is target for part in outer.modules()):
            raise CaptureError(
                f"Block {block!r} is a part of the module of block {name!r}, which cannot be left "
                "out while it runs, so its receptive field cannot be traced; choose another block."
            )
    reached: list[Tensor] = []
    calls = 0

    @this_thread
    def enter(_: nn.Module, args: Any, kwargs: Any = None) -> None:
        nonlocal calls
        calls += 1
        x = first_tensor(args, kwargs)
        if calls == number and x is not None:
            reached.append(x)
            raise _Reached

    with ExitStack() as hooks:
        hooks.callback(target.register_forward_pre_hook(enter, with_kwargs=True).remove)
        for each in around:
            _without(each, hooks)
        try:
            yield reached
        except _Reached:
            return
    raise CaptureError(f"Block {block!r} did not run.")


def _without(block: tuple[nn.Module, Any, int], hooks: ExitStack) -> None:
    """The block passes its input on, or zero where its caller adds x; autograd keeps none of it."""
    module, parts, _ = block

    @this_thread
    def enter(*_: Any) -> None:
        torch.set_grad_enabled(False)

    @this_thread
    def leave(_: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
        torch.set_grad_enabled(True)
        first, *others = out if isinstance(out, tuple) else (out,)
        given = first_tensor(args, kwargs) if parts is not None else torch.zeros_like(first)
        return (given, *others) if isinstance(out, tuple) else given

    hooks.callback(module.register_forward_pre_hook(enter).remove)
    hooks.callback(module.register_forward_hook(leave, with_kwargs=True).remove)


def _is_in_order(x: Tensor, grid: Grid) -> bool:
    """Whether a block's input is a feature map with a grid's cells in row-major order."""
    axes = x.shape[2:]
    same = tuple(axes) == grid.shape[len(grid.shape) - len(axes) :]
    return bool(same and grid.size == x[:, :1].numel())


def _of_map(x: Tensor) -> Tensor:
    """(places, channels) of a feature map (elements, channels, …)."""
    return x.movedim(1, -1).flatten(0, -2)


def _at(cells: Sequence[Cell], x: Tensor, places: Places, grid: Grid, block: str) -> list[Tensor]:
    """What a block's input holds at the places of some cells, all else 0.

    CaptureError where it does not hold them, or that is not known.
    """
    at = cells_in(x, places, grid)
    found = []
    if at is not None:
        each = (at == grid.index(cell) for cell in cells)
        found = [x * here.to(x.device) for here in each if here.any()]
    if len(found) < len(cells):
        raise CaptureError(
            f"Block {block!r} takes its cells in an unknown order (a tensor of shape "
            f"{tuple(x.shape)}), so its receptive field cannot be traced; choose another block."
        )
    return found


def _box(seen: Tensor, view: View) -> Footprint:
    """What is marked of an input (T, …, H, W) with its frames first, in the clip's own measures."""

    def along(axis: int) -> Tensor:
        return seen.movedim(axis, 0).flatten(1).any(1).nonzero().flatten()

    frames, rows, cols = along(0), along(-2), along(-1)
    across, down = (s / i for s, i in zip(view.source, view.input, strict=True))
    last = len(view.frames) - 1  # a network may have been given the last frame several times
    return Footprint(
        x0=int(cols[0]) * across,
        y0=int(rows[0]) * down,
        x1=(int(cols[-1]) + 1) * across,
        y1=(int(rows[-1]) + 1) * down,
        frames=tuple(dict.fromkeys(view.frames[min(int(t), last)] for t in frames)),
    )
