"""``python -m training``: from nothing to the bundled weights."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from training.photographs import collect
from training.train import Plan, train

_HERE = Path(__file__).resolve().parent


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="nl-lite0")
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=_HERE / "cache")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plan = replace(Plan(), steps=options.steps, seed=options.seed)
    train(plan, collect(options.cache), _HERE / "runs" / options.name)


if __name__ == "__main__":
    main()
