"""A row through all layers beside one bare pass: `python -m benchmarks.rollout`.

The network is that of `benchmarks.scan`: a ViT of timm with random weights, 12 layers of 12 heads,
over 1,568 tokens of 16 frames. A row of attention rollout goes through all its layers, from one
position; no N × M matrix is kept. Both are taken in turns: seconds of the clock are those of the
quickest round, and the ratio is of seconds of the processor, to which what else runs on the machine
adds nothing.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

import nlviz
from benchmarks.capture import made_up_clip
from benchmarks.measure import machine, medians
from benchmarks.scan import FRAMES, SIDE, network
from nlviz.experiments.rerun import run

LIMIT = 2.0  # seconds of the clock


def main() -> int:
    """Print the seconds of both and their ratio; 1 if the row takes longer than the limit."""
    parser = argparse.ArgumentParser(description="A row of rollout beside one bare pass.")
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    made = network(options.model)
    analysis = nlviz.analyse(made_up_clip(FRAMES), made)
    point = nlviz.Point(0, SIDE / 3, SIDE / 3)

    def row() -> None:
        nlviz.rollout(analysis, [point])

    def bare() -> None:
        with torch.no_grad():
            run(analysis, made)

    quickest = np.inf
    for _ in range(options.rounds):
        begun = time.perf_counter()
        row()
        quickest = min(quickest, time.perf_counter() - begun)
    pass_, spent = medians(bare, row, rounds=options.rounds, clock=time.process_time)
    affinity = analysis.affinity(analysis.blocks[0])
    print(machine())
    print(
        f"{options.model}: {len(analysis.blocks)} layers × {affinity.heads} heads, "
        f"{affinity.query_grid.size:,} tokens"
    )
    print(
        f"one row {quickest:.2f} s by the clock, {spent:.2f} s of the processor, "
        f"{spent / pass_:.2f} of a bare pass ({pass_:.2f} s)"
    )
    print(f"limit: {LIMIT:g} s: {'missed' if quickest > LIMIT else 'kept'}")
    return int(quickest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
