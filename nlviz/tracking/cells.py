"""Masks and labels: from pixels to the cells of a grid, and from cells back to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, View
from nlviz.tracking.protocol import LEAST, SHARE, Decision

Soft = NDArray[np.float32]
Numbers = NDArray[np.uint16]


class Pool:
    """Labels of a query grid's step on the key grid: the mean over the cells of each key."""

    def __init__(self, view: View, affinity: Affinity) -> None:
        queries, self.keys = affinity.query_grid, affinity.key_grid
        middles = [view.point(Cell(0, row, 0), queries) for row in range(queries.rows)]
        down = [view.cell(middle, self.keys).row for middle in middles]
        middles = [view.point(Cell(0, 0, col), queries) for col in range(queries.cols)]
        right = [view.cell(middle, self.keys).col for middle in middles]
        self.index = (np.asarray(down)[:, None] * self.keys.cols + np.asarray(right)).ravel()

    def __call__(self, labels: Soft) -> Soft:
        """(rows, cols, K) as (keys of a step, K)."""
        size = self.keys.rows * self.keys.cols
        counts = np.maximum(np.bincount(self.index, minlength=size), 1)
        of_cells = labels.reshape(len(self.index), -1)
        pooled = np.zeros((size, of_cells.shape[1]), np.float64)
        np.add.at(pooled, self.index, of_cells)
        return (pooled / counts[:, None]).astype(np.float32)


def on_object(masks: NDArray[Any]) -> NDArray[np.bool_]:
    """Masks as True and False; those of 0 and one other number, as 255, are True where that is.

    QueryError for more numbers, which may be labels of several objects or shades.
    """
    if masks.dtype == np.bool_:
        return masks
    on: NDArray[np.bool_] = masks != 0
    values = masks[on]
    if values.size and not (values == values[0]).all():
        raise QueryError(
            "A mask is True on the object and False elsewhere; this one has more numbers than 0 "
            "and one other: give mask == LABEL or mask > 0."
        )
    return on


def on_cells(mask: NDArray[np.bool_], view: View, grid: Grid) -> Soft:
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


def enlarged(labels: Soft, view: View, grid: Grid) -> Soft:
    """(rows, cols) as (H, W) of the source: bilinear between the cells' centres."""
    width, height = view.source
    _, dy, dx = view.steps(grid)
    first = view.point(Cell(0, 0, 0), grid)
    right = (np.arange(width, dtype=np.float32) + 0.5 - first.x) / dx
    down = (np.arange(height, dtype=np.float32) + 0.5 - first.y) / dy
    right, down = np.meshgrid(right.astype(np.float32), down.astype(np.float32))
    large = cv2.remap(labels, right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large, dtype=np.float32)


def decided(soft: Soft, decision: Decision) -> Numbers:
    """Which object each pixel is on.

    Args:
        soft: (K, H, W), how much of each pixel is on each object of one frame, 0 to 1.
        decision: the rule, see ``Protocol``.

    Returns:
        (H, W): 0 on the background, k on the k-th object from 1.
    """
    if decision == "half":
        highest = soft.max(axis=(1, 2), keepdims=True)
        on = (soft > SHARE * highest) & (highest >= LEAST)
        relative = np.where(on, soft / np.where(highest > 0, highest, 1), -1)
        return np.asarray(np.where(on.any(axis=0), relative.argmax(axis=0) + 1, 0), np.uint16)
    channels = np.concatenate([1 - soft.sum(axis=0, keepdims=True), soft])
    if decision == "stretched":
        least = channels.min(axis=(1, 2), keepdims=True)
        span = channels.max(axis=(1, 2), keepdims=True) - least
        channels = np.divide(channels - least, span, out=np.zeros_like(channels), where=span > 0)
    return np.asarray(channels.argmax(axis=0), np.uint16)


def _pixels(
    sides: Sequence[tuple[float, float]], length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Whole pixels, at least one, of each (begin, end)."""
    begin, end = np.rint(np.asarray(sides)).astype(np.intp).T
    begin = np.clip(begin, 0, length - 1)
    return begin, np.clip(np.maximum(end, begin + 1), 1, length)
