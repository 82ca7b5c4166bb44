"""The first half of training: θ and φ learn to find the same scene point in other frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.models.nonlocal_block import Length, NonLocalBlock
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from training.recipe import Recipe
from training.stages.objective import affinity_loss, aim_at, choose_queries

if TYPE_CHECKING:
    from training.examples import FindExample


def embeddings(module: NonLocalLite) -> list[nn.Parameter]:
    """What θ and φ learn that read a position: none for the Gaussian kind, Eq. (2)."""
    return [p for name, p in _of_finding(module) if not (_reads_a_window(p) or _is_length(name))]


def windows(module: NonLocalLite) -> list[nn.Parameter]:
    """The kernels of θ and φ that read a window."""
    return [p for _, p in _of_finding(module) if _reads_a_window(p)]


def lengths(module: NonLocalLite) -> list[nn.Parameter]:
    """What normalised θ and φ are brought to, a number a block and side, or a block if tied."""
    return [p for name, p in _of_finding(module) if _is_length(name)]


def _is_length(name: str) -> bool:
    return name.endswith("length")


def _reads_a_window(parameter: nn.Parameter) -> bool:
    return parameter.ndim == 5 and parameter.shape[-1] > 1


def _of_finding(module: NonLocalLite) -> list[tuple[str, nn.Parameter]]:
    names = ("theta", "phi", "concat_project")
    blocks = (getattr(module, name) for name, *_ in BLOCKS)
    # A parameter that both sides share comes once.
    return [
        (path, p)
        for block in blocks
        for path, p in block.named_parameters()
        if path.split(".")[0] in names
    ]


def tie(module: NonLocalLite) -> None:
    """Make θ and φ of every block one embedding: the same parameters, whatever they become."""
    for name, *_ in BLOCKS:
        block = getattr(module, name)
        for kind in (nn.Conv3d, Length):
            for a, b in zip(_of(kind, block.theta), _of(kind, block.phi), strict=True):
                for each, parameter in a.named_parameters():
                    setattr(b, each, parameter)


def _of(kind: type[nn.Module], module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, kind)]


@torch.no_grad()
def initialise(module: NonLocalLite, examples: Sequence[FindExample], self_logit: float) -> None:
    """Start θ = φ as the half-whitened principal directions of what each block compares.

    That is close to the cosine of centred features, which finds objects before any training. A
    feature's logit with itself is ``self_logit``, on average. Of a window its middle counts.
    """
    for name, *_ in BLOCKS:
        block = getattr(module, name)
        for part in _of(Length, block):
            part.length.fill_(self_logit**0.5)
        if block.function == "gaussian":
            continue
        inputs = [example.inputs[name] for example in examples]
        compared = [block.norm(x) if hasattr(block, "norm") else x for x in inputs]
        flat = torch.cat([x.transpose(0, 1).flatten(1) for x in compared], 1)
        mean = flat.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(flat))
        inner = _conv(block.theta).weight.shape[0]
        values, vectors = values[-inner:].clamp(min=1e-4), vectors[:, -inner:]
        project = (vectors * values**-0.25).T
        energy = (project @ (flat - mean[:, None])).pow(2).sum(0).mean()
        project *= (self_logit / energy) ** 0.5
        for part in (_conv(block.theta), _conv(block.phi)):
            middle = part.weight.shape[-1] // 2
            part.weight.zero_()
            part.weight[:, :, 0, middle, middle] = project
            part.bias.copy_(-(project @ mean))
        if block.function == "concatenation":
            _wake(block, compared)


def _wake(block: NonLocalBlock, compared: Sequence[Tensor]) -> None:
    """Shift φ so that nearly every w_fᵀ[θ, φ] starts above zero: a dead ReLU learns nothing."""
    weight = block.concat_project.get_parameter("0.weight").flatten()
    of_theta, of_phi = weight.chunk(2)
    sums = torch.cat(
        [
            part @ side(x).transpose(0, 1).flatten(1)
            for x in compared
            for part, side in ((of_theta, block.theta), (of_phi, block.phi))
        ]
    )
    _conv(block.phi).bias += 4 * sums.std() / of_phi.pow(2).sum() * of_phi


def losses(
    module: NonLocalLite, example: FindExample, recipe: Recipe, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The affinity loss of each block; the blocks' outputs take no part."""
    return {
        name: _loss(getattr(module, name), name, example, recipe, rng, cell=stride * (1 + pooled))
        for name, _, _, stride, pooled in BLOCKS
    }


def _loss(
    block: NonLocalBlock,
    name: str,
    example: FindExample,
    recipe: Recipe,
    rng: np.random.Generator,
    *,
    cell: int,
) -> Tensor:
    """``cell``: pixels from one key to the next."""
    queries, x = example.queries[name], example.inputs[name]
    chosen = choose_queries(queries, recipe.queries, rng)
    aim = aim_at(queries, example.keys[name], chosen, near=recipe.near * cell).to(x.device)
    compared = block.norm(x) if recipe.norm else x
    theta = block.theta(compared)[0].flatten(1)[:, chosen]
    of_rows = logits(block, theta, block.phi(compared)[0].flatten(1))
    return affinity_loss(of_rows, aim, layer=recipe.layer)


def logits(block: NonLocalBlock, theta: Tensor, phi: Tensor) -> Tensor:
    """What is put through a softmax in training, (n, M), from θ (C', n) and φ (C', M).

    For the Gaussian kinds it is θᵀφ, so the softmax is the row itself. For the dot product it is
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
