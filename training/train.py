"""The training run: rendered clips in, a state dict out; seeded, and resumed where it stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

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

_TAUGHT = ("stage3", "stage4", "stage5")  # stages of the backbone that are fine-tuned


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run depends on, written into its log."""

    seed: int = 0
    steps: int = 900
    warm_steps: int = 100  # of the blocks alone, the backbone frozen
    clips: int = 2
    length: int = 4
    width: int = 320
    height: int = 240
    inner: tuple[int, int, int] = (32, 64, 64)
    queries: int = 160
    near: float = 0.6  # of a key cell, the width of the aim around the true place
    same_object: float = 0.4
    block_rate: float = 2e-3
    backbone_rate: float = 1e-4
    restoration: float = 1.0
    block_weights: tuple[float, float, float] = (0.5, 0.7, 1.0)


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


def train(plan: Plan, photographs: Photographs, folder: Path) -> NonLocalLite:
    """Run the plan, or what is left of it, in ``folder``; returns the trained network."""
    torch.manual_seed(plan.seed)
    module, teacher = _networks(plan)
    checkpoint = folder / "checkpoint.pt"
    folder.mkdir(parents=True, exist_ok=True)
    clips = Clips(photographs, plan)
    optimiser = _optimiser(module, plan)
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        start = saved["step"]
    else:
        settle(module, clips, plan)
        _note(folder, {"plan": asdict(plan)})
    bar = tqdm(_batches(clips, plan, start), total=plan.steps, initial=start, mininterval=5)
    began = time.monotonic()
    for step, batch in enumerate(bar, start=start):
        for group, rate in zip(optimiser.param_groups, _rates(plan, step), strict=True):
            group["lr"] = float(rate)
        rng = np.random.default_rng((plan.seed, step, 1))
        losses = _losses(module, teacher, batch, plan, rng)
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        if step % 10 == 0:
            values = {key: round(float(value.detach()), 4) for key, value in losses.items()}
            _note(folder, {"step": step, "s": round(time.monotonic() - began), **values})
            bar.set_postfix(values)
        if (step + 1) % 50 == 0 or step + 1 == plan.steps:
            state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "step": step + 1}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    return module.eval()


def _networks(plan: Plan) -> tuple[NonLocalLite, NonLocalLite]:
    module = NonLocalLite("embedded_gaussian", plan.inner)
    module.load_state_dict(backbone_weights(), strict=False)
    teacher = NonLocalLite("embedded_gaussian", plan.inner)
    teacher.load_state_dict(module.state_dict())
    module.eval().requires_grad_(False)
    for name, child in module.named_children():
        child.requires_grad_(name in _TAUGHT or isinstance(child, NonLocalBlock))
        # The norms inside the backbone keep ImageNet's statistics; the blocks' learn their own.
        child.train(isinstance(child, NonLocalBlock))
    return module, teacher.eval().requires_grad_(False)


def _optimiser(module: NonLocalLite, plan: Plan) -> torch.optim.Optimizer:
    blocks = [p for name, *_ in BLOCKS for p in getattr(module, name).parameters()]
    taught = [p for name in _TAUGHT for p in getattr(module, name).parameters()]
    return torch.optim.AdamW(
        [{"params": blocks, "lr": 0.0}, {"params": taught, "lr": 0.0}], weight_decay=1e-4
    )


def _rates(plan: Plan, step: int) -> tuple[float, float]:
    """A short rise, then half a cosine down to nothing."""
    rise = min(1.0, (step + 1) / 20)
    fall = 0.5 * (1 + math.cos(math.pi * step / plan.steps))
    awake = min(max((step - plan.warm_steps) / 50, 0.0), 1.0)
    return plan.block_rate * rise * fall, plan.backbone_rate * awake * fall


def _batches(clips: Clips, plan: Plan, start: int) -> Iterator[list[Sample]]:
    indices = range(start * plan.clips, len(clips))
    loader = DataLoader(
        torch.utils.data.Subset(clips, indices),
        batch_size=plan.clips,
        num_workers=1,
        prefetch_factor=4,
        collate_fn=list,
    )
    return iter(loader)


@torch.no_grad()
def settle(module: NonLocalLite, clips: Clips, plan: Plan, *, count: int = 12) -> None:
    """Start θ = φ as the half-whitened principal directions of each block's own features.

    That is close to the cosine of centred features, which finds objects before any training.
    """
    batch = torch.stack([clips[i].frames for i in range(count)])
    x = batch
    for child in module.children():
        if isinstance(child, NonLocalBlock):
            flat = x.transpose(0, 1).flatten(1)
            mean = flat.mean(1)
            values, vectors = torch.linalg.eigh(torch.cov(flat))
            inner = _conv(child.theta).weight.shape[0]
            values, vectors = values[-inner:].clamp(min=1e-4), vectors[:, -inner:]
            project = (vectors * values**-0.25).T
            energy = (project @ (flat - mean[:, None])).pow(2).sum(0).mean()
            project *= (6.0 / energy) ** 0.5
            for part in (child.theta, child.phi):
                _conv(part).weight.copy_(project[:, :, None, None, None])
                _conv(part).bias.copy_(-(project @ mean))
            child.train(False)
            x = child(x)
            child.train(True)
        elif x.dim() == 5:
            frames = child(x.transpose(1, 2).flatten(0, 1))
            x = frames.reshape(len(batch), -1, *frames.shape[1:]).transpose(1, 2)
        if child is module.nl5:
            return


def _conv(part: nn.Module) -> nn.Module:
    return part[0] if isinstance(part, nn.Sequential) else part


def _losses(
    module: NonLocalLite,
    teacher: NonLocalLite,
    batch: list[Sample],
    plan: Plan,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    x = torch.stack([sample.frames for sample in batch])
    tuning = any(p.requires_grad for p in module.stage3.parameters())
    losses: dict[str, Tensor] = {}
    spec = {
        name: (stride, pooled, weight)
        for (name, _, _, stride, pooled), weight in zip(BLOCKS, plan.block_weights, strict=True)
    }
    for name, child in module.named_children():
        if isinstance(child, NonLocalBlock):
            stride, pooled, weight = spec[name]
            loss = _block_loss(child, x, batch, plan, rng, stride=stride, pooled=pooled)
            losses[name] = weight * loss
            x = child(x)
        else:
            with torch.set_grad_enabled(tuning and name in _TAUGHT):
                x = _per_frame(child, x)
        if name == "nl5":
            break
    two = torch.tensor(rng.choice(plan.length, 2, replace=False))
    with torch.no_grad():
        clean = torch.stack([sample.clean[:, two] for sample in batch])
        for name, child in teacher.named_children():
            if isinstance(child, NonLocalBlock):
                continue
            clean = _per_frame(child, clean)
            if name == "stage5":
                break
    losses["mend"] = plan.restoration * restoration_loss(x[:, :, two], clean)
    return losses


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
