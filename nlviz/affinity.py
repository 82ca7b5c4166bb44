"""One block's pairwise weights f/C, Eq. (1), held as θ and φ and never as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import BudgetError, QueryError
from nlviz.geometry import Cell, Grid

Array = NDArray[np.float32]

SOFTMAX_FUNCTIONS = ("gaussian", "embedded_gaussian")
FUNCTIONS = (*SOFTMAX_FUNCTIONS, "dot_product", "concatenation")

_CHUNK_BYTES = 64 << 20  # what a pass over all rows may hold at once


@dataclass(frozen=True, eq=False)
class Affinity:
    """f/C of one block for one clip: N queries by M keys.

    Every pairwise function has the form act(scale · θ_iᵀ φ_j): a softmax over the keys for the
    Gaussian kinds, Eqs. (2) and (3); a division by M for the dot product, Eq. (4); a ReLU and a
    division by M for concatenation, Eq. (5), where w_fᵀ[θ_i, φ_j] = a_i + b_j is held as
    θ_i = (a_i, 1) and φ_j = (1, b_j).

    Args:
        function: one of ``FUNCTIONS``.
        theta: (C', N) queries, column i at cell i of ``query_grid``; made read-only float32.
        phi: (C', M) keys, column j at cell j of ``key_grid``; made read-only float32.
        query_grid: the grid of N cells.
        key_grid: the grid of M cells; coarser where the block pools its keys.
        scale: factor on the logits; 1 in the paper.

    Raises:
        QueryError: an unknown function, or shapes that do not agree.
    """

    function: str
    theta: Array
    phi: Array
    query_grid: Grid
    key_grid: Grid
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise QueryError(f"Function {self.function!r} is unknown; choose one of {FUNCTIONS}.")
        width = self.theta.shape[0]
        if self.theta.shape != (width, self.query_grid.size) or self.phi.shape != (
            width,
            self.key_grid.size,
        ):
            raise QueryError(
                f"θ {self.theta.shape} and φ {self.phi.shape} do not fit the grids: they must be "
                f"(C', {self.query_grid.size}) and (C', {self.key_grid.size})."
            )
        for name in ("theta", "phi"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float32).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def width(self) -> int:
        """C', the length of a query or key vector as it is held."""
        return int(self.theta.shape[0])

    @property
    def rows_sum_to_one(self) -> bool:
        """True for the softmax kinds; dot-product and concatenation rows need not."""
        return self.function in SOFTMAX_FUNCTIONS

    @property
    def signed(self) -> bool:
        """Whether weights can be negative: only those of the dot product."""
        return self.function == "dot_product"

    @property
    def keys_pooled(self) -> bool:
        """Whether the keys lie on a coarser grid than the queries."""
        return self.key_grid.size < self.query_grid.size

    def row(self, cell: Cell) -> Array:
        """Row i of f/C, Eq. (1), on the key grid (T', H', W').

        Softmax rows sum to 1; dot-product and concatenation rows need not. QueryError for a cell
        outside the query grid.
        """
        row: Array = self.rows([cell])[0]
        return row

    def rows(self, cells: Sequence[Cell]) -> Array:
        """The rows of n query cells: (n, T', H', W')."""
        index = [self.query_grid.index(cell) for cell in cells]
        return self._rows(np.asarray(index, dtype=np.intp)).reshape(-1, *self.key_grid.shape)

    def column(self, cell: Cell) -> Array:
        """Column j of f/C on the query grid (T, H, W): how much each query weighs this key.

        Each entry is normalised by its own row's constant C(x), so a softmax column need not sum
        to 1. QueryError for a cell outside the key grid.
        """
        j = self.key_grid.index(cell)
        logits = self.scale * (self.phi[:, j] @ self.theta)
        if self.rows_sum_to_one:
            weights = np.exp(logits - self._log_constants)
        else:
            weights = self._activate(logits)
        column: Array = weights.astype(np.float32).reshape(self.query_grid.shape)
        return column

    def top(
        self, cell: Cell, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[tuple[Cell, ...], Array]:
        """The k keys of greatest weight in row i, heaviest first, and their weights.

        Args:
            cell: the query.
            k: how many, at least 1; fewer come back where fewer are allowed.
            allowed: (T', H', W'), True where a key may be chosen; all of them by default.

        Equal weights come in row-major order. QueryError for k below 1.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1; got {k}.")
        row = self.row(cell).ravel()
        keys = np.arange(row.size) if allowed is None else np.flatnonzero(allowed)
        weights = row[keys]
        if k < weights.size:
            # Everything as heavy as the k-th, so that ties are cut by position and not by chance.
            kept = weights >= np.partition(weights, -k)[-k]
            keys, weights = keys[kept], weights[kept]
        order = np.argsort(-weights, kind="stable")[:k]
        return tuple(self.key_grid.cell(int(j)) for j in keys[order]), weights[order]

    def matrix(self, *, budget: int = 256 << 20) -> Array:
        """The whole of f/C: (N, M) float32, rows are queries.

        BudgetError if it would take more than ``budget`` bytes (256 MiB by default).
        """
        n, m = self.query_grid.size, self.key_grid.size
        if n * m * 4 > budget:
            raise BudgetError(
                f"The whole matrix of {n} × {m} weights would take {n * m * 4 / 2**20:,.0f} MiB, "
                f"above the budget of {budget / 2**20:,.0f} MiB; ask for rows or columns, take "
                "fewer frames or a smaller input, or raise the budget."
            )
        return self._rows(np.arange(n))

    def _rows(self, index: NDArray[np.intp]) -> Array:
        logits = self.theta[:, index].T @ self.phi
        logits *= np.float32(self.scale)
        return self._activate(logits)

    def _activate(self, logits: Array) -> Array:
        """f/C from logits whose last axis is the keys (softmax) or any axis (the others)."""
        if self.rows_sum_to_one:
            logits -= logits.max(axis=-1, keepdims=True)
            np.exp(logits, out=logits)
            logits /= logits.sum(axis=-1, keepdims=True)
            return logits
        if self.function == "concatenation":
            np.maximum(logits, 0, out=logits)
        logits /= self.key_grid.size
        return logits

    @cached_property
    def _log_constants(self) -> Array:
        """log C(x) of every query, (N,), computed a chunk of rows at a time."""
        n = self.query_grid.size
        step = max(1, _CHUNK_BYTES // (4 * self.key_grid.size))
        constants = np.empty(n, dtype=np.float32)
        for start in range(0, n, step):
            logits = self.scale * (self.theta[:, start : start + step].T @ self.phi)
            top = logits.max(axis=1)
            logits -= top[:, None]
            constants[start : start + step] = top + np.log(np.exp(logits).sum(axis=1))
        return constants
