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
from training.recipe import Recipe
from training.stages import find as finding
from training.stages import mend as mending
from training.stages.objective import IGNORED

_EVERY = 25  # steps from one checkpoint to the next
_FIRST_CLIPS = 12  # that θ and φ start from


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A rendered clip as the network reads it: corrupted (3, T, H, W), clean, and the truth."""

    frames: Tensor
    clean: Tensor
    layers: np.ndarray
    places: np.ndarray


class Clips(Dataset[Example]):
    """One clip a step; clip i of a run is always the same clip."""

    def __init__(self, photographs: Photographs, recipe: Recipe) -> None:
        self.photographs, self.recipe = photographs, recipe

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, index: int) -> Example:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, index))
        if index < recipe.find_steps:
            clip = render(
                self.photographs,
                rng,
                length=recipe.length,
                width=recipe.width,
                height=recipe.height,
            )
            frames, layers = clip.frames.copy(), clip.layers.copy()
            if rng.random() < 0.5:
                _cover(frames, layers, rng)
            return Example(_prepared(frames), _prepared(clip.clean), layers, clip.places)
        side = int(rng.choice(recipe.mend_sides))
        # The classes of a clip that is full of flying objects are anybody's guess.
        clip = render(
            self.photographs,
            rng,
            length=recipe.mend_length,
            width=side,
            height=side,
            objects=int(rng.integers(2)),
        )
        count = int(rng.integers(recipe.mend_length // 2, recipe.mend_length))
        frames = corrupt(clip.clean, KINDS[rng.integers(len(KINDS))], count, rng)
        return Example(_prepared(frames), _prepared(clip.clean), clip.layers, clip.places)


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
    recipe: Recipe,
    photographs: Photographs,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[Iterable[Example], int, int], Iterable[Example]] | None = None,
) -> NonLocalLite:
    """Run the recipe, or what is left of it, in ``folder``; returns the trained network.

    On a GPU where there is one. ``workers`` processes render ahead; ``progress`` may wrap the
    samples, given the number of all steps and of those done before.

    Raises:
        RuntimeError: the folder holds a run of another recipe.
    """
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = _network(recipe).to(device)
    checkpoint = folder / "checkpoint.pt"
    folder.mkdir(parents=True, exist_ok=True)
    clips = Clips(photographs, recipe)
    find, mend = finding.parameters(module), mending.parameters(module)
    optimiser = torch.optim.Adam([{"params": find, "lr": 0.0}, {"params": mend, "lr": 0.0}])
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        _insist(saved["plan"], recipe, folder)
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        start = saved["step"]
    else:
        first = [clips[i].frames for i in range(min(_FIRST_CLIPS, recipe.find_steps))]
        if first:
            finding.initialise(module, torch.stack(first).to(device))
        note(folder, {"plan": asdict(recipe)})
    samples: Iterable[Example] = _ahead(clips, start, workers)
    if progress is not None:
        samples = progress(samples, recipe.steps, start)
    began = time.monotonic()
    for step, sample in enumerate(samples, start=start):
        rates = _rates(recipe, step)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
            for parameter in group["params"]:
                parameter.requires_grad_(rate > 0)
        batch = [
            Example(sample.frames.to(device), sample.clean.to(device), sample.layers, sample.places)
        ]
        if step < recipe.find_steps:
            rng = np.random.default_rng((recipe.seed, step, 1))
            losses = finding.losses(module, batch, recipe, rng)
        else:
            losses = mending.losses(module, batch, keep=recipe.keep)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        if step % 10 == 0:
            values = {key: round(float(value.detach()), 4) for key, value in losses.items()}
            note(folder, {"step": step, "s": round(time.monotonic() - began), **values})
        if (step + 1) % _EVERY == 0 or step + 1 == recipe.steps:
            state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(
                {**state, "step": step + 1, "plan": asdict(recipe)}, checkpoint.with_suffix(".new")
            )
            checkpoint.with_suffix(".new").replace(checkpoint)
    return module.eval().cpu()


def note(folder: Path, row: dict[str, object]) -> None:
    """One more line in the run's log."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def _network(recipe: Recipe) -> NonLocalLite:
    module = NonLocalLite(recipe.function, recipe.inner)
    module.load_state_dict(backbone_weights(), strict=False)
    # Evaluation mode throughout: a batch norm of one clip would see that clip alone.
    return module.eval().requires_grad_(False)


def _insist(saved: object, recipe: Recipe, folder: Path) -> None:
    if json.dumps(saved) != json.dumps(asdict(recipe)):
        raise RuntimeError(
            f"{folder.name} holds a run of another recipe; remove that folder or take another name."
        )


def _rates(recipe: Recipe, step: int) -> tuple[float, float]:
    """Of finding and of mending: each falls over its own steps by half a cosine."""
    if step < recipe.find_steps:
        return recipe.find_rate * _fall(step / recipe.find_steps), 0.0
    return 0.0, recipe.mend_rate * _fall((step - recipe.find_steps) / recipe.mend_steps)


def _fall(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * part))


def _ahead(clips: Clips, start: int, workers: int) -> Iterator[Example]:
    # OpenCV's threads do not survive the fork, and a worker that calls for them waits for ever.
    cv2.setNumThreads(1)
    loader = DataLoader(
        Subset(clips, range(start, len(clips))),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
