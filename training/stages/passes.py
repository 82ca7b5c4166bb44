"""Passes through parts of a network: as far as the blocks, and from the first block on."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from nlviz.models.nonlocal_block import NonLocalBlock
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite

ALL_BLOCKS = tuple(name for name, *_ in BLOCKS)


@torch.no_grad()
def block_inputs(module: NonLocalLite, x: Tensor) -> dict[str, Tensor]:
    """What each block reads while all blocks are passed by."""
    inputs: dict[str, Tensor] = {}
    for name, child in module.named_children():
        if isinstance(child, NonLocalBlock):
            inputs[name] = x
            if name == BLOCKS[-1][0]:
                break
        else:
            x = per_frame(child, x)
    return inputs


def per_frame(child: nn.Module, x: Tensor) -> Tensor:
    """A child for single frames on each frame of (B, C, T, …)."""
    frames = child(x.transpose(1, 2).flatten(0, 1))
    return frames.reshape(x.shape[0], x.shape[2], *frames.shape[1:]).transpose(1, 2)


@torch.no_grad()
def trunk(module: NonLocalLite, x: Tensor) -> Tensor:
    """What the first block reads."""
    for name, child in module.named_children():
        if name == BLOCKS[0][0]:
            break
        x = per_frame(child, x)
    return x


def scores(module: NonLocalLite, x: Tensor, *, without: Collection[str] = ()) -> Tensor:
    """Logits (B, classes, T) from what the first block reads; some blocks may be passed by."""
    children = dict(module.named_children())
    names = list(children)
    for name in names[names.index(BLOCKS[0][0]) :]:
        child = children[name]
        if not isinstance(child, NonLocalBlock):
            x = per_frame(child, x)
        elif name not in without:
            x = child(x)
    return x
