"""Which cells a question stands for, and what can be reached from them; cells may be absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.display import listed
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point, Region, View
from nlviz.query import Query

Cells = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an affinity, from which the other is asked.

    Args:
        affinity: the affinity.
        reverse: ask from its keys, not from its queries.
    """

    affinity: Affinity
    reverse: bool = False

    @property
    def own(self) -> Grid:
        """The grid of the places that can be asked."""
        return self.affinity.key_grid if self.reverse else self.affinity.query_grid

    @property
    def other(self) -> Grid:
        """The grid that the answer lies on."""
        return self.affinity.query_grid if self.reverse else self.affinity.key_grid

    @property
    def present(self) -> NDArray[np.bool_]:
        """(own cells, then tokens), True where anything can be reached: there is such a place."""
        present = np.full(self.own.size + len(self.affinity.tokens), not self.affinity.reach)
        for links in self.affinity.reach:
            of = links.keys_of if self.reverse else links.queries_of
            present |= of(slice(None))
        return present

    @property
    def cells(self) -> NDArray[np.intp]:
        """The cells of ``own`` that are there, in row-major order."""
        there: NDArray[np.intp] = np.flatnonzero(self.present[: self.own.size])
        return there

    def has(self, view: View, point: Point) -> bool:
        """Whether anything can be asked at a point: the cell that it lies in is there."""
        return bool(self.present[self.own.index(view.cell(point, self.own))])

    @property
    def asked_tokens(self) -> tuple[str, ...]:
        """The tokens that can be asked: something can be reached from them."""
        named = zip(self.affinity.tokens, self.present[self.own.size :], strict=True)
        return tuple(name for name, there in named if there)

    def reached(self, places: Sequence[Cell | str]) -> NDArray[np.bool_]:
        """(other cells, then tokens), True where any of some places can reach."""
        reached = np.full(self.other.size + len(self.affinity.tokens), not self.affinity.reach)
        index = np.array([self._index(place) for place in places], dtype=np.intp)
        for links in self.affinity.reach:
            of = links.queries_of if self.reverse else links.keys_of
            reached |= of(index)
        return reached

    def reached_tokens(self, places: Sequence[Cell | str]) -> tuple[str, ...]:
        """The tokens that any of some places can reach."""
        named = zip(self.affinity.tokens, self.reached(places)[self.other.size :], strict=True)
        return tuple(name for name, there in named if there)

    def places(self, view: View, query: Query) -> Sequence[Cell | str]:
        """The cells, or the token, that a query stands for; QueryError where there is none."""
        point, present = query.point, self.present
        if isinstance(point, str):
            asked: Sequence[Cell | str] = [point]
        elif isinstance(point, Region):
            asked = view.cells(point, self.own)
        else:
            asked = [view.cell(point, self.own)]
        there = asked if present.all() else [p for p in asked if present[self._index(p)]]
        if not there:
            raise QueryError(self._absent(view, query, present[: self.own.size]))
        return there

    def _index(self, place: Cell | str) -> int:
        if isinstance(place, Cell):
            return self.own.index(place)
        # A token's number is the same on both sides, behind the cells of each.
        at = self.affinity.index(place) - self.affinity.query_grid.size
        return self.own.size + at

    def _absent(self, view: View, query: Query, present: Cells) -> str:
        what, told = (
            ("keys", "Nothing looks there")
            if self.reverse
            else ("queries", "Nothing can be reached from there")
        )
        where = _area(view, self.own, present.reshape(self.own.shape))
        if where is None:
            tokens = self.asked_tokens
            ask = f"ask a token: {listed(tokens)}" if tokens else "choose another block"
            return f"{told} in block {query.block!r}: it has no {what} on the picture; {ask}."
        return f"{told} in block {query.block!r}: its {what} lie {where}; choose another place."


def _area(view: View, grid: Grid, present: Cells) -> str | None:
    """The frames and the box of all points that have a cell; None without any."""
    if not present.any():
        return None
    steps, rows, cols = (
        np.flatnonzero(present.any(axis=over)) for over in ((1, 2), (0, 2), (0, 1))
    )
    asked = ((view.step(at, grid), frame) for at, frame in enumerate(view.frames))
    frames = [str(frame) for step, frame in asked if step in steps]
    if not frames:
        return None
    gaps = "" if present[np.ix_(steps, rows, cols)].all() else " with gaps"
    (_, down, right), (y, x) = view.steps(grid), view.centres(grid)
    left, end = _span(x, cols, right, view.source[0])
    top, foot = _span(y, rows, down, view.source[1])
    return (
        f"on frame{'s'[: len(frames) > 1]} {listed(frames)}, within x {left:g} to {end:g} and "
        f"y {top:g} to {foot:g}{gaps}"
    )


def _span(centres: Numbers, there: NDArray[np.intp], step: float, size: int) -> tuple[float, float]:
    """From where to where a point has its nearest centre among those from first to last there.

    Whatever lies beyond the first and the last centre of all is nearest to these.
    """
    first, last = int(there[0]), int(there[-1])
    return (
        max(centres[first] - step / 2, 0.0) if first > 0 else 0.0,
        min(centres[last] + step / 2, size) if last < len(centres) - 1 else float(size),
    )
