"""Shuffled weights: what a derived block looks like without anything that was learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.analysis import DERIVED, Analysis
from nlviz.ask.rows import row_of
from nlviz.errors import CaptureError, QueryError
from nlviz.experiments.derived import beside
from nlviz.experiments.recipe import shuffled_name
from nlviz.hooks.capture import evaluating
from nlviz.inference.forward import analyse
from nlviz.inference.protocol import Network
from nlviz.progress import Progress, part_of, silent
from nlviz.query import Query

Numbers = NDArray[np.float64]
Derive = Callable[[Analysis, Progress], Analysis]

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of the weight tensors that are shuffled, from the output down: each share holds those before."""


@contextmanager
def shuffled_weights(network: Network, *, seed: int = 0, share: float = 1.0) -> Iterator[None]:
    """While it lasts, the entries of the network's weight tensors are in random order.

    The same numbers in each tensor, and nothing learned in their order. Passes by other threads
    wait, and the very tensors come back at the end, also after an error.

    Args:
        network: whose weights are shuffled, each floating-point parameter by itself.
        seed: of the orders.
        share: of the tensors, from the last one that the module holds to the first: above 0 and up
            to 1, for all. At least one is shuffled.

    Raises:
        QueryError: a share out of range.
        CaptureError: no weights whose entries could be shuffled.
    """
    if not 0 < share <= 1:
        raise QueryError(f"The share of shuffled weights must be above 0 and up to 1; got {share}.")
    module = network.module
    with evaluating(module):
        held = [p for p in module.parameters() if p.is_floating_point() and p.numel() > 1]
        if not held or any(p.is_meta for p in held):
            raise CaptureError(
                f"The weights of {network.name} cannot be shuffled: they are packed, or not all in "
                "memory."
            )
        last = held[len(held) - max(1, round(share * len(held))) :]
        random = torch.Generator("cpu").manual_seed(seed)
        before = [(p, p.data) for p in last]
        try:
            # From the output down, so that a larger share begins with the same orders.
            for parameter, data in reversed(before):
                order = torch.randperm(data.numel(), generator=random, device="cpu")
                order = order.to(data.device)
                parameter.data = data.flatten()[order].reshape(data.shape)
            yield
        finally:
            for parameter, data in before:
                parameter.data = data


@dataclass(frozen=True, slots=True, eq=False)
class SanityCheck:
    """How alike a row stays as the network's weights are shuffled, layer by layer.

    Args:
        query: whose row of a derived block it is.
        shares: (S,) shares of the weight tensors, from the output down.
        correlations: (S,) Spearman's rank correlation of the row with its own under shuffled
            weights, over all places of the grid, −1 to 1; 0 where one of them is even.
    """

    query: Query
    shares: Numbers
    correlations: Numbers

    @property
    def in_words(self) -> str:
        """What the last of them says, in one sentence."""
        last = float(self.correlations[-1])
        said = f"With shuffled weights the row's ranks correlate by {last:.2f} with the row drawn"
        if last > ALIKE:
            return (
                f"{said}: most of what is seen is there without anything learned, so it says "
                "little of what the network has learned."
            )
        return f"{said}: what is seen is not there without what the network has learned."


ALIKE = 0.5
"""A correlation above which most of a row is there with shuffled weights, too."""


def sanity_check(
    analysis: Analysis,
    network: Network,
    query: Query,
    derive: Derive,
    *,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    progress: Progress | None = None,
) -> SanityCheck:
    """The sanity check of Adebayo et al. (2018): shuffle the weights and see the row change.

    A row that stays as it is with weights in random order shows the clip and the architecture, and
    nothing that was learned. The tensors are shuffled from the output down, more of them each time.

    Args:
        analysis: with the derived block.
        network: that made it; its weights are put back.
        query: of the derived block.
        derive: makes the derived block of an analysis, with a report of progress:
            ``lambda analysis, report: nlviz.rollout(analysis, [point], progress=report)``.
        shares: of the tensors, above 0 and up to 1, rising.
        seed: of the orders.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: shares out of range.
        What analysing the clip and ``derive`` raise; the weights are put back after these, too.
    """
    if not shares or list(shares) != sorted(set(shares)):
        raise QueryError("Give shares above 0 and up to 1, rising.")
    report = progress or silent
    row = row_of(analysis, query).weights.ravel()
    found = []
    for number, share in enumerate(shares):
        told = part_of(
            report, number / len(shares), (number + 1) / len(shares), f"{share:.0%} shuffled: "
        )
        other = shuffled(analysis, network, query.block, derive, seed, share, told)
        found.append(rank_correlation(row, row_of(other, query).weights.ravel()))
    report(1.0, "done")
    return SanityCheck(query, np.asarray(shares, np.float64), np.asarray(found))


def shuffled(
    analysis: Analysis,
    network: Network,
    block: str,
    derive: Derive,
    seed: int = 0,
    share: float = 1.0,
    progress: Progress | None = None,
) -> Analysis:
    """The analysis made anew with shuffled weights, and the derived block of it under its name.

    Args:
        analysis: whose clip and input size are run again.
        network, seed, share: as for ``shuffled_weights``.
        block: what the derived block is called.
        derive: as for ``sanity_check``.
        progress: told how far it is.
    """
    report = progress or silent
    with shuffled_weights(network, seed=seed, share=share):
        told = part_of(report, 0.0, 0.4)
        again = analyse(analysis.clip, network, size=max(analysis.view.input), progress=told)
        other = derive(again, part_of(report, 0.4, 1.0))
    if block not in other.affinities:
        raise CaptureError(f"With shuffled weights no block {block!r} was made.")
    return other


def as_baseline(analysis: Analysis, other: Analysis, block: str, *, seed: int = 0) -> Analysis:
    """A derived block with shuffled weights beside the one that it is compared with.

    It is called "rollout (derived, shuffled weights)", with the seed where that is not 0.
    """
    name = shuffled_name(block, seed)
    kind = f"with shuffled weights, {other.kinds[block]}".removesuffix(f", {DERIVED}")
    return beside(analysis, name, other.affinity(block), kind)


def rank_correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Spearman's: of the ranks, those of equal numbers being their mean; 0 where one is even."""
    ranks = [_ranks(each) for each in (one, other)]
    a, b = (each - each.mean() for each in ranks)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def _ranks(numbers: NDArray[np.float32]) -> Numbers:
    _, back, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Numbers = (last - (counts - 1) / 2)[back.reshape(-1)].astype(np.float64)
    return ranks
