"""Scan: the scores of all blocks and heads by one measure, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nlviz.query import layer_of
from nlviz.scans.measures import called

Of = Literal["weights", "cosine"]

NAMES = {
    "same_object": "same-object precision",
    "delta": "δ_avg of the points",
    "JF": "J&F of the object",
}


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What one block, one of its heads, or the cosine of its input gave.

    Args:
        block: its name.
        head: from 0; None for the mean of all heads, and for the cosine.
        of: ``"weights"`` of the network, or ``"cosine"`` of the block's input or a layer's
            features, which no network weighs.
        value: 0 to 1.
        low, high: the ends of its interval, see ``INTERVAL``.
        count: how many queries, points or frames it goes over.
        parts: what it is the mean of, by name: δ at each threshold, or J and F.
        chance: what chance gives on the same; None where that is not known.
        most: what the block's grid allows at most; None where that is not known.
        resamples: (RESAMPLES,), the score of each resample.
    """

    block: str
    head: int | None
    of: Of
    value: float
    low: float
    high: float
    count: int
    parts: Mapping[str, float]
    chance: float | None
    most: float | None
    resamples: NDArray[np.float64]

    @property
    def name(self) -> str:
        """The block's, the head's or the cosine's name in words."""
        layer = layer_of(self.block)
        if layer is not None:
            return f"the similarity of layer {layer}"
        if self.of == "cosine":
            return f"the cosine of block {self.block}'s input"
        return called(self.block, self.head)


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """The scores of all blocks, heads and cosines by one measure.

    Args:
        measure: one of ``MEASURES``.
        over: what the scores go over: queries, points or frames.
        scores: by block in the network's order; of each the mean, its heads, the cosine.
        refused: block, or "BLOCK (cosine)" → why it could not be measured.
        carried_by: the block that carried the clicked object, which was then the truth; None where
            masks or tracks were.
    """

    measure: str
    over: str
    scores: tuple[Score, ...]
    refused: Mapping[str, str]
    carried_by: str | None = None

    def with_scores(self, more: Sequence[Score]) -> Scan:
        """With more scores, which come behind those of their block, or last."""
        order = tuple(dict.fromkeys((*self.blocks, *(each.block for each in more))))
        scores = sorted((*self.scores, *more), key=lambda each: order.index(each.block))
        return replace(self, scores=tuple(scores))

    def with_refused(self, name: str, why: str) -> Scan:
        """With one more that could not be measured."""
        return replace(self, refused={**self.refused, name: why})

    @property
    def blocks(self) -> tuple[str, ...]:
        """Those that were measured, in order."""
        return tuple(dict.fromkeys(each.block for each in self.scores))

    @property
    def heads(self) -> int:
        """How many heads a block has at most; 0 where none has several."""
        return max((each.head + 1 for each in self.scores if each.head is not None), default=0)

    def at(self, block: str, head: int | None = None, of: Of = "weights") -> Score | None:
        """The score of one cell of the table; None where there is none."""
        wanted = (block, head, of)
        return next((e for e in self.scores if (e.block, e.head, e.of) == wanted), None)

    @property
    def best(self) -> Score | None:
        """The highest score of the network's own weights; None where nothing was measured."""
        return max(self._weights, key=lambda each: each.value, default=None)

    @property
    def best_cosine(self) -> Score | None:
        """The highest score of a block's input or a layer's similarity; None without any."""
        cosines = [each for each in self.scores if each.of == "cosine"]
        return max(cosines, key=lambda each: each.value, default=None)

    @property
    def certainty(self) -> float | None:
        """The share of the resamples in which the best alone is the highest; None without one."""
        best = self.best
        if best is None:
            return None
        others = [each.resamples for each in self._weights if each is not best]
        return float(np.mean(np.all([best.resamples > each for each in others], axis=0)))

    @property
    def _weights(self) -> list[Score]:
        return [each for each in self.scores if each.of == "weights"]

    @property
    def words(self) -> str:
        """The best of all, its interval, and what to hold it against, in a few sentences."""
        best, cosine = self.best, self.best_cosine
        of = best or cosine
        if of is None:
            return "No block could be measured."
        said = []
        if best is not None:
            alone = f"alone the highest of {len(self._weights)} in {self.certainty:.0%} of the"
            said.append(
                f"Best by {NAMES[self.measure]}: {best.name}, {_number(best)} over "
                + (
                    f"{best.count} {self.over}; {alone} resamples."
                    if best.count > 1
                    else f"1 {self.over.removesuffix('s')}, which tells no interval."
                )
            )
        if cosine is not None:
            layers = any(layer_of(block) is not None for block in self.blocks)
            which = "cosines" if layers else "inputs"
            said.append(f"Best of the {which}: {cosine.name}, {_number(cosine)}.")
        limits = (("Chance", of.chance), ("The grid allows", of.most))
        said += [f"{name}: {value:.3f}." for name, value in limits if value is not None]
        if self.carried_by is not None:
            said.append(
                f"The object is what block {self.carried_by} carried from the click, not a truth: "
                "that block is measured against itself."
            )
        return " ".join(said)

    @property
    def records(self) -> list[dict[str, Any]]:
        """A line for each score, as plain numbers, then one for each that was refused."""
        best = self.best
        lines: list[dict[str, Any]] = [
            {
                "measure": self.measure,
                "block": each.block,
                "head": each.head,
                "of": each.of,
                **{name: getattr(each, name) for name in ("value", "low", "high", "count")},
                "over": self.over,
                "chance": each.chance,
                "most": each.most,
                **each.parts,
                "best": int(each is best),
            }
            for each in self.scores
        ]
        for name, why in self.refused.items():
            lines.append({"measure": self.measure, "block": name, "refused": why})
        return lines


def _number(score: Score) -> str:
    interval = f" ({score.low:.3f} to {score.high:.3f})" if score.count > 1 else ""
    return f"{score.value:.3f}{interval}"
