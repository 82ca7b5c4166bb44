"""Correspondence: where the heaviest key of a point's row puts the point in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point
from nlviz.groups import reached_from
from nlviz.media.point_tracks import SIDE, PointTracks
from nlviz.tracking.point_scores import after_first, nearer

FOUND = (
    "A point moves as its cell: in each frame it is put at its place in the first frame that shows "
    "it, plus the way from the centre of its cell to the centre of the heaviest key of its row in "
    "the time step of that frame. Nothing is trained, and nothing is carried from frame to frame."
)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Correspondence:
    """The points of some tracks as queries of one affinity; positions are in 256 × 256 pixels.

    Args:
        queries: the cell of each point in the first frame that shows it.
        start: (n, 2), its position there, less the centre of its cell.
        truth: (n, T, 2), where it is in each frame.
        counted: (n, T), True in the frames after the first in which it can be seen.
        steps: (T,), the time step of the keys that stands for each frame.
        centres: (cells, 2), the centres of a time step's keys.
        affinity: whose links they are; the queries' reach is looked up for some at a time.
    """

    queries: list[Cell]
    start: Array
    truth: Array
    counted: NDArray[np.bool_]
    steps: NDArray[np.intp]
    centres: Array
    affinity: Affinity

    @classmethod
    def of(cls, analysis: Analysis, affinity: Affinity, tracks: PointTracks) -> Correspondence:
        """The points that a block can be asked about, and that can be seen again.

        Args:
            analysis: whose view.
            affinity: one of its blocks', or its input's cosine.
            tracks: of the analysis' frames, as ``PointTracks.of`` gives them.

        Raises:
            QueryError: tracks of another length, a point outside the frame, or none that counts.
        """
        view, grid, keys = analysis.view, affinity.query_grid, affinity.key_grid
        if tracks.tracks.shape[1] != len(view.frames):
            raise QueryError(
                f"The tracks of '{tracks.name}' have {tracks.tracks.shape[1]} frames, the analysis "
                f"{len(view.frames)}; give as many."
            )
        seen = tracks.visible & after_first(tracks.visible)
        first = tracks.visible.argmax(axis=1)
        asked = [n for n in range(len(seen)) if seen[n].any()]
        places = tracks.tracks[asked, first[asked]]
        cells = [
            _cell(analysis, grid, view.frames[first[n]], place, f"{n} of '{tracks.name}'")
            for n, place in zip(asked, places, strict=True)
        ]
        there = affinity.has_query
        kept = [i for i, cell in enumerate(cells) if there[cell.t, cell.row, cell.col]]
        if not kept:
            raise QueryError(
                f"No point of '{tracks.name}' is seen again after its first frame where the block "
                "has queries; give longer tracks."
            )
        points, queries = [asked[i] for i in kept], [cells[i] for i in kept]
        own = _centres(analysis, grid).reshape(grid.rows, grid.cols, 2)
        centres = own[[cell.row for cell in queries], [cell.col for cell in queries]]
        return cls(
            queries,
            places[kept] - centres,
            tracks.tracks[points],
            seen[points],
            np.array([view.step(position, keys) for position in range(len(view.frames))]),
            _centres(analysis, keys),
            affinity,
        )

    def found(self, rows: NDArray[np.float32], some: slice = slice(None)) -> Array:
        """(n, T, 2): where the rows of ``some`` points, (n, T', rows, cols), put them.

        NaN where no key of a time step can be reached.
        """
        rows = rows.reshape(len(rows), rows.shape[1], -1)
        reached = self._reached(some)
        if reached is not None:
            rows = np.where(reached, rows, -np.float32(np.inf))
        placed: Array = self.centres[rows.argmax(axis=2)] + self.start[some, None]
        if reached is not None:
            placed[~reached.any(axis=2)] = np.nan
        return placed[:, self.steps]

    def _reached(self, some: slice) -> NDArray[np.bool_] | None:
        """(n, T', cells), True where a link of ``some`` points can exist; None for everywhere."""
        affinity, keys = self.affinity, self.affinity.key_grid
        index = np.array([affinity.index(cell) for cell in self.queries[some]], dtype=np.intp)
        reached = reached_from(affinity.reach, index)
        return None if reached is None else reached[:, : keys.size].reshape(len(index), keys.t, -1)

    def near(self, rows: NDArray[np.float32], some: slice = slice(None)) -> Array:
        """(n, 5): in how many of the frames that count each threshold holds, for ``some``."""
        near = nearer(self.found(rows, some), self.truth[some]) & self.counted[some, :, None]
        return np.asarray(near.sum(axis=1), np.float64)

    @property
    def positions(self) -> Array:
        """(n,): how many frames of each point count."""
        return np.asarray(self.counted.sum(axis=1), np.float64)

    def limits(self) -> tuple[Array, Array]:
        """(n, 5) twice: what ``near`` is by chance, and the most that it can be.

        By chance each key is as likely, on average; at most the best key is found: a coarse grid
        cannot do better.
        """
        chance, most = [], []
        for each in self._of_keys():
            chance.append(each.mean(axis=1).sum(axis=0))
            most.append(each.any(axis=1).sum(axis=0))
        return np.array(chance, np.float64), np.array(most, np.float64)

    def _of_keys(self) -> Iterator[NDArray[np.bool_]]:
        """Of each point: (frames that count, cells, 5), whether a key puts it near enough."""
        for start, truth, counted in zip(self.start, self.truth, self.counted, strict=True):
            yield nearer(self.centres + start, truth[counted][:, None])


def _cell(analysis: Analysis, grid: Grid, frame: int, place: Array, called: str) -> Cell:
    width, height = analysis.view.source
    x, y = place * (width / SIDE, height / SIDE)
    try:
        return analysis.view.cell(Point(frame, float(x), float(y)), grid)
    except QueryError as why:
        raise QueryError(f"Point {called}: {why}") from None


def _centres(analysis: Analysis, grid: Grid) -> Array:
    """(rows · cols, 2): x and y of the cells' centres in a picture of 256 × 256."""
    width, height = analysis.view.source
    y, x = analysis.view.centres(grid)
    down, right = np.meshgrid(y * SIDE / height, x * SIDE / width, indexing="ij")
    return np.stack([right, down], axis=-1).reshape(-1, 2)
