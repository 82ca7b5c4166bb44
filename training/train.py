"""The training run: rendered clips in, a state dict out; seeded, and resumed where it stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from models.efficientnet_lite import normalise
from models.nonlocal_block import NonLocalBlock
from models.nonlocal_lite import BLOCKS, NonLocalLite
from models.zoo import backbone_weights
from training.objective import (
    IGNORED,
    affinity_loss,
    choose_queries,
    restoration_loss,
    targets,
    truth_at,
)
from training.photographs import Photographs
from training.render import render

_EVERY = 50  # steps from one checkpoint to the next
_SELF_LOGIT = 6.0  # θᵀφ of a feature with itself at the start, on average


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run depends on, written into its log.

    The backbone stays as it is. In the first ``find_steps`` θ and φ of every block learn to find;
    then, up to ``steps``, g and W of the last block learn to mend, which moves no affinity.
    """

    seed: int = 0
    steps: int = 400
    find_steps: int = 300
    clips: int = 1
    length: int = 4
    width: int = 320
    height: int = 240
    inner: tuple[int, int, int] = (32, 64, 64)
    queries: int = 200
    near: float = 1.5  # of a key cell, the width of the aim around the true place
    same_object: float = 0.4
    find_rate: float = 1e-4
    mend_rate: float = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A rendered clip as the network reads it: corrupted (3, T, H, W), clean, and the truth."""

    frames: Tensor
    clean: Tensor
    layers: np.ndarray
    places: np.ndarray


class Clips(Dataset[Sample]):
    """Clip i of a run is always the same clip."""

    def __init__(self, photographs: Photographs, plan: Plan) -> None:
        self.photographs, self.plan = photographs, plan

    def __len__(self) -> int:
        return self.plan.steps * self.plan.clips

    def __getitem__(self, index: int) -> Sample:
        cv2.setNumThreads(1)
        plan = self.plan
        rng = np.random.default_rng((plan.seed, index))
        clip = render(
            self.photographs, rng, length=plan.length, width=plan.width, height=plan.height
        )
        frames, layers = clip.frames.copy(), clip.layers.copy()
        if rng.random() < 0.5:
            _cover(frames, layers, rng)
        return Sample(_prepared(frames), _prepared(clip.clean), layers, clip.places)


def _cover(frames: np.ndarray, layers: np.ndarray, rng: np.random.Generator) -> None:
    """Hide patches of one frame, or all its detail, so that the other frames must help."""
    t = rng.integers(len(frames))
    height, width = frames.shape[1:3]
    if rng.random() < 0.3:
        frames[t] = cv2.GaussianBlur(frames[t], (0, 0), rng.uniform(2, 5))
        return
    for _ in range(rng.integers(1, 6)):
        h, w = (int(n * rng.uniform(0.1, 0.4)) for n in (height, width))
        top, left = rng.integers(height - h), rng.integers(width - w)
        frames[t, top : top + h, left : left + w] = rng.integers(0, 256, 3)
        layers[t, top : top + h, left : left + w] = IGNORED


def _prepared(frames: np.ndarray) -> Tensor:
    return normalise(torch.tensor(frames)).permute(3, 0, 1, 2)


def train(
    plan: Plan,
    photographs: Photographs,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[Iterable[list[Sample]], int, int], Iterable[list[Sample]]] | None = None,
) -> NonLocalLite:
    """Run the plan, or what is left of it, in ``folder``; returns the trained network.

    ``workers`` processes render ahead; ``progress`` may wrap the batches, given the number of all
    steps and of those done before.
    """
    torch.manual_seed(plan.seed)
    module = _network(plan)
    checkpoint = folder / "checkpoint.pt"
    folder.mkdir(parents=True, exist_ok=True)
    clips = Clips(photographs, plan)
    optimiser = _optimiser(module)
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        start = saved["step"]
    else:
        settle(module, clips)
        _note(folder, {"plan": asdict(plan)})
    batches: Iterable[list[Sample]] = _batches(clips, plan, start, workers)
    if progress is not None:
        batches = progress(batches, plan.steps, start)
    began = time.monotonic()
    for step, batch in enumerate(batches, start=start):
        for group, rate in zip(optimiser.param_groups, _rates(plan, step), strict=True):
            group["lr"] = rate
        rng = np.random.default_rng((plan.seed, step, 1))
        find = step < plan.find_steps
        losses = _finding(module, batch, plan, rng) if find else _mending(module, batch)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        if step % 10 == 0:
            values = {key: round(float(value.detach()), 4) for key, value in losses.items()}
            _note(folder, {"step": step, "s": round(time.monotonic() - began), **values})
        if (step + 1) % _EVERY == 0 or step + 1 == plan.steps:
            state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "step": step + 1}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    return module.eval()


def _network(plan: Plan) -> NonLocalLite:
    module = NonLocalLite("embedded_gaussian", plan.inner)
    module.load_state_dict(backbone_weights(), strict=False)
    module.eval().requires_grad_(False)
    for name, *_ in BLOCKS:
        getattr(module, name).theta.requires_grad_(True)
        getattr(module, name).phi.requires_grad_(True)
    module.nl5.g.requires_grad_(True)
    module.nl5.W.requires_grad_(True)
    return module


def _optimiser(module: NonLocalLite) -> torch.optim.Optimizer:
    blocks = [getattr(module, name) for name, *_ in BLOCKS]
    find = [p for b in blocks for part in (b.theta, b.phi) for p in part.parameters()]
    mend = [*module.nl5.g.parameters(), *module.nl5.W.parameters()]
    return torch.optim.Adam([{"params": find, "lr": 0.0}, {"params": mend, "lr": 0.0}])


def _rates(plan: Plan, step: int) -> tuple[float, float]:
    """Of finding and of mending: each falls over its own steps by half a cosine."""
    if step < plan.find_steps:
        return plan.find_rate * _fall(step / plan.find_steps), 0.0
    part = (step - plan.find_steps) / (plan.steps - plan.find_steps)
    return 0.0, plan.mend_rate * _fall(part)


def _fall(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * part))


def _batches(clips: Clips, plan: Plan, start: int, workers: int) -> Iterator[list[Sample]]:
    indices = range(start * plan.clips, len(clips))
    loader = DataLoader(
        torch.utils.data.Subset(clips, indices),
        batch_size=plan.clips,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=list,
    )
    return iter(loader)


def settle(module: NonLocalLite, clips: Clips, *, count: int = 12) -> None:
    """Start θ = φ as the half-whitened principal directions of each block's own features.

    That is close to the cosine of centred features, which finds objects before any training.
    """
    inputs = _block_inputs(module, torch.stack([clips[i].frames for i in range(count)]))
    for name, x in inputs.items():
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


def _conv(part: nn.Module) -> nn.Module:
    return part[0] if isinstance(part, nn.Sequential) else part


def _finding(
    module: NonLocalLite, batch: list[Sample], plan: Plan, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The affinity loss of each block."""
    inputs = _block_inputs(module, torch.stack([sample.frames for sample in batch]))
    return {
        name: _block_loss(
            getattr(module, name), inputs[name], batch, plan, rng, stride=stride, pooled=pooled
        )
        for name, _, _, stride, pooled in BLOCKS
    }


def _mending(module: NonLocalLite, batch: list[Sample]) -> dict[str, Tensor]:
    """How far the last block's output of corrupted clips is from the clean clips' features."""
    x = _block_inputs(module, torch.stack([sample.frames for sample in batch]))["nl5"]
    clean = _block_inputs(module, torch.stack([sample.clean for sample in batch]))["nl5"]
    with torch.no_grad():
        before = restoration_loss(x, clean)
    module.nl5.W.train()
    loss = restoration_loss(module.nl5(x), clean) / before
    module.nl5.W.eval()
    return {"mend": loss}


@torch.no_grad()
def _block_inputs(module: NonLocalLite, x: Tensor) -> dict[str, Tensor]:
    """What each block reads; blocks that are still the identity are passed by."""
    inputs: dict[str, Tensor] = {}
    for name, child in module.named_children():
        if isinstance(child, NonLocalBlock):
            inputs[name] = x
            if name == BLOCKS[-1][0]:
                break
        else:
            x = _per_frame(child, x)
    return inputs


def _per_frame(child: nn.Module, x: Tensor) -> Tensor:
    frames = child(x.transpose(1, 2).flatten(0, 1))
    return frames.reshape(x.shape[0], x.shape[2], *frames.shape[1:]).transpose(1, 2)


def _block_loss(
    block: NonLocalBlock,
    x: Tensor,
    batch: list[Sample],
    plan: Plan,
    rng: np.random.Generator,
    *,
    stride: int,
    pooled: bool,
) -> Tensor:
    theta, phi = block.theta(x).flatten(2), block.phi(x).flatten(2)
    total = x.new_zeros(())
    near = plan.near * stride * (2 if pooled else 1)
    for sample, t, p in zip(batch, theta, phi, strict=True):
        queries = truth_at(sample.layers, sample.places, stride=stride)
        keys = truth_at(sample.layers, sample.places, stride=stride, pooled=pooled)
        chosen = choose_queries(queries, plan.queries, rng)
        aim = targets(queries, keys, chosen, near=near, same_object=plan.same_object)
        own = queries.frame[chosen]
        total = total + affinity_loss(t[:, chosen], p, aim, own, keys.frame)
    return total / len(batch)


def _note(folder: Path, row: dict[str, object]) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")
