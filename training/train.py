"""The training run: rendered clips in, a network out; seeded, and resumed where it stopped."""

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
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from nlviz.models.efficientnet_lite import normalise
from nlviz.models.nonlocal_lite import NonLocalLite
from nlviz.models.zoo import backbone_weights
from training.data.corruptions import KINDS, corrupt
from training.data.photographs import Photographs
from training.data.render import render
from training.plan import Plan
from training.stages import find as finding
from training.stages import mend as mending
from training.stages.objective import IGNORED

_EVERY = 25  # steps from one checkpoint to the next
_SETTLED_ON = 12  # clips


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A rendered clip as the network reads it: corrupted (3, T, H, W), clean, and the truth."""

    frames: Tensor
    clean: Tensor
    layers: np.ndarray
    places: np.ndarray


class Clips(Dataset[Sample]):
    """One clip a step; clip i of a run is always the same clip."""

    def __init__(self, photographs: Photographs, plan: Plan) -> None:
        self.photographs, self.plan = photographs, plan

    def __len__(self) -> int:
        return self.plan.steps

    def __getitem__(self, index: int) -> Sample:
        plan = self.plan
        rng = np.random.default_rng((plan.seed, index))
        if index < plan.find_steps:
            clip = render(
                self.photographs, rng, length=plan.length, width=plan.width, height=plan.height
            )
            frames, layers = clip.frames.copy(), clip.layers.copy()
            if rng.random() < 0.5:
                _cover(frames, layers, rng)
            return Sample(_prepared(frames), _prepared(clip.clean), layers, clip.places)
        side = int(rng.choice(plan.mend_sides))
        # The classes of a clip that is full of flying objects are anybody's guess.
        clip = render(
            self.photographs,
            rng,
            length=plan.mend_length,
            width=side,
            height=side,
            objects=int(rng.integers(2)),
        )
        count = int(rng.integers(plan.mend_length // 2, plan.mend_length))
        frames = corrupt(clip.clean, KINDS[rng.integers(len(KINDS))], count, rng)
        return Sample(_prepared(frames), _prepared(clip.clean), clip.layers, clip.places)


def _cover(frames: np.ndarray, layers: np.ndarray, rng: np.random.Generator) -> None:
    """Hide patches of one frame, or all its detail, so that finding does not lean on details."""
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
    progress: Callable[[Iterable[Sample], int, int], Iterable[Sample]] | None = None,
) -> NonLocalLite:
    """Run the plan, or what is left of it, in ``folder``; returns the trained network.

    On a GPU where there is one. ``workers`` processes render ahead; ``progress`` may wrap the
    samples, given the number of all steps and of those done before.

    Raises:
        RuntimeError: the folder holds a run of another plan.
    """
    torch.manual_seed(plan.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = _network(plan).to(device)
    checkpoint = folder / "checkpoint.pt"
    folder.mkdir(parents=True, exist_ok=True)
    clips = Clips(photographs, plan)
    find, mend = finding.parameters(module), mending.parameters(module)
    optimiser = torch.optim.Adam([{"params": find, "lr": 0.0}, {"params": mend, "lr": 0.0}])
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        _insist(saved["plan"], plan, folder)
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        start = saved["step"]
    else:
        first = [clips[i].frames for i in range(min(_SETTLED_ON, plan.find_steps))]
        if first:
            finding.settle(module, torch.stack(first).to(device))
        note(folder, {"plan": asdict(plan)})
    samples: Iterable[Sample] = _ahead(clips, start, workers)
    if progress is not None:
        samples = progress(samples, plan.steps, start)
    began = time.monotonic()
    for step, sample in enumerate(samples, start=start):
        rates = _rates(plan, step)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
            for parameter in group["params"]:
                parameter.requires_grad_(rate > 0)
        batch = [
            Sample(sample.frames.to(device), sample.clean.to(device), sample.layers, sample.places)
        ]
        if step < plan.find_steps:
            rng = np.random.default_rng((plan.seed, step, 1))
            losses = finding.losses(module, batch, plan, rng)
        else:
            losses = mending.losses(module, batch, keep=plan.keep)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        if step % 10 == 0:
            values = {key: round(float(value.detach()), 4) for key, value in losses.items()}
            note(folder, {"step": step, "s": round(time.monotonic() - began), **values})
        if (step + 1) % _EVERY == 0 or step + 1 == plan.steps:
            state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(
                {**state, "step": step + 1, "plan": asdict(plan)}, checkpoint.with_suffix(".new")
            )
            checkpoint.with_suffix(".new").replace(checkpoint)
    return module.eval().cpu()


def note(folder: Path, row: dict[str, object]) -> None:
    """One more line in the run's log."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def _network(plan: Plan) -> NonLocalLite:
    module = NonLocalLite(plan.function, plan.inner)
    module.load_state_dict(backbone_weights(), strict=False)
    # Evaluation mode throughout: a batch norm of one clip would see that clip alone.
    return module.eval().requires_grad_(False)


def _insist(saved: object, plan: Plan, folder: Path) -> None:
    if json.dumps(saved) != json.dumps(asdict(plan)):
        raise RuntimeError(
            f"{folder.name} holds a run of another plan; remove that folder or take another name."
        )


def _rates(plan: Plan, step: int) -> tuple[float, float]:
    """Of finding and of mending: each falls over its own steps by half a cosine."""
    if step < plan.find_steps:
        return plan.find_rate * _fall(step / plan.find_steps), 0.0
    return 0.0, plan.mend_rate * _fall((step - plan.find_steps) / plan.mend_steps)


def _fall(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * part))


def _ahead(clips: Clips, start: int, workers: int) -> Iterator[Sample]:
    # OpenCV's threads do not survive the fork, and a worker that calls for them waits for ever.
    cv2.setNumThreads(1)
    loader = DataLoader(
        Subset(clips, range(start, len(clips))),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
