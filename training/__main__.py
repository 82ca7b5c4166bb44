"""``python -m training [NAME …]``: from nothing to the bundled weights and their cards.

Fetches photographs, renders clips, trains, writes the blocks, measures and writes the card. A
stopped run resumes where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save
from tqdm import tqdm

from nlviz.errors import NetworkError
from nlviz.models import zoo
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from training.cards import card, pictures
from training.data.photographs import Photographs, collect
from training.evaluate import CACHE, evaluate, text
from training.recipe import Recipe
from training.train import Example, train

_HERE = Path(__file__).resolve().parent
_WEIGHTS = _HERE.parent / "models" / "weights"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("name", nargs="*", help="bundled networks; all of them without")
    parser.add_argument("--real", type=Path, help="measured too: holds SEQUENCE/{frames,masks}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--runs", type=Path, default=_HERE / "runs")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    try:
        records = [zoo.record(name) for name in options.name or zoo.bundled()]
        photographs, held_out = collect(options.cache), collect(options.cache, held_out=True)
        for record in records:
            recipe = recipe_of(record.function, seed=options.seed)
            release(record.name, recipe, photographs, held_out, options.runs, options.real)
    except (RuntimeError, NetworkError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def recipe_of(function: str, *, seed: int = 0) -> Recipe:
    """The same recipe for each function; the Gaussian kind has nothing to find with."""
    recipe = replace(Recipe(), function=function, seed=seed)
    return replace(recipe, find_steps=0) if function == "gaussian" else recipe


def release(
    name: str,
    recipe: Recipe,
    photographs: Photographs,
    held_out: Photographs,
    runs: Path,
    real: Path | None,
) -> None:
    """Train what is left to train, write the weights, measure them, write the card."""
    folder = runs / name
    module = train(recipe, photographs, folder, progress=_bar)
    sha256 = write_weights(name, module)
    network = zoo.load(name)
    measured = evaluate(network, held_out, real)
    log = _WEIGHTS / f"{name}.log.jsonl"
    shutil.copy(folder / "log.jsonl", log)
    card.write(measured, recipe, sha256, log, _WEIGHTS)
    pictures.curve(log, _WEIGHTS / f"{name}.curve.svg")
    pictures.failures(network, measured, _WEIGHTS / f"{name}.failures.png")
    logging.getLogger(__name__).info("%s", text(measured))


def write_weights(name: str, module: NonLocalLite, folder: Path = _WEIGHTS) -> str:
    """The blocks as NAME.safetensors, and their checksum in SHA256SUMS; returns the checksum."""
    names = tuple(f"{block}." for block, *_ in BLOCKS)
    content = save(
        {k: v.contiguous() for k, v in module.state_dict().items() if k.startswith(names)}
    )
    sha256 = hashlib.sha256(content).hexdigest()
    file = f"{name}.safetensors"
    (folder / file).write_bytes(content)
    sums = folder / "SHA256SUMS"
    lines = sums.read_text().splitlines() if sums.exists() else []
    kept = [line for line in lines if line.split()[-1] != file]
    sums.write_text("\n".join(sorted([*kept, f"{sha256}  {file}"], key=lambda x: x[64:])) + "\n")
    return sha256


def _bar(samples: Iterable[Example], total: int, done: int) -> Iterable[Example]:
    return tqdm(samples, total=total, initial=done, mininterval=5)


if __name__ == "__main__":
    sys.exit(main())
