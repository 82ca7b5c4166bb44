"""What can honestly be said about a captured block: its kind, its links, its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.display import listed
from nlviz.geometry import Grid, View
from nlviz.groups import NO_KEY, NO_QUERY, Groups, LinkBits, Links

SIMILARITY = "similarity, not a weight of the network"
"""What the cosines of a layer's features are, in place of the kind of a block."""

MATCHED_COSINES = "cosine of the input's features of two clips"
"""What the kind of a block says where its input is compared between two clips."""

_FUNCTIONS = {
    "gaussian": "Gaussian",
    "embedded_gaussian": "embedded Gaussian",
    "dot_product": "dot product",
    "concatenation": "concatenation",
    "derived": "rows that nlviz worked out",
}


@dataclass(frozen=True, slots=True)
class About:
    """One block in words and numbers.

    Args:
        block: its name.
        kind: what it is: "non-local block", "self-attention", …
        function: the pairwise function in words, with its scale and heads.
        rows: whether rows sum to one, in words.
        queries: where the queries lie, in words; empty where they lie on every cell of their grid.
        keys: where the keys lie beside the queries, in words.
        reach: which links can exist, in words.
        tokens: names of what takes part without a place in the clip.
        footprint: (frames, pixels down, pixels right) of the clip that a query's cell stands for,
            by stride; what the cell has seen is larger.
        key_footprint: the same of a key's cell.
        fidelity: relative error of the block's output recomputed from the capture; None where it
            was not measured, as of a baseline that no network runs.
        places: how it is known where its queries and keys lie, in words; empty where it is not
            told, as in sessions of older versions.
    """

    block: str
    kind: str
    function: str
    rows: str
    queries: str
    keys: str
    reach: str
    tokens: tuple[str, ...]
    footprint: tuple[float, float, float]
    key_footprint: tuple[float, float, float]
    fidelity: float | None
    places: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same as lines to print."""
        t, dy, dx = self.footprint
        tokens = f"; tokens beside the grid: {listed(self.tokens)}" if self.tokens else ""
        return (
            f"{self.kind}, {self.function}; {self.rows}",
            "; ".join(filter(None, (f"links: {self.reach}", self.queries, self.keys + tokens))),
            f"a cell stands for {dx:.3g}×{dy:.3g} source pixels and {t:.3g} sampled "
            f"frame{'s' if t != 1 else ''}; fidelity {fidelity_in_words(self.fidelity)}"
            + (f"; places: {self.places}" if self.places else ""),
        )


def about(
    block: str,
    kind: str,
    affinity: Affinity,
    view: View,
    fidelity: float | None,
    places: str = "",
) -> About:
    """What is known of one block of an analysis."""
    queries, keys = affinity.query_grid, affinity.key_grid
    heads = f", mean of {affinity.heads} heads" if affinity.heads > 1 else ""
    scale = "" if affinity.scale == 1 else f", logits × {affinity.scale:.3g}"
    function = _FUNCTIONS[affinity.function] + scale + heads
    sums = "rows sum to one"
    if kind.startswith(SIMILARITY) or MATCHED_COSINES in kind:
        function, sums = "cosine of features", "rows are cosines, from −1 to 1"
    elif not affinity.rows_sum_to_one:
        sums = "rows are signed and need not sum to one"
        sums = sums if affinity.signed else "rows are not normalised"
    elif affinity.tokens:
        sums += ", tokens included"
    return About(
        block=block,
        kind=kind,
        function=function,
        rows=sums,
        queries="" if affinity.has_query.all() else _lie("queries", affinity.has_query),
        keys=_keys(affinity),
        reach=reach_in_words(affinity),
        tokens=affinity.tokens,
        footprint=view.steps(queries),
        key_footprint=view.steps(keys),
        fidelity=fidelity,
        places=places,
    )


def fidelity_in_words(fidelity: float | None) -> str:
    """The relative error to two digits, or that there is none."""
    return "not measured" if fidelity is None else f"{fidelity:.1e}"


def _lie(what: str, there: NDArray[np.bool_]) -> str:
    if there.all():
        return f"{what} on every cell"
    return f"{what} on {_part(there)}" if there.any() else f"{what} are tokens alone"


def _keys(affinity: Affinity) -> str:
    """Where the keys lie: on the queries' grid, pooled from it, or on one of their own."""
    queries, keys, there = affinity.query_grid, affinity.key_grid, affinity.has_key
    if not there.any() or _alike(queries, keys):
        return _lie("keys", there)
    few = "" if there.all() else f", on {_part(there)}"
    pooled = queries.pooled(keys.shape).stride
    if not affinity.keys_pooled or not _near(pooled, keys.stride):
        return f"keys on a grid of their own, {keys}{few}"
    by = [f"{n / m:.3g}" for n, m in zip(queries.shape, keys.shape, strict=True)]
    return f"keys pooled {'×'.join(by)}{few}"


def _alike(one: Grid, other: Grid) -> bool:
    """Whether two grids have their cells at the same places."""
    same = one.shape == other.shape
    return same and _near(one.stride, other.stride) and _near(one.first, other.first)


def _near(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-3))


def reach_in_words(affinity: Affinity) -> str:
    """Which links can exist, from the groups of the cells."""
    reach, grid = affinity.reach, affinity.query_grid
    if not reach:
        return "from everywhere to everywhere"
    if isinstance(reach[0], LinkBits) or reach[0].until is not None:
        return _masked(reach[0])
    groups = [each for each in reach if isinstance(each, Groups)]
    if any(not np.array_equal(each.query, groups[0].query) for each in groups):
        return "within a cell's own row and column of its frame (criss-cross)"
    group = groups[0].query[: grid.size].reshape(grid.shape)
    there = group != NO_QUERY
    if not there.any():
        return "from its tokens alone"
    if len(np.unique(group[there])) == 1:
        keys = affinity.key_grid
        able = np.any([each.key[: keys.size] == group[there][0] for each in groups], axis=0)
        return f"from {_part(there)} to {_part(able.reshape(keys.shape))}"
    few = "" if there.all() else f", from {there.sum()} of {there.size} cells"
    lone = [np.unique(step[at]) for step, at in zip(group, there, strict=True)]
    if all(len(each) <= 1 for each in lone):
        steps = int(np.unique(np.concatenate(lone), return_counts=True)[1].max())
        of = "its own frame" if steps == 1 else f"its own group of {steps} time steps"
        return ("everywhere" if steps == grid.t else f"within {of} only") + few
    if (group == group[:1]).all() and len(np.unique(group[0][there[0]])) == there[0].sum():
        return f"at a cell's own place only, over time{few}"
    able = np.concatenate([each.key[: affinity.key_grid.size] for each in groups])
    sizes = np.unique(able[able != NO_KEY], return_counts=True)[1]
    return f"within windows of at most {int(sizes.max(initial=0))} cells only{few}"


def _masked(links: Links) -> str:
    """What a mask lets through, in the order of the sequence."""
    if isinstance(links, LinkBits):
        there = np.bitwise_count(links.bits).sum() / max(1, links.shape[0] * links.shape[1])
        return f"by a mask of the network's own, {there:.0%} of all"
    asks = links.has_query
    first, last = links.query[asks], links.last[asks]
    if (first > first.min(initial=0)).any():
        return "within a stretch of the sequence only (a sliding window)"
    if len(np.unique(last)) == len(last):
        return "from a place to itself and those before it in the sequence (causal)"
    return "to those before in the sequence, some of them together (causal by blocks, or a prefix)"


def _part(there: NDArray[np.bool_]) -> str:
    """Where some cells (T, H, W) are: whole time steps, or how many."""
    if there.all():
        return "everywhere"
    whole = [t for t, step in enumerate(there) if step.all()]
    if not whole or there.sum() != len(whole) * there[0].size:
        return f"{there.sum()} of {there.size} cells"
    if len(whole) == 1:
        return f"time step {whole[0]}"
    if whole == list(range(whole[0], whole[-1] + 1)):
        return f"time steps {whole[0]} to {whole[-1]}"
    return f"time steps {', '.join(map(str, whole))}"
