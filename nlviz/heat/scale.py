"""The scale of a heat map: which weight gets which colour, against what, along which curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.rows import Row, affinity_of
from nlviz.errors import QueryError
from nlviz.progress import Progress, silent
from nlviz.query import Query

Against = Literal["row", "block", "absolute"]
Curve = Literal["linear", "root", "log"]
AGAINST: tuple[Against, ...] = get_args(Against)
CURVES: tuple[Curve, ...] = get_args(Curve)
ALL_WEIGHTS = "going over all weights of the block"

_KNOWN: WeakKeyDictionary[Affinity, tuple[float, float]] = WeakKeyDictionary()
_DECADES: dict[Against, int] = {"row": 4, "block": 4, "absolute": 6}


@dataclass(frozen=True, slots=True)
class HeatScale:
    """From weights to places on a colour map.

    Args:
        most: the weight that gets the last colour; in a signed map −most gets the first.
        signed: whether the map diverges around zero.
        curve: ``"linear"``, ``"root"`` (the square root) or ``"log"``, of |weight| / most.
        decades: how far down a logarithm reaches: to most / 10^decades.
        against: what ``most`` is: this row's greatest |weight|, the whole block's, or 1.
    """

    most: float
    signed: bool
    curve: Curve
    decades: int
    against: Against

    def places(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Where weights lie on the map: 0 to 1; −1 to 1 with zero at 0 where it is signed."""
        size = np.abs(np.asarray(weights, dtype=np.float64)) / (self.most or 1.0)
        if self.curve == "root":
            size = np.sqrt(size)
        elif self.curve == "log":
            size = 1 + np.log10(np.maximum(size, 10.0**-self.decades)) / self.decades
        size = np.clip(size, 0, 1)
        if self.signed:
            return np.asarray(np.sign(weights) * size)
        return np.where(np.asarray(weights) > 0, size, 0.0)

    @property
    def ticks(self) -> tuple[float, float, float]:
        """The weights at the left end, the middle and the right end of a colour bar."""
        if self.signed:
            return -self.most, 0.0, self.most
        if self.curve == "log":
            down = self.decades
            return self.most / 10**down, self.most / 10 ** (down / 2), self.most
        return 0.0, self.most / (4 if self.curve == "root" else 2), self.most


def heat_scale(
    analysis: Analysis,
    query: Query,
    row: Row,
    *,
    against: Against = "row",
    curve: Curve = "linear",
) -> HeatScale:
    """The scale for a query's row or column, as ``row_of`` gives it.

    ``"block"`` looks at every row of the block once. Contributions are scaled by their row only.

    Raises:
        QueryError: an unknown ``against`` or ``curve``, or contributions against the block.
    """
    if against not in AGAINST or curve not in CURVES:
        raise QueryError(
            f"A heat map is scaled against {', '.join(AGAINST)}, along {', '.join(CURVES)}; got "
            f"{against!r} and {curve!r}."
        )
    affinity = affinity_of(analysis, query)
    if against != "row" and row.contributions is not None:
        raise QueryError("Contributions are scaled by their own row; choose 'row'.")
    if against == "row":
        most = float(np.abs(row.ranked).max())
    else:
        most = max(map(abs, extremes(affinity))) if against == "block" else 1.0
    return HeatScale(most, affinity.signed, curve, _DECADES[against], against)


def extremes(affinity: Affinity, progress: Progress = silent) -> tuple[float, float]:
    """The least and the greatest weight of all rows on the grid, a chunk of rows at a time.

    ``progress`` is told before each chunk, and what it raises ends it. They are known from then on,
    for as long as the affinity is held.
    """
    known = _KNOWN.get(affinity)
    if known is not None:
        return known
    least, most = np.inf, -np.inf
    count = affinity.query_grid.size
    progress(0.0, ALL_WEIGHTS)
    for some, rows in affinity.chunks():
        progress(some.stop / count, ALL_WEIGHTS)
        least, most = min(least, float(rows.min())), max(most, float(rows.max()))
    _KNOWN[affinity] = least, most
    return least, most
