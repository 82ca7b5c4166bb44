"""One step of label propagation: the labels of a time step from those of its context."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid
from nlviz.groups import reached_from
from nlviz.progress import Progress
from nlviz.statistics.distances import CellCentres
from nlviz.tracking.cells import Pool, Soft
from nlviz.tracking.protocol import Protocol

_CHUNK_BYTES = 32 << 20  # of one array of rows


@dataclass(frozen=True, slots=True, eq=False)
class FirstFrame:
    """The keys of a frame with a mask that lies in another window, and their labels.

    Args:
        phi: (heads · C', keys of a step), φ of the same block.
        labels: (keys of a step, K), how much of each is on each object.
        frame: its source frame.
    """

    phi: Soft
    labels: Soft
    frame: int


class Carrier:
    """Carries labels with one block under a protocol.

    Labels of a step are (rows, cols, K) on the query grid and (keys of a step, K) on the key grid.

    Args:
        analysis: the analysis.
        block: whose affinity.
        protocol: the numbers.
        first: a frame with a mask that lies in another window; it is in every context then.

    Raises:
        QueryError: an unknown block, one of one time step, one that never looks at other frames, or
            has queries or keys on a part of its cells only; a first frame for links in groups.
    """

    def __init__(
        self,
        analysis: Analysis,
        block: str,
        protocol: Protocol,
        first: FirstFrame | None = None,
    ) -> None:
        self.affinity, self.protocol, self.first = analysis.affinity(block), protocol, first
        self.view = analysis.view
        _check(self.affinity, block)
        if first is not None and self.affinity.reach:
            raise QueryError(
                f"Block {block!r} keeps its links within groups, so the first frame cannot stay in "
                "the context of later windows; leave out keeping it, or choose another block."
            )
        queries, keys = self.affinity.query_grid, self.affinity.key_grid
        self.pool = Pool(analysis.view, self.affinity)
        self._here = _spots(analysis, queries, queries, protocol)
        self._there = _spots(analysis, keys, queries, protocol)

    def steps(self, start: int) -> list[tuple[int, tuple[int, ...]]]:
        """(time step, its context): forwards from the start, then backwards."""
        count, context = self.affinity.query_grid.t, self.protocol.context
        return list(order(start, count, context))

    def steps_after(self, known: Collection[int]) -> list[tuple[int, tuple[int, ...]]]:
        """The same from known steps at one end, where the frame with the mask lies elsewhere."""
        count, context = self.affinity.query_grid.t, self.protocol.context
        way = range(count) if min(known) == 0 else range(count - 1, -1, -1)
        return [
            (t, tuple(s for s in way[max(number - context, 0) : number] if s != self._twice))
            for number, t in enumerate(way)
            if t not in known
        ]

    def prepare(self, report: Progress) -> None:
        """Work out what the steps need of all rows, so that no step takes long without a word."""
        softmax, tau = self.affinity.rows_sum_to_one, self.protocol.temperature
        if not self.affinity.reach or (tau is not None and not softmax):
            self.affinity.work_out_constants(report)

    @property
    def _twice(self) -> int | None:
        """The time step of the first frame where this window has it, too."""
        if self.first is None or self.first.frame not in self.view.frames:
            return None
        return self.view.step(self.view.frames.index(self.first.frame), self.affinity.query_grid)

    def keys_of(self, t: int, labels: Soft, frame: int) -> FirstFrame:
        """The keys of one time step and their labels, for other windows."""
        grid = self.affinity.key_grid
        size = grid.rows * grid.cols
        phi = self.affinity.phi[:, t * size : (t + 1) * size]
        return FirstFrame(phi, self.pool(labels), frame)

    def step(self, t: int, context: Sequence[int], keys: Soft, start: int | None = None) -> Soft:
        """The labels of one time step.

        Args:
            t: which.
            context: the time steps whose labels are known.
            keys: (steps of the context, keys of a step, K), their labels.
            start: of these, the one with the mask.

        Returns:
            (rows, cols, K).
        """
        affinity, protocol, queries = self.affinity, self.protocol, self.affinity.query_grid
        columns = list(context)
        known = keys.reshape(-1, keys.shape[-1])
        if self.first is not None:
            known = np.concatenate([known, self.first.labels])
        count = min(protocol.heaviest, len(known))
        cells = [Cell(t, *divmod(i, queries.cols)) for i in range(queries.rows * queries.cols)]
        out = np.zeros((len(cells), keys.shape[-1]), np.float32)
        phi = self._few(columns)
        many = len(known) if phi is not None else affinity.key_grid.size
        most = max(many, count * keys.shape[-1])  # of a cell: its row, or its heaviest's labels
        for some in _chunked(len(cells), max(1, _CHUNK_BYTES // (4 * most))):
            weights = self._weights(cells[some], columns, phi)
            if protocol.radius is not None:
                self._keep_near(weights, some, [step == start for step in columns])
            best = np.argpartition(-weights, count - 1, axis=1)[:, :count]
            heavy = np.take_along_axis(weights, best, axis=1)
            if protocol.temperature is not None:
                heavy = _softmax(heavy)
            sums = heavy.sum(axis=1, keepdims=True)
            out[some] = np.einsum("nk,nkc->nc", heavy / np.where(sums > 0, sums, 1), known[best])
        return out.reshape(queries.rows, queries.cols, -1)

    def _few(self, columns: Sequence[int]) -> Soft | None:
        """φ of the context's own steps where these are few of all; else None."""
        affinity, grid = self.affinity, self.affinity.key_grid
        if affinity.reach or len(columns) > grid.t / 2:
            return None
        own = affinity.phi[:, : grid.size].reshape(len(affinity.phi), grid.t, -1)
        return own[:, columns].reshape(len(affinity.phi), -1)

    def _weights(self, cells: Sequence[Cell], columns: Sequence[int], phi: Soft | None) -> Soft:
        """(n, keys of the context): f/C, or its logits over the temperature."""
        affinity, tau = self.affinity, self.protocol.temperature
        if phi is None:
            weights: Soft = affinity.rows(cells)[:, columns].reshape(len(cells), -1)
        else:
            weights = affinity.weights_to(cells, phi)
        if self.first is not None:
            other = affinity.weights_to(cells, self.first.phi)
            weights = np.concatenate([weights, other], axis=1)
        if tau is None:
            return np.asarray(np.maximum(weights, 0))
        if affinity.rows_sum_to_one:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(weights) / np.float32(tau))
        index = np.asarray([affinity.index(cell) for cell in cells], dtype=np.intp)
        logits = weights * (affinity.constants[0, index, None] / np.float32(tau))
        reached = reached_from(affinity.reach, index)
        if reached is not None:
            there = reached[:, : affinity.key_grid.size].reshape(
                len(index), affinity.key_grid.t, -1
            )
            logits[~there[:, columns].reshape(len(index), -1)] = -np.inf
        return np.asarray(logits)

    def _keep_near(self, weights: Soft, some: slice, is_start: Sequence[bool]) -> None:
        """Leave out the keys beyond the radius, in place."""
        off = np.abs(self._here[some, None] - self._there[None])
        far = off.max(axis=-1) if self.protocol.square else np.hypot(off[..., 0], off[..., 1])
        gone = far > (self.protocol.radius or math.inf)
        nothing = 0 if self.protocol.temperature is None else -np.inf
        free = [*is_start, *([True] if self.first is not None else [])]
        size = gone.shape[1]
        for number, of_start in enumerate(free):
            if not (of_start and self.protocol.first_anywhere):
                weights[:, number * size : (number + 1) * size][gone] = nothing


def order(start: int, steps: int, context: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(time step, its context): forwards from the start, then backwards."""
    for way in (range(start, steps), range(start, -1, -1)):
        for number, t in enumerate(way[1:], start=1):
            yield t, tuple(dict.fromkeys((start, *way[max(number - context, 0) : number])))


def _chunked(count: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, count, step))


def _spots(
    analysis: Analysis, grid: Grid, queries: Grid, protocol: Protocol
) -> NDArray[np.float64]:
    """(cells of a step, 2): x and y of a grid's centres in the unit of the radius."""
    if not protocol.in_cells:
        return CellCentres.of(analysis, grid).spots
    _, down, right = analysis.view.steps(queries)
    y, x = analysis.view.centres(grid)
    # Rounded, so that a cell that lies at the radius is within it whatever the pixels.
    return np.round(np.stack(np.meshgrid(x / right, y / down), axis=-1).reshape(-1, 2), 6)


def _softmax(logits: Soft) -> Soft:
    """Over the last axis; all 0 where every logit is −∞."""
    most = logits.max(axis=1, keepdims=True)
    return np.asarray(np.exp(logits - np.where(np.isfinite(most), most, 0)))


def _check(affinity: Affinity, block: str) -> None:
    queries, keys = affinity.query_grid, affinity.key_grid
    if queries.t == 1 or queries.t != keys.t:
        raise QueryError(
            f"Block {block!r} has time steps of queries and of keys: {queries.t} and {keys.t}; "
            "tracking needs at least 2 and as many of both: take more frames."
        )
    for side, what in ((Side(affinity), "queries"), (Side(affinity, reverse=True), "keys")):
        if len(side.cells) < side.own.size:
            raise QueryError(
                f"Block {block!r} has {what} at {len(side.cells)} of its {side.own.size} cells, "
                "and a label is carried from cell to cell by a query and a key at each; choose "
                "another."
            )
    cells = [Cell(t, 0, 0) for t in range(queries.t)]
    if all(not np.delete(affinity.reached(cell), cell.t, axis=0).any() for cell in cells):
        raise QueryError(
            f"Block {block!r} looks within one frame only and can carry nothing; choose another."
        )
