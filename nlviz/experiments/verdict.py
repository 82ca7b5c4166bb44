"""What effects and masking come to, in one sentence with its numbers; none of it needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nlviz.experiments.ablation import Effect
    from nlviz.experiments.masking import Faithfulness

CHANGE = 0.01
"""Of a score, from 0 to 1: where nothing changes it by as much, no effect is claimed."""

UNSURE = 0.1
"""A first class with a lower score is nothing that the network is sure of."""

SMALL = 0.03
"""‖z − x‖ / ‖x‖ below which a block adds little to its input."""


def effects_in_words(found: Sequence[Effect]) -> str:
    """The largest effect of leaving out a block, or why there is none to speak of.

    An effect is a change of the first class's score by at least ``CHANGE``. Without one, the
    sentence says what the numbers give as the reason: a network that is not sure of anything, with
    its best class below ``UNSURE``; blocks that add little, all below ``SMALL``; or neither.

    Args:
        found: what ``effects`` gave.
    """
    if not found:
        return "There is no block to leave out."
    if not found[0].before:
        return "The network names no classes, so only the size of what each block adds is known."
    first, most = found[0].before[0], max(found, key=lambda each: abs(each.fall))
    label, score = first.label.split(",")[0], f"{first.score:.1%}"
    if abs(most.fall) >= CHANGE:
        way = "falls" if most.fall > 0 else "rises"
        instead = most.after[0].label.split(",")[0]
        then = "" if instead == label else f", and {instead} is first instead"
        return (
            f"Leaving out {most.block} changes most: the score of {label} {way} from {score} to "
            f"{first.score - most.fall:.1%}{then}."
        )
    least = f"Leaving out a block changes the score of {label} by at most {_points(most.fall)}"
    if first.score < UNSURE:
        return (
            f"{least}: the network is not sure of anything here, its best class has {score}, so "
            "there is little that a block could change."
        )
    largest = max(found, key=lambda each: each.size)
    added = f"{largest.size:.1%} of the size of its input ({largest.block})"
    if largest.size < SMALL:
        return f"{least}: what a block adds is at most {added}."
    return (
        f"{least}: a block adds up to {added}, but the network says {label} with {score} all the "
        "same."
    )


def masking_in_words(found: Faithfulness) -> str:
    """How far the score lies lower by affinity than at random, or that it hardly moves.

    Args:
        found: what ``faithfulness`` gave.
    """
    label, score = found.label.split(",")[0], f"{found.before:.1%}"
    curves = np.vstack([found.by_affinity[None], found.by_random])
    most = float(np.abs(curves - found.before).max())
    if most < CHANGE:
        unsure = ", and the network is not sure of it anyway" if found.before < UNSURE else ""
        return (
            f"{'Wherever it is painted over' if found.painted else 'Whichever keys are masked'}, "
            f"the score of {label} ({score}) changes by at most "
            f"{_points(most)}{unsure}: too little to tell the two orders apart."
        )
    way = "lower" if found.gap > 0 else "higher"
    done = "Painted over" if found.painted else "Masked"
    return (
        f"{done} by {'weight' if found.painted else 'affinity'}, the score of {label} ({score}) is "
        f"{_points(found.gap)} {way} than {done.lower()} at random, on average over the shares."
    )


def _points(change: float) -> str:
    return f"{100 * abs(change):.2f} points"
