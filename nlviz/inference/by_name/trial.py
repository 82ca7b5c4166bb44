"""What a module takes, found by passes over small black inputs: sizes, numbers of frames, axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import local
from typing import Any

import torch
from torch import nn

from nlviz.inference.offloading import input_like
from nlviz.inference.user_network import AxisOrder

_State = list[tuple[nn.Module, dict[str, Any], dict[str, Any]]]

_SMALL = ((2, 3), (5, 3))  # cells across and down: no square, and no two sides alike


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of an input.

    Args:
        layout: their order.
        channels: 3 or 1.
    """

    layout: AxisOrder
    channels: int = 3

    def black(self, size: tuple[int, int], frames: int) -> torch.Tensor:
        """An input of (width, height) and so many frames, all zeros."""
        width, height = size
        of = {"B": 1, "T": frames, "C": self.channels, "H": height, "W": width}
        return torch.zeros([of[axis] for axis in self.layout])


def takes(module: nn.Module, axes: Axes, size: tuple[int, int], frames: int) -> bool:
    """Whether a module on the CPU runs on an input of (width, height) and of so many frames."""
    try:
        with torch.no_grad(), _as_it_was(module):
            module(axes.black(size, frames).to(input_like(module).dtype))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever it raises, it does not take that
        return False
    return True


def leave_as_it_was(module: nn.Module) -> None:
    """From now on each pass puts back what it changes in the module.

    Swin shrinks its windows to a small input, and would go on with those on a larger one.
    """
    here = local()

    def enter(whole: nn.Module, given: Any) -> None:
        here.before = _state(whole)

    def leave(whole: nn.Module, given: Any, out: Any) -> None:
        _put_back(here.before)

    module.register_forward_pre_hook(enter)
    module.register_forward_hook(leave, always_call=True)


@contextmanager
def _as_it_was(module: nn.Module) -> Iterator[None]:
    """Puts back what passes change in a module."""
    before = _state(module)
    try:
        yield
    finally:
        _put_back(before)


def _state(module: nn.Module) -> _State:
    return [(each, dict(each.__dict__), dict(each._buffers)) for each in module.modules()]


def _put_back(before: _State) -> None:
    for each, attributes, buffers in before:
        each.__dict__.clear()
        each.__dict__.update(attributes)
        each._buffers.clear()
        each._buffers.update(buffers)


def freedom(
    module: nn.Module,
    axes: Axes,
    size: tuple[int, int],
    frames: int | None,
    step: int,
    multiples: Sequence[int],
) -> tuple[int | None, int | None]:
    """What the sides and the number of frames of an input are a multiple of.

    Args:
        size: (width, height) that the module takes for certain.
        frames: how many of a clip it takes for certain; None for a module of pictures.
        step: what another number would be a multiple of.
        multiples: of the sides, to try; the likeliest first.

    Returns:
        two multiples; None for the sides, or the frames, where it takes those for certain alone.
    """
    if frames is None:
        return _free_multiple(module, axes, 1, multiples), None
    # Some take other sizes and numbers by chance, where their product fits; few fit to five.
    multiple = _free_multiple(module, axes, 5 * step, multiples)
    if multiple is not None:
        return multiple, step
    if all(takes(module, axes, size, n) for n in (2 * step, 5 * step) if n != frames):
        return None, step
    return _free_multiple(module, axes, frames, multiples), None


def _free_multiple(
    module: nn.Module, axes: Axes, frames: int, multiples: Iterable[int]
) -> int | None:
    """The first multiple of which a wide and a high input are taken; None for none."""
    for multiple in dict.fromkeys(multiples):
        sizes = ((across * multiple, down * multiple) for across, down in _SMALL)
        if all(takes(module, axes, each, frames) for each in sizes):
            return multiple
    return None
