"""Which cells a question stands for, and what can be reached from them; cells may be absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point, Region, View
from nlviz.query import Query

Cells = NDArray[np.bool_]


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
        for own, other in self._groups:
            present |= np.isin(own, other)
        return present

    @property
    def cells(self) -> NDArray[np.intp]:
        """The cells of ``own`` that are there, in row-major order."""
        there: NDArray[np.intp] = np.flatnonzero(self.present[: self.own.size])
        return there

    def has(self, view: View, point: Point) -> bool:
        """Whether anything can be asked at a point: the cell that it lies in is there."""
        return bool(self.present[self.own.index(view.cell(point, self.own))])

    def reached(self, places: Sequence[Cell | str]) -> NDArray[np.bool_]:
        """(other cells, then tokens), True where any of some places can reach."""
        reached = np.full(self.other.size + len(self.affinity.tokens), not self.affinity.reach)
        index = [self._index(place) for place in places]
        for own, other in self._groups:
            reached |= np.isin(other, np.unique(own[index]))
        return reached

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

    @property
    def _groups(self) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        pairs = [(groups.query, groups.key) for groups in self.affinity.reach]
        return [(key, query) for query, key in pairs] if self.reverse else pairs

    def _absent(self, view: View, query: Query, present: Cells) -> str:
        what, told = (
            ("keys", "Nothing looks there")
            if self.reverse
            else ("queries", "Nothing can be reached from there")
        )
        where = _area(view, self.own, present.reshape(self.own.shape))
        if where is None:
            return f"{told} in block {query.block!r}: it has no {what} on the picture; ask a token."
        return f"{told} in block {query.block!r}: its {what} lie {where}; choose another place."


def _area(view: View, grid: Grid, present: Cells) -> str | None:
    """The frames and the box that hold all cells that are there; None without any."""
    if not present.any():
        return None
    steps, rows, cols = (
        np.flatnonzero(present.any(axis=over)) for over in ((1, 2), (0, 2), (0, 1))
    )
    first = view.footprint(Cell(0, int(rows[0]), int(cols[0])), grid)
    last = view.footprint(Cell(0, int(rows[-1]), int(cols[-1])), grid)
    frames = sorted({view.frames[at] for t in steps for at in view.positions(int(t), grid)})
    gaps = "" if present[np.ix_(steps, rows, cols)].all() else " with gaps"
    on = f"frame {frames[0]}" if len(frames) == 1 else "frames " + ", ".join(map(str, frames))
    return (
        f"on {on}, within x {first.x0:.0f} to {last.x1:.0f} and y {first.y0:.0f} to "
        f"{last.y1:.0f}{gaps}"
    )
