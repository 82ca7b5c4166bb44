"""What to compare a picture with: even weights, raw features, and shuffled θ and φ."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, QueryError
from nlviz.experiments.rerun import Call, one_call, parts_of, run
from nlviz.groups import Groups
from nlviz.hooks.capture import PUT_BACK, capture
from nlviz.hooks.memory import enough_memory
from nlviz.inference.protocol import Network
from nlviz.query import BASELINES, Baseline


def baseline(
    analysis: Analysis, network: Network | None, block: str, kind: Baseline, *, seed: int = 0
) -> Analysis:
    """A block's baseline as an analysis of one block, so that each view draws it as any other.

    - ``"uniform"``: every key that can be reached has the same weight; needs no network.
    - ``"cosine"``: f = cos(x_i, x_j) of the block's input, over the number of keys as in Eq. (4),
      so weights are signed; keys lie on the query grid, for nothing is pooled.
    - ``"shuffled"``: the block with the entries of θ's and of φ's weight tensors permuted, run on
      the same input: the same numbers, nothing learned in their order.

    The last two run the network once more. Only the last one's fidelity is measured: nothing in the
    network computes the weights of the others. The block keeps its kind and is called
    "nl5 (cosine)" or the like, and "nl5 (shuffled, seed 3)" where the seed is another than 0.

    Args:
        analysis: where the block comes from.
        network: the network that was analysed; None will do for ``"uniform"``.
        block: the block's name.
        kind: one of ``BASELINES``.
        seed: of the permutation.

    Raises:
        QueryError: an unknown block or kind, or no network where one is needed.
        CaptureError: a block whose input or weights cannot be reached, or that has no θ and φ.
        BudgetError: the machine has too little memory.
    """
    affinity = analysis.affinity(block)
    if kind not in BASELINES:
        raise QueryError(f"Baseline {kind!r} is unknown; choose one of {', '.join(BASELINES)}.")
    error: float | None = None
    if kind == "uniform":
        made = _uniform(affinity)
    elif network is None:
        raise QueryError(f"The baseline {kind!r} runs the network again; give it.")
    elif analysis.places.get(block) == PUT_BACK:
        raise CaptureError(
            f"Block {block!r} has its places in another order than the picture, which the baseline "
            f"{kind!r} does not follow; choose 'uniform'."
        )
    else:
        with enough_memory(f"the baseline {kind!r} of block {block!r}"):
            with one_call(network.module, block) as call:
                run(analysis, network)
            if kind == "cosine":
                made = _cosine(affinity, call, block)
            else:
                made, error = _shuffled(affinity, call, network, block, seed)
    name = f"{block} ({kind}{f', seed {seed}' if kind == 'shuffled' and seed else ''})"
    return replace(
        analysis,
        affinities=MappingProxyType({name: made}),
        fidelity=MappingProxyType({name: error}),
        kinds=MappingProxyType({name: analysis.about(block).kind}),
        places=MappingProxyType({name: analysis.places[block]} if block in analysis.places else {}),
        refused=MappingProxyType({}),
        sizes=MappingProxyType({}),
    )


def _uniform(affinity: Affinity) -> Affinity:
    """θ = φ = 0: a softmax of equal logits."""
    return replace(
        affinity,
        function="embedded_gaussian",
        theta=np.zeros((1, affinity.theta.shape[1]), np.float32),
        phi=np.zeros((1, affinity.phi.shape[1]), np.float32),
        scale=1.0,
        heads=1,
    )


def _cosine(affinity: Affinity, call: Call, block: str) -> Affinity:
    grid = affinity.query_grid
    x = call.x
    if call.attention:
        raise CaptureError(
            f"Block {block!r} is a self-attention, and the baseline 'cosine' is made for non-local "
            "blocks alone; choose 'uniform'."
        )
    if x is None or x.ndim < 3 or x.numel() != len(x[0]) * grid.size:
        raise CaptureError(
            f"The input of block {block!r} is not one feature vector for each of {grid} places."
        )
    # (clips or frames, channels, places): channels first, places in row-major order.
    features = x.transpose(0, 1).flatten(1).float().cpu().numpy()
    features = features / np.maximum(np.linalg.norm(features, axis=0), 1e-12)
    reach = tuple(Groups(g.query[: grid.size], g.query[: grid.size]) for g in affinity.reach)
    return Affinity("dot_product", features, features, grid, grid, reach=reach)


def _shuffled(
    affinity: Affinity, call: Call, network: Network, block: str, seed: int
) -> tuple[Affinity, float]:
    """The block's copy, shuffled, seen by the same capture as the block."""
    if call.attention:
        raise CaptureError(
            f"Block {block!r} is a self-attention, and the baseline 'shuffled' is made for "
            "non-local blocks alone; choose 'uniform'."
        )
    parts = parts_of(network.module, block)
    if parts.theta is None or parts.phi is None:
        raise CaptureError(
            f"Block {block!r} has no θ and φ whose weights could be shuffled; choose 'uniform' or "
            "'cosine'."
        )
    double = copy.deepcopy(parts.block)
    twin = type(parts).of(double)
    random = torch.Generator().manual_seed(seed)
    for child in (twin.theta, twin.phi) if twin is not None else ():
        for weight in (w for w in child.parameters() if w.ndim > 1) if child is not None else ():
            order = torch.randperm(weight.numel(), generator=random).to(weight.device)
            weight.data = weight.data.flatten()[order].reshape(weight.shape)
    seen = capture(double, call.kwargs if call.kwargs else call.args, sample=None)
    name, made = next(iter(seen.affinities.items()))
    placed = replace(made, query_grid=affinity.query_grid, key_grid=affinity.key_grid)
    return placed, seen.fidelity[name]
