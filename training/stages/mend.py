"""The second half of training: g and W learn to bring the classes of clean clips back.

Some frames of a clip are occluded, blurred or drowned in noise. The untouched backbone says what
the clean clip and each of its frames shows; the network with its blocks is to say the same of the
corrupted clip, and of the clean one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from training.stages.passes import scores

if TYPE_CHECKING:
    from training.examples import MendExample


def parameters(module: NonLocalLite) -> list[nn.Parameter]:
    """What learns to mend: g and W of every block."""
    blocks = (getattr(module, name) for name, *_ in BLOCKS)
    return [p for block in blocks for part in (block.g, block.W) for p in part.parameters()]


def initialise(module: NonLocalLite) -> None:
    """Start g as the identity, as far as C' reaches, and W at zero: y is a mean of x itself."""
    for name, *_ in BLOCKS:
        block = getattr(module, name)
        for part, start in ((block.g, nn.init.dirac_), (block.W, nn.init.zeros_)):
            conv = part[0] if isinstance(part, nn.Sequential) else part
            start(conv.weight)
            nn.init.zeros_(conv.bias)
        nn.init.ones_(block.W[1].weight)  # the batch norm, which would keep W from learning


def losses(
    module: NonLocalLite, example: MendExample, *, keep: float, pictures: bool = False
) -> dict[str, Tensor]:
    """How far the classes are from the plain network's on what is clean, in nats.

    Each is the divergence of the clip's classes plus that of its frames', averaged; that of what
    is clean to begin with, the clip or with ``pictures`` the photograph, is weighed by ``keep``.
    """
    clean, wanted = example.clean, example.wanted
    if pictures:
        clean, wanted = example.picture, example.wanted_picture
    return {
        "mend": _apart(scores(module, example.corrupted), example.wanted),
        "keep": keep * _apart(scores(module, clean), wanted),
    }


def _apart(got: Tensor, wanted: Tensor) -> Tensor:
    clips = _divergence(got.mean(2), wanted.mean(2))
    return (clips + _divergence(got, wanted).mean(1)).mean()


def _divergence(got: Tensor, wanted: Tensor) -> Tensor:
    """Kullback–Leibler divergence of ``got`` from ``wanted`` over the classes, axis 1."""
    terms = F.kl_div(got.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="none")
    return terms.sum(1)
