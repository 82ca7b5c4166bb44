"""What is known about a checkpoint that others have published, before it is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nlviz.models.pairwise import WORDS, Function
from nlviz.models.resnet_plan import Plan
from nlviz.models.taps import Tap

if TYPE_CHECKING:
    from nlviz.models.network import Channels


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint, before it is downloaded; all were trained on Kinetics-400.

    Args:
        name: ours, for ``fetch`` and ``load``.
        family: what kind of network it is.
        dialect: the project whose names and conventions it has; see docs/dialects.md.
        plan: the network.
        frames: how many it was trained on.
        every: it took every n-th frame of the source; None if it spread them evenly.
        mean, deviation: of its input, red, green, blue from 0 to 255.
        url: where its project keeps it.
        digest: the published part of its hash, as "sha256:" or "sha1:" and its first digits.
        licence: its licence.
        top1: accuracy in per cent that its project reports.
        top1_without: the same of the same network without non-local blocks, where reported.
        default_size: of the longer side; a film's shorter side then is near the 224 of training.
    """

    name: str
    family: str
    dialect: str
    plan: Plan
    frames: int
    every: int | None
    mean: Channels
    deviation: Channels
    url: str
    digest: str
    licence: str
    top1: float
    top1_without: float | None = None
    default_size: int = 416

    @property
    def summary(self) -> str:
        """One line on what it is."""
        blocks = sum(map(len, self.plan.places))
        rate = "evenly spread" if self.every is None else f"every {_ordinal(self.every)}"
        return (
            f"{self.family} with {blocks} non-local blocks ({WORDS[self.function]}), "
            f"{self.frames} frames, {rate}; {self.dialect}, Kinetics-400 top-1 {self.top1:.1f} %"
        )

    @property
    def short(self) -> str:
        """What its project reports without the blocks, as a sentence; else empty."""
        if self.top1_without is None:
            return ""
        return f"Its project reports {self.top1_without:.1f} % for the same network without blocks."

    @property
    def function(self) -> Function:
        """The blocks' pairwise function."""
        return self.plan.function

    @property
    def taps(self) -> Mapping[str, Tap]:
        """Block name to its tap, from input to output: the centres of what the cells read."""
        return self.plan.taps

    @property
    def conventions(self) -> str:
        """What its state dict does not say: scale, pooling, groups."""
        plan = self.plan
        softmax = self.function == "embedded_gaussian"
        parts = [
            "logits divided by √C'" if plan.scaled and softmax else "logits not scaled",
            "keys not pooled"
            if not plan.sub_sample
            else f"keys pooled {'before' if plan.pool_first else 'after'} φ and g",
        ]
        if plan.group is not None:
            parts.append(f"res3 in groups of {plan.group} time steps")
        return ", ".join(parts)


def _ordinal(number: int) -> str:
    return {1: "frame", 2: "2nd"}.get(number, f"{number}th")
