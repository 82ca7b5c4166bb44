"""One block's pairwise weights f/C, Eq. (1), held as θ and φ and never as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.display import listed, table
from nlviz.errors import BudgetError, QueryError
from nlviz.geometry import Cell, Grid
from nlviz.groups import Links, Reached, joins_frames, reached_from, reaching
from nlviz.progress import Progress, silent

Array = NDArray[np.float32]

SOFTMAX_FUNCTIONS = ("gaussian", "embedded_gaussian")
FUNCTIONS = (*SOFTMAX_FUNCTIONS, "dot_product", "concatenation")

DERIVED = "derived"
"""The function of a derived block: its weights are θ_iᵀ φ_j as they are, and none is negative.

φ holds rows that nlviz worked out and θ says whose they are; no network weighed anything so.
"""

_NEVER = np.float32(-1e30)  # the logit of a link that cannot exist; finite, so that none is NaN
_CHUNK_BYTES = 64 << 20  # what a pass over all rows may hold at once
_CONSTANTS = "constants"  # under which name they are kept


@dataclass(frozen=True, eq=False)
class Affinity:
    """f/C of one block for one clip: N queries by M keys.

    Every pairwise function has the form act(scale · θ_iᵀ φ_j): a softmax over the keys for the
    Gaussian kinds, Eqs. (2) and (3); a division by M for the dot product, Eq. (4); a ReLU and a
    division by M for concatenation, Eq. (5), where w_fᵀ[θ_i, φ_j] = a_i + b_j is held as
    θ_i = (a_i, 1) and φ_j = (1, b_j).

    Args:
        function: one of ``FUNCTIONS``, or ``DERIVED``.
        theta: (heads · C', N) queries, column i at cell i of ``query_grid``, then the tokens; the
            channels of one head lie together; made read-only float32.
        phi: (heads · C', M) keys, column j at cell j of ``key_grid``, then the tokens; likewise.
        query_grid: the grid of the queries.
        key_grid: the grid of the keys; coarser where the block pools its keys.
        scale: factor on the logits; 1 in the paper.
        heads: how many functions work side by side; a weight is the mean over the heads of each
            head's own f/C.
        reach: which links can exist, see ``Groups`` and ``LinkBits``; everywhere if empty. The
            others weigh 0, and the sums, C and M go over the keys that a query can reach.
        tokens: names of what takes part without a place on the grids, as a class token; a row on
            the grid then sums to 1 minus what the tokens weigh.

    Raises:
        QueryError: an unknown function, or shapes that do not agree.
    """

    function: str
    theta: Array
    phi: Array
    query_grid: Grid
    key_grid: Grid
    scale: float = 1.0
    heads: int = 1
    reach: tuple[Links, ...] = ()
    tokens: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.function not in (*FUNCTIONS, DERIVED):
            raise QueryError(f"Function {self.function!r} is unknown; choose one of {FUNCTIONS}.")
        width = self.theta.shape[0]
        n, m = (grid.size + len(self.tokens) for grid in (self.query_grid, self.key_grid))
        if self.theta.shape != (width, n) or self.phi.shape != (width, m):
            raise QueryError(
                f"θ {self.theta.shape} and φ {self.phi.shape} do not fit the grids: they must be "
                f"(C', {n}) and (C', {m})."
            )
        if width < 1:
            raise QueryError("θ and φ have no channels: they must be (C', cells), C' at least 1.")
        if self.heads < 1 or width % self.heads:
            raise QueryError(f"{width} channels do not split into {self.heads} heads.")
        if any(links.shape != (n, m) for links in self.reach):
            raise QueryError(f"Groups must name the group of each of {n} queries and {m} keys.")
        for name in ("theta", "phi"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float32).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def _repr_html_(self) -> str:
        """In a notebook: what it is in numbers."""
        queries, keys = self.grids_in_words
        rows = [
            ("function", self.function),
            ("queries", queries),
            ("keys", keys),
            ("heads × channels", f"{self.heads} × {self.width // self.heads}"),
            ("scale", f"{self.scale:.4g}"),
            ("tokens", listed(self.tokens) or "none"),
            ("links", "within groups" if self.reach else "everywhere"),
        ]
        return table(("affinity f/C", ""), rows)

    @property
    def width(self) -> int:
        """Heads · C', the length of a query or key vector as it is held."""
        return int(self.theta.shape[0])

    @property
    def rows_sum_to_one(self) -> bool:
        """True for the softmax kinds, tokens included; the others' rows need not."""
        return self.function in SOFTMAX_FUNCTIONS

    @property
    def is_derived(self) -> bool:
        """Whether its weights are no network's, but worked out from those of several layers."""
        return self.function == DERIVED

    @property
    def signed(self) -> bool:
        """Whether weights can be negative: only those of the dot product."""
        return self.function == "dot_product"

    @property
    def keys_pooled(self) -> bool:
        """Whether the keys lie on a coarser grid than the queries."""
        return self.key_grid.size < self.query_grid.size

    @property
    def joins_frames(self) -> bool:
        """Whether any link can lead from one time step to another."""
        return joins_frames(self.reach, self.query_grid, self.key_grid)

    @property
    def has_query(self) -> NDArray[np.bool_]:
        """(T, H, W), True where there is a query: everywhere but where a group says otherwise."""
        there = np.full(self.query_grid.size, not self.reach)
        for links in self.reach:
            there |= links.has_query[: there.size]
        return there.reshape(self.query_grid.shape)

    @property
    def has_key(self) -> NDArray[np.bool_]:
        """(T', H', W'), True where there is a key: everywhere but where groups say otherwise."""
        there = np.full(self.key_grid.size, not self.reach)
        for links in self.reach:
            there |= links.has_key[: there.size]
        return there.reshape(self.key_grid.shape)

    @property
    def grids_in_words(self) -> tuple[str, str]:
        """Where the queries lie and where the keys do: see ``Grid.in_words``."""
        return self.query_grid.in_words(self.has_query), self.key_grid.in_words(self.has_key)

    def head(self, number: int) -> Affinity:
        """One head alone, from 0; QueryError for a head that does not exist."""
        if not 0 <= number < self.heads:
            raise QueryError(
                f"Head {number} does not exist; choose 0 to {self.heads - 1}, or none for their "
                "mean."
                if self.heads > 1
                else f"Head {number} does not exist, as the block has one head alone; name none."
            )
        alone = self._heads_alone[number]
        if _CONSTANTS in self.__dict__:
            alone.__dict__.setdefault(_CONSTANTS, self.constants[number : number + 1])
        return alone

    def named(self, names: Mapping[str, str]) -> Affinity:
        """The same with other names for some tokens; QueryError for one that is not there or twice.

        Args:
            names: of a token now → its new name.
        """
        for token in names:
            self._index(token, self.query_grid)
        tokens = tuple(names.get(token, token) for token in self.tokens)
        twice = next((each for each in tokens if tokens.count(each) > 1), None)
        if twice is not None:
            raise QueryError(
                f"The block would have the token {twice!r} twice; give each its own name."
            )
        return replace(self, tokens=tokens)

    def row(self, query: Cell | str) -> Array:
        """Row i of f/C, Eq. (1), on the key grid (T', H', W'); ``query`` is a cell or a token.

        Softmax rows sum to 1, less what the tokens weigh; dot-product and concatenation rows need
        not. QueryError for a cell outside the query grid or an unknown token.
        """
        row: Array = self.rows([query])[0]
        return row

    def rows(self, queries: Sequence[Cell | str]) -> Array:
        """The rows of n queries: (n, T', H', W')."""
        return self.weights(queries)[:, : self.key_grid.size].reshape(-1, *self.key_grid.shape)

    def chunks(
        self, queries: Sequence[Cell | str] | None = None, *, budget: int | None = None
    ) -> Iterator[tuple[slice, Array]]:
        """The rows of many queries, a chunk at a time: never the whole matrix.

        Args:
            queries: which, in order; every cell of the query grid if None.
            budget: bytes that the rows of one chunk may take, at least one row; 64 MiB if None.

        Yields:
            which of the queries, as a slice, and their rows, (n, T', H', W').
        """
        if queries is None:
            queries = [self.query_grid.cell(i) for i in range(self.query_grid.size)]
        size = _CHUNK_BYTES if budget is None else budget
        for some in _chunked(len(queries), self.key_grid.size, size):
            yield some, self.rows(queries[some])

    def weights(self, queries: Sequence[Cell | str]) -> Array:
        """The whole rows of n queries, (n, M): keys in row-major order, then the tokens."""
        index = [self.index(query) for query in queries]
        return self.weights_at(np.asarray(index, dtype=np.intp))

    def weights_at(self, index: NDArray[np.intp]) -> Array:
        """The whole rows of n queries by their columns of θ, (n, M); see ``weights``."""
        return self._rows(index)

    def weights_to(self, queries: Sequence[Cell | str], phi: Array) -> Array:
        """What n queries would give to keys that are not among their own: (n, m).

        Each query keeps its own constant C(x), so these compare with its own ``weights``; the
        network never weighed them together. For keys of the same block on other frames.

        Args:
            queries: which.
            phi: (heads · C', m), φ of the other keys.

        Raises:
            QueryError: φ of another width, or links that are kept within groups.
        """
        if len(phi) != self.width:
            raise QueryError(f"φ has {len(phi)} channels, the block {self.width}; give its own.")
        if self.reach:
            raise QueryError(
                "Links of this block stay within groups, which other keys have none of."
            )
        index = np.asarray([self.index(query) for query in queries], dtype=np.intp)
        total = np.zeros((len(index), phi.shape[1]), np.float32)
        pairs = zip(self._split, self.constants, np.split(phi, self.heads), strict=True)
        for (theta, _), constants, other in pairs:
            with np.errstate(over="ignore"):  # another frame may outweigh all of the query's own
                logits: Array = np.float32(self.scale) * (theta[:, index].T @ other)
                total += self._weights(logits, constants[index, None])
        return np.minimum(total / self.heads, np.finfo(np.float32).max)

    def head_weights(self, queries: Sequence[Cell | str]) -> Array:
        """The whole rows of n queries in each head, (heads, n, M); ``weights`` is their mean."""
        index = np.asarray([self.index(query) for query in queries], dtype=np.intp)
        return self.head_weights_at(index)

    def head_weights_at(self, index: NDArray[np.intp]) -> Array:
        """The whole rows of n queries by their columns of θ, (heads, n, M); see ``weights``."""
        reached = reached_from(self.reach, index)
        return np.stack([self._head_rows(pair, index, reached) for pair in self._split])

    def token_weights(self, query: Cell | str) -> Array:
        """What the row of a query gives to each of ``tokens``: (tokens,)."""
        weights: Array = self.weights([query])[0, self.key_grid.size :]
        return weights

    def reached(self, query: Cell | str) -> NDArray[np.bool_]:
        """(T', H', W'), True where a key can be reached from a query: ``reach`` for one row."""
        i = self.index(query)
        reached = reached_from(self.reach, np.array([i], dtype=np.intp))
        if reached is None:
            return np.ones(self.key_grid.shape, dtype=np.bool_)
        return reached[0, : self.key_grid.size].reshape(self.key_grid.shape)

    def reaching(self, key: Cell | str) -> NDArray[np.bool_]:
        """(T, H, W), True where a query can reach a key: ``reach`` for one column."""
        j = self._index(key, self.key_grid)
        able = reaching(self.reach, np.array([j], dtype=np.intp))
        if able is None:
            return np.ones(self.query_grid.shape, dtype=np.bool_)
        return able[0, : self.query_grid.size].reshape(self.query_grid.shape)

    def column(self, key: Cell | str) -> Array:
        """Column j of f/C on the query grid (T, H, W): how much each query weighs this key.

        Each entry is normalised by its own row's constant C(x), so a softmax column need not sum
        to 1. QueryError for a cell outside the key grid or an unknown token.
        """
        column: Array = self.columns([key])[0]
        return column

    def columns(self, keys: Sequence[Cell | str]) -> Array:
        """The columns of n keys: (n, T, H, W)."""
        columns = self._columns(self._keys(keys), slice(self.query_grid.size))
        return columns.reshape(-1, *self.query_grid.shape)

    def column_chunks(
        self, keys: Sequence[Cell | str], *, budget: int | None = None
    ) -> Iterator[tuple[slice, Array]]:
        """The columns of many keys, a run of queries at a time: never the whole of them.

        Args:
            keys: which, in order.
            budget: bytes that one run may take, at least one query; 64 MiB if None.

        Yields:
            which cells of the query grid, in row-major order, as a slice, and what each of them
            gives to the keys, (keys, cells).
        """
        index = self._keys(keys)
        size = _CHUNK_BYTES if budget is None else budget
        for queries in _chunked(self.query_grid.size, max(1, len(keys)), size):
            yield queries, self._columns(index, queries)

    def top(
        self, query: Cell | str, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[tuple[Cell, ...], Array]:
        """The k keys of greatest weight in row i, heaviest first, and their weights.

        Args:
            query: a cell or a token.
            k: how many, at least 1; fewer come back where fewer are allowed or can be reached.
            allowed: (T', H', W'), True where a key may be chosen; all of them by default.

        Equal weights come in row-major order. QueryError for k below 1.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1; got {k}.")
        row = self.row(query).ravel()
        if self.reach:
            reached = self.reached(query)
            allowed = reached if allowed is None else allowed & reached
        keys = np.arange(row.size) if allowed is None else np.flatnonzero(allowed)
        weights = row[keys]
        if k < weights.size:
            # Everything as heavy as the k-th, so that ties are cut by position and not by chance.
            kept = weights >= np.partition(weights, -k)[-k]
            keys, weights = keys[kept], weights[kept]
        order = np.argsort(-weights, kind="stable")[:k]
        return tuple(self.key_grid.cell(int(j)) for j in keys[order]), weights[order]

    def matrix(self, *, budget: int = 256 << 20) -> Array:
        """The whole of f/C: (N, M) float32, rows are queries; tokens come last in both.

        BudgetError if it would take more than ``budget`` bytes (256 MiB by default).
        """
        n, m = self.theta.shape[1], self.phi.shape[1]
        if n * m * 4 > budget:
            raise BudgetError(
                f"The whole matrix of {n} × {m} weights would take {n * m * 4 / 2**20:,.0f} MiB, "
                f"above the budget of {budget / 2**20:,.0f} MiB; ask for rows or columns, take "
                "fewer frames or a smaller input, or raise the budget."
            )
        return self._rows(np.arange(n))

    def index(self, query: Cell | str) -> int:
        """The column of θ that a query fills; QueryError where there is none."""
        return self._index(query, self.query_grid)

    def _index(self, place: Cell | str, grid: Grid) -> int:
        if not isinstance(place, str):
            return grid.index(place)
        if place not in self.tokens:
            there = f"choose one of {listed(self.tokens)}" if self.tokens else "it has none"
            raise QueryError(f"Token {place!r} is not in this block; {there}.")
        return grid.size + self.tokens.index(place)

    @cached_property
    def _split(self) -> tuple[tuple[Array, Array], ...]:
        """θ and φ of each head."""
        pairs = zip(np.split(self.theta, self.heads), np.split(self.phi, self.heads), strict=True)
        return tuple(pairs)

    @cached_property
    def _heads_alone(self) -> tuple[Affinity, ...]:
        return tuple(replace(self, theta=theta, phi=phi, heads=1) for theta, phi in self._split)

    def _keys(self, keys: Sequence[Cell | str]) -> NDArray[np.intp]:
        return np.asarray([self._index(key, self.key_grid) for key in keys], dtype=np.intp)

    def _columns(self, index: NDArray[np.intp], queries: slice) -> Array:
        """f/C of some keys for a run of queries: (n, queries)."""
        heads = iter(zip(self._split, self.constants, strict=True))
        columns = self._head_columns(*next(heads), index, queries)
        for pair, constants in heads:
            columns += self._head_columns(pair, constants, index, queries)
        if self.heads > 1:
            columns /= np.float32(self.heads)
        able = reaching(self.reach, index, queries)
        if able is not None:
            columns[~able] = 0
        return columns

    def _rows(self, index: NDArray[np.intp]) -> Array:
        reached = reached_from(self.reach, index)
        rows = self._head_rows(self._split[0], index, reached)
        for pair in self._split[1:]:
            rows += self._head_rows(pair, index, reached)
        if self.heads > 1:
            rows /= np.float32(self.heads)
        return rows

    def _head_columns(
        self, pair: tuple[Array, Array], constants: Array, index: NDArray[np.intp], queries: slice
    ) -> Array:
        """f/C of one head for some keys and a run of queries, whatever can be reached."""
        theta, phi = pair
        with np.errstate(over="ignore"):  # a key out of reach may outweigh all within it
            logits: Array = phi[:, index].T @ theta[:, queries]
            logits *= np.float32(self.scale)
            return self._weights(logits, constants[queries])

    def _head_rows(
        self, pair: tuple[Array, Array], index: NDArray[np.intp], reached: Reached | None
    ) -> Array:
        """f/C of one head for some queries: (n, M)."""
        theta, phi = pair
        logits: Array = theta[:, index].T @ phi
        logits *= np.float32(self.scale)
        if self.rows_sum_to_one:
            if reached is not None:
                np.copyto(logits, _NEVER, where=~reached)
            logits -= logits.max(axis=-1, keepdims=True)
            np.exp(logits, out=logits)
            logits /= logits.sum(axis=-1, keepdims=True)
        else:
            self._weights(logits, self._divisor(logits.shape[1], reached))
        if reached is not None:
            np.copyto(logits, 0, where=~reached)
        return logits

    def _divisor(self, keys: int, reached: Reached | None) -> Any:
        """What the products of some rows are divided by where no softmax is taken."""
        if self.is_derived:
            return 1
        return keys if reached is None else _counted(reached)

    def _weights(self, logits: Array, constants: Any) -> Array:
        """f/C from logits, in place; the constants of the rows are log C for a softmax, else M."""
        if self.rows_sum_to_one:
            logits -= constants
            np.exp(logits, out=logits)
            return logits
        if self.function == "concatenation":
            np.maximum(logits, 0, out=logits)
        logits /= constants
        return logits

    @cached_property
    def constants(self) -> Array:
        """What normalises the rows of each head, (heads, N), tokens last: log C(x), M, or 1.

        The logarithm is that of the softmax kinds; the others divide by the number of keys that a
        query can reach, and a derived block by nothing. Worked out once, a chunk of rows at a time:
        ``work_out_constants`` tells how far that is.
        """
        return self._constants(silent)

    def work_out_constants(self, progress: Progress) -> Array:
        """``constants``; ``progress`` is told before each chunk, and what it raises ends it."""
        if _CONSTANTS not in self.__dict__:
            self.__dict__[_CONSTANTS] = self._constants(progress)
        return self.constants

    def _constants(self, progress: Progress) -> Array:
        n, m = self.theta.shape[1], self.phi.shape[1]
        constants = np.full((self.heads, n), self._divisor(m, None), dtype=np.float32)
        vary = not self.is_derived and (self.reach or self.rows_sum_to_one)
        for rows in _chunked(n if vary else 0, m, _CHUNK_BYTES):
            progress(rows.start / n, "adding up the rows of the block")
            reached = reached_from(self.reach, rows)
            if reached is not None and not self.rows_sum_to_one:
                constants[:, rows] = _counted(reached)[:, 0]
                continue
            for (theta, phi), of_head in zip(self._split, constants, strict=True):
                logits = np.float32(self.scale) * (theta[:, rows].T @ phi)
                if reached is not None:
                    logits[~reached] = _NEVER
                top = logits.max(axis=1)
                logits -= top[:, None]
                of_head[rows] = top + np.log(np.exp(logits, out=logits).sum(axis=1))
        return constants


def _chunked(queries: int, keys: int, budget: int) -> Iterator[slice]:
    """Chunks of queries whose rows of float32 take at most ``budget`` bytes, one row at least."""
    step = max(1, budget // (4 * keys))
    for start in range(0, queries, step):
        yield slice(start, min(start + step, queries))


def _counted(reached: Reached) -> NDArray[np.intp]:
    """(n, 1): how many keys each query can reach, at least 1 so that it can divide."""
    counted: NDArray[np.intp] = np.maximum(reached.sum(axis=1, keepdims=True), 1)
    return counted
