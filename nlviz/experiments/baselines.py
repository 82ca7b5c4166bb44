"""What to compare a picture with: even weights, raw features, and shuffled θ and φ."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, NlvizError, QueryError
from nlviz.experiments.cells import cells_in
from nlviz.experiments.rerun import find_block, one_call, parts_of, run
from nlviz.geometry import Grid
from nlviz.groups import NO_KEY, NO_QUERY, Groups, LinkBits, Links
from nlviz.hooks.capture import PUT_BACK, capture, evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.hooks.places.follow import Following, Places
from nlviz.inference.passes import layout_of, network_input
from nlviz.inference.protocol import Network
from nlviz.query import BASELINES, Baseline


def baseline(
    analysis: Analysis, network: Network | None, block: str, kind: Baseline, *, seed: int = 0
) -> Analysis:
    """A block's baseline as an analysis of one block, so that each view draws it as any other.

    - ``"uniform"``: every key that can be reached has the same weight; needs no network.
    - ``"cosine"``: f = cos(x_i, x_j) of the block's input, over the number of keys as in Eq. (4),
      so weights are signed; keys lie on the query grid, for nothing is pooled, and tokens take no
      part. A block that is put back, and a self-attention, has its input's places followed.
    - ``"shuffled"``: the block with the entries of θ's and of φ's weight tensors permuted, run on
      the same input: the same numbers, nothing learned in their order. For non-local blocks alone.

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
    else:
        with enough_memory(f"the baseline {kind!r} of block {block!r}"):
            if kind == "cosine":
                made = _cosine(analysis, network, block)
            else:
                made, error = _shuffled(analysis, network, block, seed)
    name = f"{block} ({kind}{f', seed {seed}' if kind == 'shuffled' and seed else ''})"
    return _alone(analysis, block, name, made, error)


def cosines(
    analysis: Analysis, network: Network, blocks: Sequence[str]
) -> dict[str, Analysis | NlvizError]:
    """The baseline ``"cosine"`` of several blocks from one pass, or the error that says why not.

    The errors are those of ``baseline``; one block that has none does not hide the others.

    Raises:
        BudgetError: the machine has too little memory.
    """
    found: dict[str, Analysis | NlvizError] = {}
    known = [block for block in blocks if "#" not in block and block in analysis.affinities]
    with enough_memory("the baseline 'cosine'"):
        features = _features(analysis, network, known)
    for block in blocks:
        try:
            if block in known:
                made = _cosine_of(analysis, block, features[block])
                found[block] = _alone(analysis, block, f"{block} (cosine)", made, None)
            else:
                found[block] = baseline(analysis, network, block, "cosine")
        except (CaptureError, QueryError) as why:
            found[block] = why
    return found


def _alone(
    analysis: Analysis, block: str, name: str, made: Affinity, error: float | None
) -> Analysis:
    """An analysis of a block's baseline alone."""
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


def _cosine(analysis: Analysis, network: Network, block: str) -> Affinity:
    return _cosine_of(analysis, block, _features(analysis, network, [block])[block])


def _cosine_of(
    analysis: Analysis, block: str, features_of: Callable[[NDArray[np.bool_]], NDArray[np.float32]]
) -> Affinity:
    affinity = analysis.affinity(block)
    queries, keys = affinity.query_grid, affinity.key_grid
    same = (queries.shape, queries.first) == (keys.shape, keys.first)
    # (cells,) where the block asks, and where it is asked; nothing is pooled.
    asking = affinity.has_query.ravel()
    if not asking.any():
        raise CaptureError(
            f"Block {block!r} is asked by tokens alone, so it has no baseline 'cosine'; choose "
            "'uniform'."
        )
    asked = affinity.has_key.ravel() if same else asking
    features = features_of(asking | asked)
    reach = tuple(_of_cells(each, queries.size, block, same=same) for each in affinity.reach)
    return Affinity("dot_product", features, features, queries, queries, reach=reach)


def _of_cells(links: Links, cells: int, block: str, *, same: bool) -> Links:
    """The links without tokens; where keys lie on another grid, they are those of the queries."""
    if same:
        return links.of(slice(cells), slice(cells))
    if isinstance(links, LinkBits) or links.until is not None:
        raise CaptureError(
            f"Block {block!r} has a mask over keys on a grid of their own, so it has no baseline "
            "'cosine'; choose 'uniform'."
        )
    query = links.query[:cells]
    return Groups(query, np.where(query == NO_QUERY, NO_KEY, query))


def _features(
    analysis: Analysis, network: Network, blocks: Sequence[str]
) -> dict[str, Callable[[NDArray[np.bool_]], NDArray[np.float32]]]:
    """Of each block, what gives its input at each wanted cell of the query grid, from one pass.

    That is (C, cells) of length 1, and 0 elsewhere; CaptureError for an input that is not one
    vector for each of these, or a block that the network does not have.
    """
    found: dict[str, Callable[[NDArray[np.bool_]], NDArray[np.float32]]] = {}
    in_order: set[str] = set()
    with ExitStack() as hooks:
        calls = {}
        for block in blocks:
            try:
                _, parts, _ = find_block(network.module, block)
                calls[block] = hooks.enter_context(one_call(network.module, block))
            except CaptureError as why:
                found[block] = partial(_refused, why)
                continue
            if parts is not None and analysis.places.get(block) != PUT_BACK:
                in_order.add(block)
        if not calls:
            return found
        hooks.enter_context(evaluating(network.module))
        given = network_input(analysis.clip, analysis.view, network)
        wanted = not in_order.issuperset(calls)
        places = Places(network.module, (given,), wanted=wanted, layout=layout_of(network))
        with Following(places):
            network.module(given)
        for block, call in calls.items():
            x, grid = call.x, analysis.affinity(block).query_grid
            at = None if x is None or block in in_order else cells_in(x, places, grid)
            found[block] = partial(_unit, analysis, block, x, at)
    return found


def _refused(why: CaptureError, _: NDArray[np.bool_]) -> NDArray[np.float32]:
    raise why


def _unit(
    analysis: Analysis, block: str, x: Tensor | None, at: Tensor | None, wanted: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(C, cells) of a block's input x, see ``_features``."""
    grid = analysis.affinity(block).query_grid
    for vectors, cells in _vectors(x, at, grid):
        inside = cells >= 0
        known, own = cells[inside].numpy(), vectors[inside.to(vectors.device)].float().cpu().numpy()
        if len(np.unique(known)) == len(known) and np.isin(np.flatnonzero(wanted), known).all():
            features = np.zeros((own.shape[1], grid.size), np.float32)
            features[:, known] = own.T
            unit: NDArray[np.float32] = features / np.maximum(
                np.linalg.norm(features, axis=0), 1e-12
            )
            return unit
    where = f"each of {grid} places" if wanted.all() else "each place that asks or is asked"
    raise CaptureError(
        f"The input of block {block!r} is not one feature vector for {where}, so it has no "
        "baseline 'cosine'; choose 'uniform'."
    )


def _vectors(x: Tensor | None, at: Tensor | None, grid: Grid) -> Iterator[tuple[Tensor, Tensor]]:
    """(slots, channels) of a block's input, and (slots,) each one's cell or −1; each way to see it.

    Without ``at`` it is a feature map with its cells in order. Else its channels are the last axis,
    as of a sequence, or the second, as of a map: one over which the cell does not change.
    """
    if x is None or x.ndim < 3:
        return
    if at is None:
        if x.numel() == len(x[0]) * grid.size:
            yield x.movedim(1, -1).flatten(0, -2), torch.arange(grid.size, device="cpu")
        return
    for axis in (x.ndim - 1, 1):
        if at.shape[axis] == 1:
            slots, cells = x.movedim(axis, -1), at.movedim(axis, -1)[..., 0]
            yield slots.flatten(0, -2), cells.expand(slots.shape[:-1]).flatten()


def _shuffled(
    analysis: Analysis, network: Network, block: str, seed: int
) -> tuple[Affinity, float | None]:
    """The block's copy, shuffled, seen by the same capture as the block."""
    affinity = analysis.affinity(block)
    if analysis.places.get(block) == PUT_BACK:
        raise CaptureError(
            f"Block {block!r} has its places in another order than the picture, which the baseline "
            "'shuffled' does not follow; choose 'uniform' or 'cosine'."
        )
    with one_call(network.module, block) as call:
        run(analysis, network)
    if call.attention:
        raise CaptureError(
            f"Block {block!r} is a self-attention, and the baseline 'shuffled' is made for "
            "non-local blocks alone; choose another."
        )
    parts = parts_of(network.module, block)
    if parts.theta is None or parts.phi is None:
        raise CaptureError(
            f"Block {block!r} has no θ and φ whose weights could be shuffled; choose 'uniform' or "
            "'cosine'."
        )
    double = copy.deepcopy(parts.block)
    twin = type(parts).of(double)
    random = torch.Generator("cpu").manual_seed(seed)
    for child in (twin.theta, twin.phi) if twin is not None else ():
        for weight in (w for w in child.parameters() if w.ndim > 1) if child is not None else ():
            order = torch.randperm(weight.numel(), generator=random, device="cpu")
            order = order.to(weight.device)
            weight.data = weight.data.flatten()[order].reshape(weight.shape)
    seen = capture(double, call.kwargs if call.kwargs else call.args, sample=None)
    name, made = next(iter(seen.affinities.items()))
    placed = replace(made, query_grid=affinity.query_grid, key_grid=affinity.key_grid)
    return placed, seen.fidelity[name]
