"""Exact correspondence: how many links land on the very scene point, on clips never trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

import nlviz
from nlviz import Affinity, Analysis, Clip
from nlviz.models.zoo import Network
from training.data.photographs import Photographs
from training.data.render import RenderedClip, render
from training.measures.same_object import block_inputs, cosine
from training.stages.objective import IGNORED

SEED = 1_000_003  # far from the seeds of training runs
COUNT, LENGTH, WIDTH, HEIGHT, QUERIES = 12, 8, 448, 320, 200


@dataclass(frozen=True, slots=True)
class Precision:
    """Of one block (or its raw features): share of best links that hit, from 0 to 1.

    A best link is the heaviest into a frame that shows the query's scene point; it hits where the
    place it lands on is within one key cell of that point. ``chance`` is that of a random key.
    """

    block: str
    what: str  # "block" or "raw cosine"
    precision: float
    chance: float


def clips(photographs: Photographs, count: int = COUNT) -> Iterable[RenderedClip]:
    """The same ``count`` clips at every call."""
    for i in range(count):
        rng = np.random.default_rng((SEED, i))
        yield render(photographs, rng, length=LENGTH, width=WIDTH, height=HEIGHT)


def score(network: Network, rendered: Iterable[RenderedClip]) -> list[Precision]:
    """Precision of each block, and of the cosine of its input, over all links of all clips."""
    hits: dict[tuple[str, str], list[np.ndarray]] = {}
    network = replace(network, score_windows=None)  # each block is to run once
    for clip in rendered:
        times = tuple(range(len(clip.frames)))
        source = Clip(clip.frames, times, tuple(map(float, times)), "rendered", len(times))
        with block_inputs(network) as inputs:
            analysis = nlviz.analyse(source, network, size=max(clip.frames.shape[1:3]))
        for block in analysis.blocks:
            affinity = analysis.affinity(block)
            kinds = {"block": affinity, "raw cosine": cosine(affinity, inputs[block])}
            for what, weights in kinds.items():
                hits.setdefault((block, what), []).append(_hits(analysis, weights, clip))
    return [
        Precision(block, what, *map(float, np.concatenate(found, axis=1).mean(1)))
        for (block, what), found in hits.items()
    ]


def _hits(analysis: Analysis, affinity: Affinity, clip: RenderedClip) -> np.ndarray:
    """(2, links): whether each best link hits, and the share of its frame's keys that would."""
    queries, keys = affinity.query_grid, affinity.key_grid
    layer, place = _truth(analysis, queries, clip)
    key_layer, key_place = _truth(analysis, keys, clip)
    seen = np.flatnonzero(layer != IGNORED)
    chosen = np.random.default_rng(0).permutation(seen)[:QUERIES]
    rows = affinity.rows([queries.cell(int(i)) for i in chosen]).reshape(len(chosen), keys.t, -1)
    reach = max(analysis.view.steps(keys)[1:])
    apart = np.linalg.norm(place[chosen][:, None] - key_place[None], axis=2)
    right = (apart <= reach) & (layer[chosen][:, None] == key_layer[None])
    right = right.reshape(rows.shape)
    own = np.array([queries.cell(int(i)).t for i in chosen])
    counted = right.any(2) & (np.arange(keys.t) != own[:, None])
    best = np.take_along_axis(right, rows.argmax(2)[..., None], 2)[..., 0]
    return np.stack([best[counted], right.mean(2)[counted]])


def _truth(
    analysis: Analysis, grid: nlviz.Grid, clip: RenderedClip
) -> tuple[np.ndarray, np.ndarray]:
    """Layer and place at each cell's centre: (cells,) and (cells, 2)."""
    points = [analysis.view.point(grid.cell(i), grid) for i in range(grid.size)]
    t, y, x = (np.array(v, int) for v in zip(*((p.frame, p.y, p.x) for p in points), strict=True))
    return clip.layers[t, y, x], clip.places[t, y, x]
