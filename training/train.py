"""The training run: rendered clips in, a network out; seeded, and resumed where it stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from nlviz.models.nonlocal_lite import NonLocalLite
from nlviz.models.zoo import backbone_weights
from training.data.photographs import Photographs
from training.examples import FindExample, FindExamples, MendExample, MendExamples
from training.recipe import Recipe
from training.stages import find as finding
from training.stages import mend as mending

_EVERY = 25  # steps from one checkpoint to the next
_SHARE = 0.03  # of a step in the running mean
_FIRST_CLIPS = 12  # that θ and φ start from

Example = FindExample | MendExample


def train(
    recipe: Recipe,
    photographs: Photographs,
    folder: Path,
    *,
    examples: Path,
    workers: int = 1,
    progress: Callable[[Iterable[Example], int, int], Iterable[Example]] | None = None,
) -> NonLocalLite:
    """Run the recipe, or what is left of it, in ``folder``; returns the trained network.

    On a GPU where there is one. ``examples`` is the folder that rendered clips are kept in, for
    all networks. ``workers`` processes work ahead; ``progress`` may wrap the examples, given the
    number of all steps and of those done before.

    Raises:
        RuntimeError: the folder holds a run of another recipe.
    """
    torch.manual_seed(recipe.material.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = _network(recipe).to(device)
    checkpoint = folder / "checkpoint.pt"
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps(photographs, recipe, examples)
    learning = (
        finding.embeddings(module),
        finding.windows(module),
        finding.lengths(module),
        mending.parameters(module),
    )
    optimiser = torch.optim.Adam([{"params": each, "lr": 0.0} for each in learning])
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        _insist(saved["plan"], recipe, folder)
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        average = saved["average"]
        start = saved["step"]
    else:
        first = [steps.find[i] for i in range(min(_FIRST_CLIPS, len(steps.find)))]
        finding.initialise(module, first, recipe.self_logit)
        mending.initialise(module)
        # What is learned from one clip a step jitters: its running mean is what is kept.
        average = [parameter.detach().clone() for parameter in learning[-1]]
        note(folder, {"plan": asdict(recipe)})
    ahead: Iterable[Example] = _ahead(steps, start, workers)
    if progress is not None:
        ahead = progress(ahead, recipe.steps, start)
    began = time.monotonic()
    for step, example in enumerate(ahead, start=start):
        rates = _rates(recipe, step)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
            for parameter in group["params"]:
                parameter.requires_grad_(rate > 0)
        example = example.to(device)
        if isinstance(example, FindExample):
            rng = np.random.default_rng((recipe.material.seed, 2, step))
            losses = finding.losses(module, example, recipe, rng)
        else:
            pictures = bool(step % 2)
            keep = recipe.keep_pictures if pictures else recipe.keep
            losses = mending.losses(module, example, keep=keep, pictures=pictures)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        if isinstance(example, MendExample):
            torch.nn.utils.clip_grad_norm_(learning[-1], recipe.largest)
        optimiser.step()
        for mean, parameter in zip(average, learning[-1], strict=True):
            mean.lerp_(parameter.detach(), _SHARE)
        if step % 10 == 0:
            values = {key: round(float(value.detach()), 4) for key, value in losses.items()}
            note(folder, {"step": step, "s": round(time.monotonic() - began), **values})
        if (step + 1) % _EVERY == 0 or step + 1 == recipe.steps:
            state = {
                "module": module.state_dict(),
                "optimiser": optimiser.state_dict(),
                "average": average,
                "step": step + 1,
                "plan": asdict(recipe),
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    with torch.no_grad():
        for mean, parameter in zip(average, learning[-1], strict=True):
            parameter.copy_(mean)
    return module.eval().cpu()


class Steps(Dataset[Example]):
    """The example of each step of a run: those to find in, round and round, then those to mend."""

    def __init__(self, photographs: Photographs, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.find = FindExamples(photographs, recipe.material, folder)
        self.mend = MendExamples(photographs, recipe.material, folder)

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Example:
        if step < self.recipe.find_steps:
            return self.find[step % len(self.find)]
        return self.mend[(step - self.recipe.find_steps) % len(self.mend)]


def note(folder: Path, row: dict[str, object]) -> None:
    """One more line in the run's log."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def _network(recipe: Recipe) -> NonLocalLite:
    module = NonLocalLite(recipe.function, recipe.inner, context=recipe.context, norm=recipe.norm)
    module.load_state_dict(backbone_weights(), strict=False)
    if recipe.tied:
        finding.tie(module)
    # Evaluation mode throughout: a batch norm of one clip would see that clip alone.
    return module.eval().requires_grad_(False)


def _insist(saved: object, recipe: Recipe, folder: Path) -> None:
    if json.dumps(saved) != json.dumps(asdict(recipe)):
        raise RuntimeError(
            f"{folder.name} holds a run of another recipe; remove that folder or take another name."
        )


def _rates(recipe: Recipe, step: int) -> tuple[float, float, float, float]:
    """Of what learns to find and of mending: each falls over its own steps by half a cosine."""
    if step < recipe.find_steps:
        fall = _fall(step / recipe.find_steps)
        rates = (recipe.find_rate, recipe.context_rate, recipe.length_rate)
        return *(rate * fall for rate in rates), 0.0
    return 0.0, 0.0, 0.0, recipe.mend_rate * _fall((step - recipe.find_steps) / recipe.mend_steps)


def _fall(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * part))


def _ahead(steps: Steps, start: int, workers: int) -> Iterator[Example]:
    # OpenCV's threads do not survive the fork, and a worker that calls for them waits for ever.
    cv2.setNumThreads(1)
    loader = DataLoader(
        Subset(steps, range(start, len(steps))),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
