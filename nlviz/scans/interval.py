"""Intervals: how much a mean over queries could have been another with other queries."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES, SEED = 1000, 0
INTERVAL = (
    f"95 % bootstrap interval: the score of {RESAMPLES:,} resamples, drawn with replacement by a "
    "fixed seed, without the lowest and the highest 2.5 %"
)


def resampled(sums: Array, weights: Array) -> Array:
    """(RESAMPLES,): Σ sums / Σ weights over resamples of n queries.

    Those of as many queries are drawn alike, so that scores of the same queries are compared on
    the same resamples.

    Args:
        sums, weights: (n,), weights above 0.
    """
    drawn = _drawn(len(sums))
    found: Array = (drawn @ sums) / (drawn @ weights)
    return found


@lru_cache(maxsize=2)
def _drawn(n: int) -> Array:
    """(RESAMPLES, n): how often each of n queries is drawn; read-only."""
    random = np.random.default_rng(SEED)
    drawn = random.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def interval(scores: Array) -> tuple[float, float]:
    """The lower and the upper end of what resamples gave."""
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)
