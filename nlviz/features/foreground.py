"""Foreground: the positions on one side of a threshold of the first component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.query import SIDES, WhichSide

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Foreground:
    """Which positions are looked at alone: those above or below a threshold.

    The components are then those of these positions, and the others stay without colour. Which
    side an object is on is for the eye to say: nothing in a component knows.

    Args:
        side: above or below.
        threshold: of the first component over all positions, in its standard deviations from the
            mean.

    Raises:
        QueryError: another side, or a threshold that is no number.
    """

    side: WhichSide = "above"
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise QueryError(f"The foreground is 'above' or 'below'; got {self.side!r}.")
        if not np.isfinite(self.threshold):
            raise QueryError(f"The threshold must be a number; got {self.threshold}.")

    def cut(self, mean: Vector, direction: Vector, variance: float) -> Cut:
        """What divides positions by it: their mean, their first direction, and how they vary."""
        at = self.threshold * float(np.sqrt(variance))
        return Cut(mean, direction, at, self.side)

    def check(self, kept: int, count: int) -> None:
        """QueryError where it leaves fewer than two of so many positions."""
        if kept < 2:
            raise QueryError(
                f"Of {count} positions {kept} lie {self.side} the threshold {self.threshold:g}; "
                "choose another threshold, from −2 to 2, or the other side."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A foreground that has been found: what any clip's positions are divided by.

    Args:
        mean: (C,) of all positions.
        direction: (C,) of the first component over all positions.
        at: the threshold, of what lies along the direction.
        side: above or below.
    """

    mean: Vector
    direction: Vector
    at: float
    side: WhichSide

    def kept(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(n,), True where one of n vectors (C, n) is in the foreground."""
        along = self.direction @ vectors - self.direction @ self.mean
        there: NDArray[np.bool_] = along > self.at if self.side == "above" else along < self.at
        return there
