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
from nlviz.models.bundled import Record
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from training.cards import card, pictures
from training.data.photographs import collect
from training.evaluate import CACHE, Measures, evaluate, text
from training.measures import robustness
from training.recipe import Material, Recipe
from training.train import Example, train

_HERE = Path(__file__).resolve().parent
_WEIGHTS = _HERE.parent / "models" / "weights"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("name", nargs="*", help="bundled networks; all of them without")
    parser.add_argument("--real", type=Path, help="measured too: holds SEQUENCE/{frames,masks}")
    parser.add_argument(
        "--clips", type=int, default=robustness.CLIPS, help="that are corrupted, in measuring"
    )
    parser.add_argument(
        "--no-measures", dest="measures", action="store_false", help="train and write, no card"
    )
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
            recipe = recipe_of(record, seed=options.seed)
            run = options.runs / record.name
            module = train(
                recipe, photographs, run, examples=options.cache / "examples", progress=_bar
            )
            sha256 = write_weights(record.name, module)
            if options.measures:
                measured = evaluate(
                    zoo.load(record.name), held_out, options.real, count=options.clips
                )
                describe(measured, recipe, sha256, run / "log.jsonl")
    except (RuntimeError, NetworkError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def recipe_of(record: Record, *, seed: int = 0) -> Recipe:
    """The same recipe for each network, as far as its function has something to learn."""
    return replace(
        Recipe(),
        function=record.function,
        norm=record.norm,
        context=record.context,
        tied=record.norm and record.function != "concatenation",
        material=replace(Material(), seed=seed),
    )


def describe(measured: Measures, recipe: Recipe, sha256: str, log: Path) -> None:
    """Write the card of trained weights, its pictures and the run's log beside them."""
    name = measured.model
    kept = _WEIGHTS / f"{name}.log.jsonl"
    shutil.copy(log, kept)
    card.write(measured, recipe, sha256, kept, _WEIGHTS)
    pictures.curve(kept, _WEIGHTS / f"{name}.curve.svg")
    pictures.failures(zoo.load(name), measured, _WEIGHTS / f"{name}.failures.png")
    logging.getLogger(__name__).info("%s", text(measured))


def write_weights(name: str, module: NonLocalLite, folder: Path = _WEIGHTS) -> str:
    """The blocks as NAME.safetensors, and their checksum in SHA256SUMS; returns the checksum."""
    names = tuple(f"{block}." for block, *_ in BLOCKS)
    content = save(
        {k: v.contiguous().clone() for k, v in module.state_dict().items() if k.startswith(names)}
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
