"""Label propagation: a mask of one frame carried to all others by a block's own affinity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point, Region, View
from nlviz.progress import Progress, silent
from nlviz.statistics.distances import CellCentres, distances

Soft = NDArray[np.float32]

PROTOCOL = (
    "Label propagation, as is usual on DAVIS. The mask of one frame is averaged over each cell. "
    "Then frame by frame, away from that one: each cell takes the mean of the labels of its "
    "heaviest keys, weighed by its own row of f/C. Keys count if they lie in the context (the "
    "frame with the mask and the frames last labelled) and within a radius in space; negative "
    "weights count as 0. Nothing is trained, and no temperature is added. Labels are brought to "
    "the source's size bilinearly; a pixel is on the object above half of its frame's highest "
    "label, and nothing is where no label of the frame reaches 0.2."
)

_SHARE, _LEAST = 0.5, 0.2  # of a frame's highest label, and what that must reach

_CHUNK_BYTES = 32 << 20  # of one array of rows


@dataclass(frozen=True, slots=True)
class Protocol:
    """The numbers of ``PROTOCOL``.

    Args:
        context: how many of the last labelled time steps count, beside the one with the mask.
        radius: how far a key may lie from the cell, in diagonals of the frame; None for anywhere.
        heaviest: how many keys count for each cell.

    Raises:
        QueryError: a number below 1, or a radius that is not above 0.
    """

    context: int = 7
    radius: float | None = 0.2
    heaviest: int = 10

    def __post_init__(self) -> None:
        if self.context < 1 or self.heaviest < 1 or (self.radius is not None and self.radius <= 0):
            raise QueryError(
                f"Tracking takes at least 1 frame of context and 1 key, and a radius above 0; got "
                f"{self.context}, {self.heaviest} and {self.radius}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """An object carried through the clip.

    Args:
        block: whose affinity carried it.
        frame: the source frame that the mask was given for.
        masks: (T, H, W) float32, how much of each pixel of each sampled frame is on the object, 0
            to 1, at the source's size; read-only. The given frame's mask too is what its cells
            make of it.
        labels: (T', rows, cols) float32, the same on the block's query grid.
        protocol: how it was carried.
    """

    block: str
    frame: int
    masks: Soft
    labels: Soft
    protocol: Protocol

    @property
    def objects(self) -> NDArray[np.bool_]:
        """(T, H, W): the pixels on the object.

        Labels thin out as they are carried, so each frame's are held against its highest, as in
        the usual evaluation on DAVIS.
        """
        highest = self.masks.max(axis=(1, 2), keepdims=True)
        on: NDArray[np.bool_] = (self.masks > _SHARE * highest) & (highest >= _LEAST)
        return on


def mask_of(analysis: Analysis, block: str, place: Point | Region) -> NDArray[np.bool_]:
    """(H, W): the inside of a region, or the footprint of a point's cell, as a mask to start from.

    QueryError for a place outside the clip or on a frame that was not sampled.
    """
    analysis.view.check(place)
    if isinstance(place, Point):
        grid = analysis.affinity(block).query_grid
        cell = analysis.view.footprint(analysis.view.cell(place, grid), grid)
        place = Region.box(place.frame, cell.x0, cell.y0, cell.x1, cell.y1)
    # Pixel i covers [i, i + 1): whether its centre lies inside decides, as in Region.holds.
    width, height = analysis.clip.width, analysis.clip.height
    x, y = (np.arange(size, dtype=np.float64) + 0.5 for size in (width, height))
    return place.inside(x, y)


def track(
    analysis: Analysis,
    block: str,
    mask: NDArray[np.bool_],
    *,
    frame: int | None = None,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> Track:
    """Carry a mask of one frame to all sampled frames by a block's affinity; see ``PROTOCOL``.

    Args:
        analysis: the analysis.
        block: whose affinity.
        mask: (H, W) of the clip's size, True on the object.
        frame: the source frame it belongs to; the first sampled one if None.
        protocol: context, radius and number of keys; the usual ones if None.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: an unknown block, a clip of one time step, a mask of another size or without an
            object, a frame that was not sampled, or a block that never looks at other frames or
            has queries or keys on a part of its cells only.
    """
    affinity, view, clip = analysis.affinity(block), analysis.view, analysis.clip
    protocol = protocol or Protocol()
    frame = clip.indices[0] if frame is None else frame
    start = view.cell(Point(frame, 0, 0), affinity.query_grid).t
    _check(analysis, block, mask)
    labels = np.zeros(affinity.query_grid.shape, np.float32)
    labels[start] = _on_cells(mask, view, affinity.query_grid)
    if not labels.any():
        raise QueryError("The mask has nothing on the object: all of it is background.")
    pool = _Pool(view, affinity)
    keys = np.zeros(affinity.key_grid.shape, np.float32)
    keys[start] = pool(labels[start])
    report = progress or silent
    order = list(_order(start, affinity.query_grid.t, protocol.context))
    for number, (t, context) in enumerate(order):
        report(number / len(order), f"carrying the mask with {block}")
        labels[t] = _carried(analysis, affinity, t, context, keys, protocol)
        keys[t] = pool(labels[t])
    report(1.0, "done")
    steps = [view.cell(Point(each, 0, 0), affinity.query_grid).t for each in clip.indices]
    enlarged = {t: _enlarged(labels[t], view, affinity.query_grid) for t in set(steps)}
    masks = np.stack([enlarged[t] for t in steps])
    for array in (masks, labels):
        array.flags.writeable = False
    return Track(block, frame, masks, labels, protocol)


def _check(analysis: Analysis, block: str, mask: NDArray[np.bool_]) -> None:
    affinity, clip = analysis.affinity(block), analysis.clip
    if mask.shape != (clip.height, clip.width):
        raise QueryError(
            f"The mask is {mask.shape[1]}×{mask.shape[0]} pixels, the clip "
            f"{clip.width}×{clip.height}; give a mask of the clip's size."
        )
    if affinity.query_grid.t == 1 or affinity.query_grid.t != affinity.key_grid.t:
        raise QueryError(
            f"Block {block!r} has time steps of queries and of keys: {affinity.query_grid.t} and "
            f"{affinity.key_grid.t}; tracking needs at least 2 and as many of both: take "
            "more frames."
        )
    for side, what in ((Side(affinity), "queries"), (Side(affinity, reverse=True), "keys")):
        if len(side.cells) < side.own.size:
            raise QueryError(
                f"Block {block!r} has {what} at {len(side.cells)} of its {side.own.size} cells, "
                "and a label is carried from cell to cell by a query and a key at each; choose "
                "another."
            )
    cells = [Cell(t, 0, 0) for t in range(affinity.query_grid.t)]
    if all(not np.delete(affinity.reached(cell), cell.t, axis=0).any() for cell in cells):
        raise QueryError(
            f"Block {block!r} looks within one frame only and can carry nothing; choose another."
        )


def _order(start: int, steps: int, context: int) -> Iterator[tuple[int, Sequence[int]]]:
    """(time step, its context): forwards from the start, then backwards."""
    for way in (range(start, steps), range(start, -1, -1)):
        for number, t in enumerate(way[1:], start=1):
            yield t, tuple(dict.fromkeys((start, *way[max(number - context, 0) : number])))


def _carried(
    analysis: Analysis,
    affinity: Affinity,
    t: int,
    context: Sequence[int],
    labels: Soft,
    protocol: Protocol,
) -> Soft:
    """(rows, cols): the labels of one time step from those of its context on the key grid."""
    queries, keys = affinity.query_grid, affinity.key_grid
    here, there = CellCentres.of(analysis, queries), CellCentres.of(analysis, keys)
    known = labels[list(context)].ravel()
    count = min(protocol.heaviest, known.size)
    cells = [Cell(t, *divmod(i, queries.cols)) for i in range(queries.rows * queries.cols)]
    out = np.zeros(len(cells), np.float32)
    for some, rows in affinity.chunks(cells, budget=_CHUNK_BYTES):
        weights: Soft = np.maximum(rows[:, list(context)], 0).reshape(len(rows), len(context), -1)
        if protocol.radius is not None:
            far = distances(here.spots[some], there.spots) > protocol.radius
            weights = np.where(far[:, None], np.float32(0), weights)
        weights = weights.reshape(len(rows), -1)
        best = np.argpartition(-weights, count - 1, axis=1)[:, :count]
        heavy = np.take_along_axis(weights, best, axis=1)
        sums = heavy.sum(axis=1)
        out[some] = (heavy * known[best]).sum(axis=1) / np.where(sums > 0, sums, 1)
    return out.reshape(queries.rows, queries.cols)


class _Pool:
    """Labels of a query grid's step on the key grid: the mean over the cells of each key."""

    def __init__(self, view: View, affinity: Affinity) -> None:
        queries, self.keys = affinity.query_grid, affinity.key_grid
        middles = [view.point(Cell(0, row, 0), queries) for row in range(queries.rows)]
        down = [view.cell(middle, self.keys).row for middle in middles]
        middles = [view.point(Cell(0, 0, col), queries) for col in range(queries.cols)]
        right = [view.cell(middle, self.keys).col for middle in middles]
        self.index = (np.asarray(down)[:, None] * self.keys.cols + np.asarray(right)).ravel()

    def __call__(self, labels: Soft) -> Soft:
        size = self.keys.rows * self.keys.cols
        sums = np.bincount(self.index, labels.ravel(), size)
        counts = np.maximum(np.bincount(self.index, minlength=size), 1)
        pooled: Soft = (sums / counts).astype(np.float32)
        return pooled.reshape(self.keys.rows, self.keys.cols)


def _on_cells(mask: NDArray[np.bool_], view: View, grid: Grid) -> Soft:
    """(rows, cols): the share of each cell's footprint that is on the object."""
    sums = cv2.integral(mask.astype(np.uint8))
    boxes = [view.footprint(Cell(0, row, 0), grid) for row in range(grid.rows)]
    y0, y1 = _pixels([(box.y0, box.y1) for box in boxes], mask.shape[0])
    boxes = [view.footprint(Cell(0, 0, col), grid) for col in range(grid.cols)]
    x0, x1 = _pixels([(box.x0, box.x1) for box in boxes], mask.shape[1])
    inside = (
        sums[np.ix_(y1, x1)] - sums[np.ix_(y0, x1)] - sums[np.ix_(y1, x0)] + sums[np.ix_(y0, x0)]
    )
    area = (y1 - y0)[:, None] * (x1 - x0)
    shares: Soft = (inside / area).astype(np.float32)
    return shares


def _pixels(
    sides: Sequence[tuple[float, float]], length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Whole pixels, at least one, of each (begin, end)."""
    begin, end = np.rint(np.asarray(sides)).astype(np.intp).T
    begin = np.clip(begin, 0, length - 1)
    return begin, np.clip(np.maximum(end, begin + 1), 1, length)


def _enlarged(labels: Soft, view: View, grid: Grid) -> Soft:
    """(H, W) of the source: bilinear between the cells' centres."""
    width, height = view.source
    _, dy, dx = view.steps(grid)
    first = view.point(Cell(0, 0, 0), grid)
    right = (np.arange(width, dtype=np.float32) + 0.5 - first.x) / dx
    down = (np.arange(height, dtype=np.float32) + 0.5 - first.y) / dy
    right, down = np.meshgrid(right.astype(np.float32), down.astype(np.float32))
    large = cv2.remap(labels, right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large, dtype=np.float32)
