"""Which pixel is which cell: points of the clip, cells of a feature grid, the way between."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError

MOST_INPUT = 180_000_000
"""Pixels of all frames together that a network is given, at most: 2 GiB as float32."""

_FEW = 16  # frames that a sentence names one by one


def frames_near(frame: int, sampled: Sequence[int]) -> str:
    """Which frames to choose instead: all where they are few, else the nearest before and after."""
    if len(sampled) <= _FEW:
        return f"choose one of {', '.join(map(str, sampled))}"
    at = bisect_left(sampled, frame)
    beside = sampled[max(at - 1, 0) : at + 1]
    which = "the nearest ones are" if len(beside) > 1 else "the nearest one is"
    return f"{which} {' and '.join(map(str, beside))}"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the user's own clip: source frame index and source pixels.

    Pixel i covers [i, i + 1), so x lies in [0, width) and y in [0, height).
    """

    frame: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Region:
    """A part of one source frame: the inside of a polygon in source pixels.

    Args:
        frame: source frame index.
        outline: (x, y) of at least three corners, in order around it; a crossing outline has
            inside what a ray leaves an odd number of times.

    Raises:
        QueryError: fewer than three corners, or one that is not a number.
    """

    frame: int
    outline: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.outline) < 3:
            raise QueryError(f"A region needs at least 3 corners; got {len(self.outline)}.")
        if not all(math.isfinite(number) for corner in self.outline for number in corner):
            raise QueryError("A region's corners must be numbers of source pixels.")

    @classmethod
    def box(cls, frame: int, x0: float, y0: float, x1: float, y1: float) -> Region:
        """The upright box between two opposite corners."""
        return cls(frame, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The least and the greatest x and y: (x0, y0, x1, y1)."""
        xs, ys = zip(*self.outline, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def is_box(self) -> bool:
        """Whether the outline is an upright box: four corners, each edge level or upright."""
        corners = self.outline
        turns = zip(corners, (*corners[1:], corners[0]), strict=True)
        if len(corners) != 4 or len(set(corners)) != 4:
            return False
        return all((ax == bx) != (ay == by) for (ax, ay), (bx, by) in turns)

    @property
    def centre(self) -> Point:
        """The middle of the bounds: where links of the region are drawn from."""
        x0, y0, x1, y1 = self.bounds
        return Point(self.frame, (x0 + x1) / 2, (y0 + y1) / 2)

    def holds(self, x: float, y: float) -> bool:
        """Whether a place lies inside: a ray to the right leaves it an odd number of times."""
        return bool(self.inside(np.array([x]), np.array([y]))[0, 0])

    def inside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which places of a raster ``holds``: (len(y), len(x)); x ascends.

        Each y is one scan line: the outline crosses it at some x, and a place is inside where an
        odd number of crossings lies to its right.
        """
        start = np.asarray(self.outline, dtype=np.float64)
        (ax, ay), (bx, by) = start.T, np.roll(start, -1, axis=0).T
        line, edge = np.nonzero((ay > y[:, None]) != (by > y[:, None]))
        run, rise = (bx - ax)[edge], (by - ay)[edge]
        crossing = ax[edge] + (y[line] - ay[edge]) * run / rise
        # A crossing turns every place over that lies left of it.
        left = np.searchsorted(x, crossing)
        turns = np.bincount(line * (len(x) + 1) + left, minlength=len(y) * (len(x) + 1))
        right_of = turns.reshape(len(y), -1)[:, ::-1].cumsum(axis=1)[:, ::-1]
        x0, y0, x1, y1 = self.bounds
        within = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))
        inside: NDArray[np.bool_] = (right_of[:, 1:] % 2 == 1) & within
        return inside


@dataclass(frozen=True, slots=True)
class Cell:
    """A place on a feature grid: time step, row and column, from 0."""

    t: int
    row: int
    col: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A feature grid of t × rows × cols cells and where they sit on the network's input.

    ``stride`` and ``first`` are (frames, pixels down, pixels right) of the network's input: the
    step between neighbouring cells, and the centre of cell (0, 0, 0). Input pixel i has its centre
    at i + 0.5, sampled frame i likewise. Where they are None the cells tile the input evenly.
    """

    t: int
    rows: int
    cols: int
    stride: tuple[float, float, float] | None = None
    first: tuple[float, float, float] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(t, rows, cols)."""
        return self.t, self.rows, self.cols

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.t * self.rows * self.cols

    def index(self, cell: Cell) -> int:
        """Position of a cell in row-major order, 0 to size − 1; QueryError outside the grid."""
        if not (0 <= cell.t < self.t and 0 <= cell.row < self.rows and 0 <= cell.col < self.cols):
            raise QueryError(
                f"{cell} lies outside the grid {self}; count from 0 to "
                f"({self.t - 1}, {self.rows - 1}, {self.cols - 1})."
            )
        return (cell.t * self.rows + cell.row) * self.cols + cell.col

    def cell(self, index: int) -> Cell:
        """The cell at a row-major position: the inverse of ``index``."""
        if not 0 <= index < self.size:
            raise QueryError(f"Position {index} lies outside the grid {self} of {self.size} cells.")
        t, rest = divmod(int(index), self.rows * self.cols)
        return Cell(t, *divmod(rest, self.cols))

    def pooled(self, keys: tuple[int, int, int]) -> Grid:
        """The grid of ``keys`` cells that max-pooling this one gives.

        A pooled cell sits at the middle of its window; cells that no whole window covers are
        dropped by the pooling and stay uncovered.
        """
        if self.stride is None or self.first is None:
            return Grid(*keys)
        windows = [_window(n, m) for n, m in zip(self.shape, keys, strict=True)]
        stride = [s * w for s, w in zip(self.stride, windows, strict=True)]
        first = [
            f + s * (w - 1) / 2 for f, s, w in zip(self.first, self.stride, windows, strict=True)
        ]
        return Grid(
            *keys, stride=(stride[0], stride[1], stride[2]), first=(first[0], first[1], first[2])
        )

    def __str__(self) -> str:
        return f"{self.t}×{self.rows}×{self.cols}"

    def in_words(self, there: NDArray[np.bool_]) -> str:
        """How many of the cells are there, (t, rows, cols) True: "64 of 256 cells of 4×8×8".

        The grid alone where all are, "tokens alone" where none is.
        """
        if there.all():
            return str(self)
        return f"{there.sum()} of {self.size} cells of {self}" if there.any() else "tokens alone"


def _nearest(place: float, stride: float, first: float, count: int) -> int:
    """The nearest of ``count`` centres; the later one of two that are equally near."""
    return min(max(math.floor((place - first) / stride + 0.5), 0), count - 1)


def _window(cells: int, keys: int) -> float:
    """The smallest pooling window that makes ``keys`` of ``cells``, rounding down or else up."""
    windows = range(1, cells + 1)
    down = (w for w in windows if cells // w == keys)
    up = (w for w in windows if -(-cells // w) == keys)
    return next(down, None) or next(up, None) or cells / keys


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one cell stands for: a box in source pixels and the source frames it covers."""

    x0: float
    y0: float
    x1: float
    y1: float
    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class View:
    """How the source became the network's input: sampled frames and a resize.

    Args:
        source: (width, height) of the clip in pixels.
        input: (width, height) of what the network was given.
        frames: source frame index of each frame the network was given, in order.
    """

    source: tuple[int, int]
    input: tuple[int, int]
    frames: tuple[int, ...]

    def check(self, place: Point | Region) -> None:
        """QueryError for a place over the frame's edge or on a frame that was not sampled."""
        width, height = self.source
        if place.frame not in self.frames:
            raise QueryError(
                f"Frame {place.frame} was not sampled; {frames_near(place.frame, self.frames)}, or "
                "sample the clip differently."
            )
        if isinstance(place, Region):
            x0, y0, x1, y1 = place.bounds
            if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
                raise QueryError(
                    f"The region from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) reaches over the edge "
                    f"of the {width}×{height} frame; keep x from 0 to {width} and y from 0 to "
                    f"{height}."
                )
        elif not (0 <= place.x < width and 0 <= place.y < height):
            raise QueryError(
                f"The point x={place.x:g}, y={place.y:g} lies outside the {width}×{height} frame; "
                f"choose x from 0 to {width - 1} and y from 0 to {height - 1}."
            )

    def cell(self, point: Point, grid: Grid) -> Cell:
        """The cell whose centre is nearest to a source point.

        Raises:
            QueryError: the point lies outside the frame, or on a frame that was not sampled.
        """
        self.check(point)
        _, *axes = self._axes(grid)
        places = (
            point.y * self.input[1] / self.source[1],
            point.x * self.input[0] / self.source[0],
        )
        row, col = (
            _nearest(place, stride, first, count)
            for place, (stride, first), count in zip(places, axes, grid.shape[1:], strict=True)
        )
        return Cell(self.step(self.frames.index(point.frame), grid), row, col)

    def step(self, position: int, grid: Grid) -> int:
        """The time step that stands for a sampled frame: whose centre is nearest to the frame's."""
        stride, first = self._axes(grid)[0]
        return _nearest(position + 0.5, stride, first, grid.t)

    def shown_step(self, position: int, grid: Grid) -> int | None:
        """The time step that is drawn on a sampled frame: that of ``step``, or None.

        None where it does not cover the frame, as pooling may leave the last frames out. Of
        several steps that cover a frame, more of them than frames, this is the one that a point
        on the frame asks.
        """
        t = self.step(position, grid)
        return t if position in self.positions(t, grid) else None

    def cells(self, region: Region, grid: Grid) -> tuple[Cell, ...]:
        """The cells whose centres lie in a region, at its frame's time step, row by row.

        Raises:
            QueryError: the region reaches over the frame's edge, holds no cell's centre, or lies
                on a frame that was not sampled.
        """
        self.check(region)
        t = self.cell(Point(region.frame, 0, 0), grid).t
        y, x = self.centres(grid)
        at = zip(*(axis.tolist() for axis in np.nonzero(region.inside(x, y))), strict=True)
        inside = tuple(Cell(t, row, col) for row, col in at)
        if not inside:
            _, down, right = self.steps(grid)
            raise QueryError(
                f"The region holds the centre of no cell; cells are {right:.3g}×{down:.3g} pixels "
                "here, so draw it larger or point at one place."
            )
        return inside

    def point(self, cell: Cell, grid: Grid) -> Point:
        """The centre of a cell in source pixels, clipped into the frame, on its middle frame."""
        grid.index(cell)
        _, y, x = self._centre(cell, grid)
        frames = self._covered(cell, grid)
        return Point(
            frame=self.frames[frames[(len(frames) - 1) // 2]],
            x=min(max(x, 0.0), math.nextafter(self.source[0], 0.0)),
            y=min(max(y, 0.0), math.nextafter(self.source[1], 0.0)),
        )

    def centres(self, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The y of each row's centre and the x of each column's, in source pixels."""
        _, down, right = self._axes(grid)
        (stride, first), (across, start) = down, right
        y = (first + stride * np.arange(grid.rows)) * self.source[1] / self.input[1]
        x = (start + across * np.arange(grid.cols)) * self.source[0] / self.input[0]
        return y, x

    def nearest(self, own: Grid, other: Grid) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The other grid's row for each row of this one, and its column for each column.

        That of ``cell(point(…))``: where the centre, clipped into the frame, lies there.
        """
        _, *axes = self._axes(other)
        places = zip(
            self.centres(own), self.source[::-1], self.input[::-1], axes, other.shape[1:],
            strict=True,
        )  # fmt: skip
        rows, cols = (
            np.clip(
                np.floor(
                    (np.clip(at, 0.0, math.nextafter(source, 0.0)) * size / source - first) / stride
                    + 0.5
                ).astype(np.intp),
                0,
                count - 1,
            )
            for at, source, size, (stride, first), count in places
        )
        return rows, cols

    def origin(self, grid: Grid) -> tuple[float, float]:
        """(x, y) of the first cell's centre in source pixels; it may lie outside the frame."""
        _, y, x = self._centre(Cell(0, 0, 0), grid)
        return x, y

    def footprint(self, cell: Cell, grid: Grid) -> Footprint:
        """What a cell stands for by its stride: one step each way around its centre.

        This is the cell's share of the frame, not its receptive field, which is larger.
        """
        grid.index(cell)
        _, y, x = self._centre(cell, grid)
        _, dy, dx = self.steps(grid)
        width, height = self.source
        return Footprint(
            x0=max(x - dx / 2, 0.0),
            y0=max(y - dy / 2, 0.0),
            x1=min(x + dx / 2, float(width)),
            y1=min(y + dy / 2, float(height)),
            frames=tuple(self.frames[i] for i in self._covered(cell, grid)),
        )

    def steps(self, grid: Grid) -> tuple[float, float, float]:
        """The step between cells: (sampled frames, source pixels down, source pixels right)."""
        (dt, _), (dy, _), (dx, _) = self._axes(grid)
        return dt, dy * self.source[1] / self.input[1], dx * self.source[0] / self.input[0]

    def positions(self, t: int, grid: Grid) -> tuple[int, ...]:
        """Positions in ``frames`` that time step ``t`` of a grid covers, at least one."""
        return self._covered(Cell(t, 0, 0), grid)

    def _axes(self, grid: Grid) -> tuple[tuple[float, float], ...]:
        """(stride, first) along time, down and right, in sampled frames and input pixels."""
        if grid.stride is not None and grid.first is not None:
            return tuple(zip(grid.stride, grid.first, strict=True))
        extent = (len(self.frames), self.input[1], self.input[0])
        return tuple((e / n, e / n / 2) for e, n in zip(extent, grid.shape, strict=True))

    def _centre(self, cell: Cell, grid: Grid) -> tuple[float, float, float]:
        """(sampled frame, y, x) of a cell's centre, y and x in source pixels."""
        t, y, x = (
            first + stride * i
            for i, (stride, first) in zip(
                (cell.t, cell.row, cell.col), self._axes(grid), strict=True
            )
        )
        return t, y * self.source[1] / self.input[1], x * self.source[0] / self.input[0]

    def _covered(self, cell: Cell, grid: Grid) -> tuple[int, ...]:
        stride, first = self._axes(grid)[0]
        centre = first + stride * cell.t
        inside = [
            i for i in range(len(self.frames)) if -stride / 2 <= i + 0.5 - centre < stride / 2
        ]
        # With more time steps than frames a step may hold no frame: it stands for the nearest.
        nearest = min(max(math.floor(centre), 0), len(self.frames) - 1)
        return tuple(inside) or (nearest,)
