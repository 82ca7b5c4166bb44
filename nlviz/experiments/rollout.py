"""Attention rollout: the weights of all attention layers multiplied, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.experiments.derived import (
    EVERYWHERE,
    Place,
    affinity_of_rows,
    beside,
    check_residual,
    starts,
    without_derived,
)
from nlviz.experiments.head_rows import HeadRows
from nlviz.experiments.layers import (
    Chain,
    Layer,
    Mixing,
    Weights,
    attention_layers,
    layers_with_refused,
    unknown_fusion,
)
from nlviz.experiments.recipe import FUSIONS, RESIDUAL, Fusion, Recipe
from nlviz.progress import Progress, silent

Array = NDArray[np.float32]

_LONGEST = 160  # signs of the layers in a name

_JOIN: dict[Fusion, Callable[..., torch.Tensor]] = {
    "mean": torch.add,
    "max": torch.maximum,
    "min": torch.minimum,
}


def rollout(
    analysis: Analysis,
    places: Sequence[Place] | None = None,
    *,
    residual: float = RESIDUAL,
    fusion: Fusion = "mean",
    blocks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Attention rollout as one more block, which every view draws (Abnar and Zuidema, 2020).

    Each layer's matrix becomes Ã = (1 − r) A + r I with rows scaled to sum 1, r for the residual
    connection and A the heads' mean, greatest or least; a row of the product over all layers, last
    to first, is what is drawn: what a place of the last layer is made of at the first, if the
    values and all that stands between the layers did nothing. It is no weight of the network, and
    its name and kind say so. Rows go through the layers as vectors, a chunk of each matrix at a
    time; what a layer does not ask passes it unchanged. Where the grid changes between layers, what
    a cell has is shared evenly among the finer cells that lie in it.

    Args:
        analysis: what the layers weigh; no network runs.
        places: points, regions and tokens whose rows are worked out; all that can be asked if None.
            The token ``"all places"``, the mean over the grid, is always among them.
        residual: r, the weight of I, from 0 to below 1.
        fusion: how the heads of a layer are joined, one of ``FUSIONS``.
        blocks: the layers that the rows go through; all attention layers if None.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Returns:
        the analysis with the block "rollout (derived)" after its own; other settings are named in
        the brackets, layers that follow each other by the first and the last.

    Raises:
        QueryError: an unknown fusion, block or place, no block, or a residual out of range.
        CaptureError: no attention layers, one that was refused, layers whose places do not fit, or
            windows that were joined.
        BudgetError: rows that would take more than 64 MiB.
    """
    if fusion not in FUSIONS:
        raise unknown_fusion(fusion, FUSIONS)
    check_residual(residual)
    own = without_derived(analysis)
    names = attention_layers(own, blocks)
    chain = Chain(
        [
            Layer(name, own.affinity(name), partial(_fused, own.affinity(name), fusion))
            for name in names
        ]
    )
    made = rows_of(chain, own, places, Mixing(1 - residual, residual, True), progress or silent)
    recipe = Recipe(residual=residual, fusion=fusion)
    name = recipe.name if blocks is None else _name(recipe, names, layers_with_refused(own))
    return beside(analysis, name, made, _kind(names))


def rows_of(
    chain: Chain,
    analysis: Analysis,
    places: Sequence[Place] | None,
    mixing: Mixing,
    report: Progress,
    more: dict[str, Array] | None = None,
) -> Affinity:
    """The rows of some places through a chain, as an affinity.

    Args:
        chain: of layers.
        analysis: that it is of.
        places: see ``rollout``.
        mixing: what becomes of each layer's matrix.
        report: told how far it is.
        more: further tokens by name, each a mixture of the cells and tokens that can be asked.
    """
    there = chain.there
    cells = np.zeros(len(there), np.float32)
    cells[: chain.out.size] = there[: chain.out.size]
    extra = {EVERYWHERE: cells / cells.sum()} if cells.any() else {}
    keys = chain.key_grid.size + len(chain.names)
    extra |= more or {}
    # A network may have a token of its own by the name of one of these.
    tokens, names = (
        [f"{name} (token)" if name in extra else name for name in own]
        for own in (chain.tokens, chain.names)
    )
    asked = starts(places, analysis.view, chain.out, there, tokens, extra, keys)
    rows = chain.carried(asked.mixtures, mixing, report)
    return affinity_of_rows(asked, rows, chain.key_grid, names)


def _fused(affinity: Affinity, fusion: Fusion) -> Weights:
    """The rows of a layer, its heads joined."""
    each = HeadRows(affinity)

    def joined(index: NDArray[np.intp]) -> Array:
        heads = each(index)
        fused = next(heads).clone()
        for rows in heads:
            _JOIN[fusion](fused, rows, out=fused)
        if fusion == "mean":
            fused /= affinity.heads
        weights: Array = fused.numpy()
        return weights

    return joined


def _name(made: Recipe, names: Sequence[str], every: Sequence[str]) -> str:
    """What the block of some of the layers is called: by its ends where none is left out between.

    Else by all of them, or by their numbers from 0 where that would be long.

    Args:
        made: the recipe without layers.
        names: of the layers that it goes through.
        every: of all layers, those that were refused among them.
    """
    at = every.index(names[0])
    if tuple(every[at : at + len(names)]) == tuple(names):
        return replace(made, first=names[0], last=names[-1]).name
    of = ", ".join(names)
    if len(of) > _LONGEST:
        of = f"layers {', '.join(str(every.index(name)) for name in names)}"
    return f"{made.name.removesuffix(')')}, of {of})"


def _kind(names: Sequence[str]) -> str:
    through = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return f"attention rollout through {len(names)} layers, {through}"
