"""``python -m training``: from nothing to the bundled weights."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from training.photographs import collect
from training.train import Plan, Sample, train

_HERE = Path(__file__).resolve().parent


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="nl-lite0")
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=_HERE / "cache")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    plan = replace(Plan(), steps=options.steps, seed=options.seed)
    photographs = collect(options.cache)
    train(plan, photographs, _HERE / "runs" / options.name, progress=_bar)


def _bar(batches: Iterable[list[Sample]], total: int, done: int) -> Iterable[list[Sample]]:
    return tqdm(batches, total=total, initial=done, mininterval=5)


if __name__ == "__main__":
    main()
