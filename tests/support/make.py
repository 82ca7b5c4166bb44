"""Clips, networks and analyses small enough for a test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from nlviz import Affinity, Analysis, Clip, Grid, Groups, LinkBits, View
from nlviz.groups import Links
from nlviz.models.nonlocal_block import NonLocalBlock


def clip(frames: int = 4, width: int = 64, height: int = 48, step: int = 5) -> Clip:
    """Noise, every ``step``-th frame of a longer source."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    indices = tuple(range(0, frames * step, step))
    total = 1 if frames == 1 else frames * step
    return Clip(pixels, indices, tuple(i / 25 for i in indices), "noise.mp4", total, "noise.mp4")


class TinyModule(nn.Module):
    """Stride 4, one block with pooled keys, one without, two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 6, (1, 4, 4), stride=(1, 4, 4))
        self.first = NonLocalBlock(6)
        self.second = NonLocalBlock(6, sub_sample=False)
        self.classifier = nn.Linear(6, 2)

    def forward(self, x):
        features = self.second(self.first(self.stem(x)))
        return self.classifier(features.mean((2, 3, 4)))


@dataclass
class TinyNetwork:
    """A network of the shape that ``analyse`` takes."""

    module: nn.Module
    name: str = "tiny"
    taps: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ("cat", "dog")
    stages: tuple[str, ...] = ("stem", "first", "second", "classifier")
    default_size: int = 32

    def input_size(self, width, height, size):
        scale = size / max(width, height)
        return round(width * scale / 4) * 4, round(height * scale / 4) * 4

    def prepare(self, frames):
        return torch.tensor(frames).permute(3, 0, 1, 2)[None] / 255


def network() -> TinyNetwork:
    """A seeded tiny network; its blocks do something, so that its rows are not all alike."""
    torch.manual_seed(0)
    return TinyNetwork(TinyModule())


def network_that_matters(function: str, *, seed: int) -> TinyNetwork:
    """A tiny network of two blocks whose W_z is not zero, so that its scores depend on them."""
    made = network()
    torch.manual_seed(seed)
    module = made.module
    module.first = NonLocalBlock(6, function=function)
    module.second = NonLocalBlock(6, function=function, sub_sample=False, batch_norm=False)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.6)
    # Scores far from 0 and 1, so that they move.
    nn.init.normal_(module.classifier.weight, std=0.002 if function == "dot_product" else 0.2)
    nn.init.zeros_(module.classifier.bias)
    return made


def analysis(
    function: str = "embedded_gaussian", frames: int = 4, *, special: bool = False
) -> Analysis:
    """Random θ and φ; cells of 8 pixels, keys of 8 in block ``fine`` and of 16 in ``coarse``.

    Where asked for, block ``special`` is coarse with two heads, a token, and links inside two
    random groups; block ``alone`` has a first query that reaches nothing.
    """
    source = clip(frames)
    queries, keys = Grid(frames, 6, 8), Grid(frames, 3, 4)
    rng = np.random.default_rng(1)

    def random(keys: Grid, *, width: int = 5, **options: Any) -> Affinity:
        tokens = len(options.get("tokens", ()))
        theta = rng.normal(size=(width, queries.size + tokens))
        phi = rng.normal(size=(width, keys.size + tokens))
        return Affinity(function, theta, phi, queries, keys, **options)

    affinities = {"coarse": random(keys), "fine": random(queries)}
    if special:
        groups = Groups(rng.integers(0, 2, queries.size + 1), rng.integers(0, 2, keys.size + 1))
        affinities["special"] = random(keys, width=6, heads=2, reach=(groups,), tokens=("class",))
        nowhere = Groups(np.arange(queries.size) == 0, np.zeros(keys.size))
        affinities["alone"] = random(keys, reach=(nowhere,))
    return Analysis(
        clip=source,
        view=View((source.width, source.height), (source.width, source.height), source.indices),
        network="random",
        affinities=affinities,
        fidelity=dict.fromkeys(affinities, 1e-7),
    )


def partial(function: str = "embedded_gaussian", frames: int = 4) -> Analysis:
    """Queries and keys on a part of their grids only; cells of 8 pixels, keys of 16.

    Block ``memory`` has queries on the last frame and keys on those before it. Block ``kept`` has
    a random third of its cells, other ones for queries and keys, two heads, a token "class", and a
    token "key only" without a query.
    """
    whole = analysis(function, frames)
    queries, keys = Grid(frames, 6, 8), Grid(frames, 3, 4)
    rng = np.random.default_rng(11)
    last = [np.indices(grid.shape)[0].ravel() == frames - 1 for grid in (queries, keys)]
    kept = [np.append(rng.random(grid.size) < 1 / 3, [True, True]) for grid in (queries, keys)]
    kept[0][-1] = False

    def block(there: Any, tokens: tuple[str, ...] = (), heads: int = 1) -> Affinity:
        asking, asked = there
        reach = Groups(np.where(asking, 0, -1), np.where(asked, 0, -2))
        theta, phi = (rng.normal(size=(3 * heads, len(each))) for each in there)
        return Affinity(
            function, theta, phi, queries, keys, heads=heads, reach=(reach,), tokens=tokens
        )

    affinities = {
        "memory": block((last[0], ~last[1])),
        "kept": block(kept, ("class", "key only"), heads=2),
    }
    return replace(whole, affinities=affinities, fidelity=dict.fromkeys(affinities, 1e-7))


def masked(function: str = "embedded_gaussian", frames: int = 4) -> Analysis:
    """Links by a mask: block ``rule`` reaches runs of numbered keys, block ``bits`` any of them.

    Both have two heads and a token "class", and some queries that reach nothing.
    """
    whole = analysis(function, frames)
    queries, keys = Grid(frames, 6, 8), Grid(frames, 3, 4)
    rng = np.random.default_rng(13)
    n, m = queries.size + 1, keys.size + 1
    first = rng.integers(0, m // 2, n)
    until = first + rng.integers(0, m // 2, n)
    first[::9], until[::9] = -1, -1
    bits = rng.random((n, m)) < 0.4
    bits[::9] = False
    masks: dict[str, Links] = {
        "rule": Groups(first, rng.permutation(m), until),
        "bits": LinkBits(np.packbits(bits, axis=1), m),
    }
    affinities = {
        name: Affinity(
            function,
            rng.normal(size=(6, n)),
            rng.normal(size=(6, m)),
            queries,
            keys,
            heads=2,
            reach=(links,),
            tokens=("class",),
        )
        for name, links in masks.items()
    }
    return replace(whole, affinities=affinities, fidelity=dict.fromkeys(affinities, 1e-7))


def picture(path: Path) -> Path:
    """A small picture in a file: a bright square on grey."""
    pixels = np.full((48, 64, 3), 60, np.uint8)
    pixels[15:30, 10:40] = (40, 200, 250)
    cv2.imwrite(str(path), pixels)
    return path
