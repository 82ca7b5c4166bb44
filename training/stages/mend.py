"""The second half of training: g and W learn to bring the classes of clean clips back.

Some frames of a clip are occluded, blurred or drowned in noise. The untouched backbone says what
the clean clip and each of its frames shows; the network with its blocks is to say the same of the
corrupted clip, and of the clean one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.models.nonlocal_block import NonLocalBlock
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from training.stages.find import per_frame


class Mended(Protocol):
    """A clip (3, T, H, W) as the network reads it, corrupted and clean."""

    frames: Tensor
    clean: Tensor


def parameters(module: NonLocalLite) -> list[nn.Parameter]:
    """What learns to mend: g and W of every block."""
    blocks = (getattr(module, name) for name, *_ in BLOCKS)
    return [p for block in blocks for part in (block.g, block.W) for p in part.parameters()]


def losses(module: NonLocalLite, batch: Sequence[Mended], *, keep: float) -> dict[str, Tensor]:
    """How far the classes are from the plain network's on the clean clips, in nats.

    Each is the divergence of the clip's classes plus that of its frames', averaged; that of clean
    clips is weighed by ``keep``.
    """
    with torch.no_grad():
        clean = _trunk(module, torch.stack([sample.clean for sample in batch]))
        corrupted = _trunk(module, torch.stack([sample.frames for sample in batch]))
        wanted = _scores(module, clean, blocks=False)
    return {
        "mend": _apart(_scores(module, corrupted, blocks=True), wanted),
        "keep": keep * _apart(_scores(module, clean, blocks=True), wanted),
    }


def _trunk(module: NonLocalLite, x: Tensor) -> Tensor:
    """What the first block reads."""
    for name, child in module.named_children():
        if name == BLOCKS[0][0]:
            break
        x = per_frame(child, x)
    return x


def _scores(module: NonLocalLite, x: Tensor, *, blocks: bool) -> Tensor:
    """Logits (B, classes, T) from what the first block reads."""
    children = dict(module.named_children())
    names = list(children)
    for name in names[names.index(BLOCKS[0][0]) :]:
        child = children[name]
        if not isinstance(child, NonLocalBlock):
            x = per_frame(child, x)
        elif blocks:
            x = child(x)
    return x


def _apart(got: Tensor, wanted: Tensor) -> Tensor:
    clips = _divergence(got.mean(2), wanted.mean(2))
    return (clips + _divergence(got, wanted).mean(1)).mean()


def _divergence(got: Tensor, wanted: Tensor) -> Tensor:
    """Kullback–Leibler divergence of ``got`` from ``wanted`` over the classes, axis 1."""
    terms = F.kl_div(got.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="none")
    return terms.sum(1)
