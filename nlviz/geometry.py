"""Which pixel is which cell: points of the clip, cells of a feature grid, the way between."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nlviz.errors import QueryError


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the user's own clip: source frame index and source pixels.

    Pixel i covers [i, i + 1), so x lies in [0, width) and y in [0, height).
    """

    frame: int
    x: float
    y: float


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

    def cell(self, point: Point, grid: Grid) -> Cell:
        """The cell whose centre is nearest to a source point.

        Raises:
            QueryError: the point lies outside the frame, or on a frame that was not sampled.
        """
        width, height = self.source
        if not (0 <= point.x < width and 0 <= point.y < height):
            raise QueryError(
                f"The point x={point.x:g}, y={point.y:g} lies outside the {width}×{height} frame; "
                f"choose x from 0 to {width - 1} and y from 0 to {height - 1}."
            )
        steps = self._axes(grid)
        places = (
            self._position(point.frame) + 0.5,
            point.y * self.input[1] / height,
            point.x * self.input[0] / width,
        )
        # A place half-way between two centres belongs to the later cell.
        t, row, col = (
            min(max(math.floor((place - first) / stride + 0.5), 0), count - 1)
            for place, (stride, first), count in zip(places, steps, grid.shape, strict=True)
        )
        return Cell(t, row, col)

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

    def _position(self, frame: int) -> int:
        try:
            return self.frames.index(frame)
        except ValueError:
            sampled = ", ".join(map(str, self.frames))
            raise QueryError(
                f"Frame {frame} was not sampled; choose one of {sampled}, "
                "or sample the clip differently."
            ) from None
