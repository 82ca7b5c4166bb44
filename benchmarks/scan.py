"""A scan beside one bare pass: `python -m benchmarks.scan [--model vit_base_patch16_224]`.

The network is a ViT of timm with random weights over tubes of 2 × 16 × 16 pixels, as VideoMAE cuts
them: 16 frames of 224 pixels are 1,568 tokens. The scan goes over every block, every head and the
cosine of every block's input, by same-object precision with 200 queries; for the inputs it runs the
network once more. Both are taken in turns, in seconds of the processor, to which what else runs on
the machine adds nothing.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nlviz
from benchmarks.capture import made_up_clip
from benchmarks.measure import machine, medians
from nlviz.experiments.rerun import run
from nlviz.scans import scan
from nlviz.tracking.precision import QUERIES, cells_on

GOAL = 2.0
"""Bare passes that a scan may take."""

FRAMES, SIDE, TUBE = 16, 224, (2, 16, 16)


class VideoViT(nn.Module):
    """The blocks of a timm ViT over tubes of a clip."""

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.tubes = nn.Conv3d(3, vit.embed_dim, TUBE, stride=TUBE)
        cells = (FRAMES // TUBE[0]) * (SIDE // TUBE[1]) * (SIDE // TUBE[2])
        self.places = nn.Parameter(0.02 * torch.randn(1, cells, vit.embed_dim))
        self.blocks, self.norm = vit.blocks, vit.norm

    def forward(self, x: Tensor) -> Tensor:
        """(N, cells, channels) of (N, 3, T, H, W)."""
        tokens = self.tubes(x).flatten(2).transpose(1, 2) + self.places
        normed: Tensor = self.norm(self.blocks(tokens))
        return normed


def network(name: str) -> nlviz.UserNetwork:
    """The network with random weights."""
    from tests.support.vision import timm

    torch.manual_seed(0)
    module = VideoViT(timm.create_model(name, num_classes=0)).eval()
    return nlviz.UserNetwork(module, nlviz.Input(size=(SIDE, SIDE)), name)


def main() -> None:
    """Print the seconds of both and their ratio."""
    parser = argparse.ArgumentParser(description="A scan beside one bare pass.")
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    made = network(options.model)
    clip = made_up_clip(FRAMES)
    analysis = nlviz.analyse(clip, made)
    masks = np.zeros(clip.frames.shape[:3], np.bool_)
    height, width = masks.shape[1:]
    masks[:, height // 5 : -height // 4, width // 7 : -width // 3] = True
    affinity = analysis.affinity(analysis.blocks[0])
    queries = len(cells_on(analysis, affinity, masks))
    found = scan(analysis, masks, network=made)

    def bare() -> None:
        with torch.no_grad():
            run(analysis, made)

    rounds = options.rounds
    pass_, whole, rows = medians(
        bare,
        lambda: scan(analysis, masks, network=made),
        lambda: scan(analysis, masks),
        rounds=rounds,
        clock=time.process_time,
    )
    print(machine())
    print(
        f"{options.model}: {len(analysis.blocks)} blocks × {affinity.heads} heads, "
        f"{affinity.query_grid.size:,} tokens, {queries} of at most {QUERIES} queries, "
        f"{len(found.scores)} scores; medians of {rounds}"
    )
    print(f"one bare pass {pass_:.2f} s, scan {whole:.2f} s, without the inputs {rows:.2f} s")
    verdict = "within" if whole <= GOAL * pass_ else "ABOVE"
    print(f"{whole / pass_:.2f} passes, {verdict} the goal of {GOAL:g}")


if __name__ == "__main__":
    main()
