"""The first half of training: θ and φ learn to find the same scene point in other frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.models.nonlocal_block import NonLocalBlock
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from training.recipe import Recipe
from training.stages.objective import affinity_loss, choose_queries, targets, truth_at

_SELF_LOGIT = 6.0  # θᵀφ of a feature with itself at the start, on average


class Found(Protocol):
    """A rendered clip as the network reads it, (3, T, H, W), and the renderer's truth."""

    frames: Tensor
    layers: np.ndarray
    places: np.ndarray


def parameters(module: NonLocalLite) -> list[nn.Parameter]:
    """What learns to find: none for the Gaussian kind, whose f knows no weights, Eq. (2)."""
    names = ("theta", "phi", "concat_project")
    blocks = (getattr(module, name) for name, *_ in BLOCKS)
    return [
        p
        for block in blocks
        for name, child in block.named_children()
        if name in names
        for p in child.parameters()
    ]


def initialise(module: NonLocalLite, clips: Tensor) -> None:
    """Start θ = φ as the half-whitened principal directions of each block's own features.

    That is close to the cosine of centred features, which finds objects before any training.
    ``clips`` are (B, 3, T, H, W).
    """
    if not parameters(module):
        return
    for name, x in block_inputs(module, clips).items():
        block = getattr(module, name)
        flat = x.transpose(0, 1).flatten(1)
        mean = flat.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(flat))
        inner = _conv(block.theta).weight.shape[0]
        values, vectors = values[-inner:].clamp(min=1e-4), vectors[:, -inner:]
        project = (vectors * values**-0.25).T
        energy = (project @ (flat - mean[:, None])).pow(2).sum(0).mean()
        project *= (_SELF_LOGIT / energy) ** 0.5
        with torch.no_grad():
            for part in (_conv(block.theta), _conv(block.phi)):
                part.weight.copy_(project[:, :, None, None, None])
                part.bias.copy_(-(project @ mean))
            if block.function == "concatenation":
                _wake(block, x)


def _wake(block: NonLocalBlock, x: Tensor) -> None:
    """Shift φ so that nearly every w_fᵀ[θ, φ] starts above zero: a dead ReLU learns nothing."""
    weight = block.concat_project.get_parameter("0.weight").flatten()
    of_theta, of_phi = weight.chunk(2)
    sums = of_theta @ block.theta(x).transpose(0, 1).flatten(1)
    sums = torch.cat([sums, of_phi @ block.phi(x).transpose(0, 1).flatten(1)])
    _conv(block.phi).bias += 4 * sums.std() / of_phi.pow(2).sum() * of_phi


def losses(
    module: NonLocalLite, batch: Sequence[Found], recipe: Recipe, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The affinity loss of each block; the blocks' outputs take no part."""
    inputs = block_inputs(module, torch.stack([sample.frames for sample in batch]))
    return {
        name: sum(
            _loss(getattr(module, name), x, sample, recipe, rng, stride=stride, pooled=pooled)
            for sample, x in zip(batch, inputs[name].split(1), strict=True)
        )
        / len(batch)
        for name, _, _, stride, pooled in BLOCKS
    }


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


def _loss(
    block: NonLocalBlock,
    x: Tensor,
    sample: Found,
    recipe: Recipe,
    rng: np.random.Generator,
    *,
    stride: int,
    pooled: bool,
) -> Tensor:
    queries = truth_at(sample.layers, sample.places, stride=stride)
    keys = truth_at(sample.layers, sample.places, stride=stride, pooled=pooled)
    chosen = choose_queries(queries, recipe.queries, rng)
    near = recipe.near * stride * (2 if pooled else 1)
    aim = targets(queries, keys, chosen, near=near, same_object=recipe.same_object)
    theta, phi = block.theta(x)[0].flatten(1)[:, chosen], block.phi(x)[0].flatten(1)
    of_rows = logits(block, theta, phi)
    aim, own, frames = (t.to(of_rows.device) for t in (aim, queries.frame[chosen], keys.frame))
    return affinity_loss(of_rows, aim, own, frames)


def logits(block: NonLocalBlock, theta: Tensor, phi: Tensor) -> Tensor:
    """What is put through a softmax in training, (n, M), from θ (C', n) and φ (C', M).

    For the embedded Gaussian it is θᵀφ, so the softmax is the row itself. For the dot product it is
    θᵀφ too: its rows are ranked as the embedded Gaussian's are, and only the order can be aimed at
    the true places. For concatenation it is the log of f, so the softmax is f / Σ f.
    """
    if block.function != "concatenation":
        return theta.T @ phi
    weight = block.concat_project.get_parameter("0.weight").flatten()
    inner = len(theta)
    a, b = weight[:inner] @ theta, weight[inner:] @ phi
    return (torch.relu(a[:, None] + b[None]) + 1e-3).log()


def _conv(part: nn.Module) -> nn.Module:
    return part[0] if isinstance(part, nn.Sequential) else part
