"""A chain of attention layers: rows of weights carried from the last layer back to the first.

A row goes through a layer as a vector times its matrix, whose rows are made a chunk at a time and
thrown away: no matrix of all queries by all keys is ever held.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, QueryError
from nlviz.experiments.worker_threads import workers
from nlviz.geometry import Grid
from nlviz.progress import Progress, part_of

Array = NDArray[np.float32]
Numbers = NDArray[np.intp]
Product = Callable[[Numbers], tuple[Array, Array]]
Each = Callable[[Product, Sequence[Numbers]], Iterator[tuple[Array, Array]]]

_CHUNK_BYTES = 1 << 20  # of one head's weights that are made at once: they stay in the cache
_FEWEST = 32  # queries that are worth a product
_ALIKE = 1e-4  # of the greatest entry: copies of a token have the same θ and φ up to this
_OFF = 0.01  # of a finer cell: strides that are meant to be whole numbers of them
_MIXTURE = "mixture"
_ATTENTION = "self-attention"
_NOT_CARRIED = re.compile(r"(padding|mixture|constant|sink)\b")
_COPY = re.compile(r"(.+?)@\d+(#\d+)?")


class Weights(Protocol):
    """What a layer gives of some of its rows."""

    def __call__(self, index: Numbers) -> Array:
        """(n, M) of the rows of n queries, tokens behind the cells."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One attention layer.

    Args:
        block: its name.
        affinity: whose grids, tokens and links it has.
        rows: makes what stands for the rows of its matrix, for as long as they are needed.
    """

    block: str
    affinity: Affinity
    rows: Callable[[], Weights]

    @property
    def asks(self) -> NDArray[np.bool_]:
        """(N,), True where the layer has a query; what has none it passes on as it is."""
        affinity = self.affinity
        there = np.full(affinity.theta.shape[1], not affinity.reach)
        for links in affinity.reach:
            there |= links.has_query
        return there


@dataclass(frozen=True, slots=True)
class Mixing:
    """How a layer's matrix A becomes what a row is multiplied with.

    Args:
        attention: the weight of A.
        identity: the weight of I, which stands for the residual connection.
        normalised: whether each row of the sum is divided by its own sum; if not, what the
            identities alone give is left out of the product.
    """

    attention: float
    identity: float
    normalised: bool


def attention_layers(analysis: Analysis, blocks: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the attention layers that a row goes through, from input to output.

    Args:
        analysis: an analysis.
        blocks: some of its blocks; all that are attention if None.

    Raises:
        QueryError: an unknown block, or none.
        CaptureError: no attention layers, one that was refused, or one of another kind; windows
            that were joined.
    """
    check_one_window(analysis)
    attends = layers_there(analysis)
    own = [name for name in analysis.blocks if name not in analysis.derived]
    if blocks is not None:
        if not blocks:
            raise QueryError(
                "The list of layers is empty; name one at least, or leave it out for all."
            )
        _check_attend(analysis, blocks, attends)
        return tuple(name for name in attends if name in blocks)
    if not attends:
        raise CaptureError(
            f"{analysis.network} has no attention layers (its blocks are {', '.join(own)}): "
            f"{_WHY_NOT}."
        )
    refused = next(iter(analysis.refused.values()), None)
    if refused is not None:
        raise _missing(refused)
    return attends


def check_one_window(analysis: Analysis) -> None:
    """CaptureError for windows that were joined: their layers follow each other in none."""
    if analysis.is_joined:
        raise CaptureError(
            "The rows of these layers go over windows that the network saw one by one; work it out "
            "in one window."
        )


def _check_attend(analysis: Analysis, blocks: Sequence[str], attends: Sequence[str]) -> None:
    for name in blocks:
        analysis.affinity(name)
    other = next((name for name in blocks if name not in attends), None)
    if other is not None:
        raise CaptureError(f"Block {other!r} is not an attention layer: {_WHY_NOT}.")


_WHY_NOT = (
    "between other blocks stand convolutions, which mix places themselves, so that a product of "
    "weights would leave out most of what flows; what counts for a class can be had of one block"
)


def _missing(why: str) -> CaptureError:
    return CaptureError(
        "A layer is missing from the chain, so the product of the others would leave out what it "
        f"does: {why}"
    )


def layers_there(analysis: Analysis) -> tuple[str, ...]:
    """The names of the attention layers, from input to output; none where there are none."""
    kinds = {name: analysis.kinds.get(name, "") for name in analysis.blocks}
    return tuple(name for name, kind in kinds.items() if kind.startswith(_ATTENTION))


def layers_with_refused(analysis: Analysis) -> tuple[str, ...]:
    """The same with those that were refused; without these where a session has forgotten them."""
    known = {*layers_there(analysis), *analysis.refused}
    kinds = analysis.kinds.items()
    return tuple(name for name, kind in kinds if name in known and kind.startswith(_ATTENTION))


def layers_between(analysis: Analysis, first: str | None, last: str | None) -> tuple[str, ...]:
    """The names of the attention layers from one to another, both with them.

    Args:
        analysis: an analysis.
        first: where a row ends; the first of all if None.
        last: where a row begins; the last of all if None.

    Raises:
        QueryError: an unknown block, or a last one that stands before the first.
        CaptureError: a block that is not an attention layer, or one between that was refused.
    """
    ends = [name for name in (first, last) if name is not None]
    check_one_window(analysis)
    there = layers_there(analysis)
    _check_attend(analysis, ends, there)
    start = 0 if first is None else there.index(first)
    stop = len(there) if last is None else there.index(last) + 1
    if start >= stop:
        raise QueryError(f"Layer {last!r} stands before {first!r}; name the one first that is.")
    every = layers_with_refused(analysis)
    begin = 0 if first is None else every.index(first)
    end = len(every) if last is None else every.index(last) + 1
    for name, why in analysis.refused.items():
        if name in every[begin:end] or name not in analysis.kinds:  # nobody knows where it stands
            raise _missing(why)
    return there[start:stop]


class Chain:
    """Layers one after the other, and how the places of each lie in those of the one before.

    What has a place is a cell of the grid of the layer before, what has none goes by its name.
    Copies of one token in several sequences, as of a class token that attends in each frame by
    itself, are one token: what it receives is their mean. Weight that is given to padding or to an
    attention sink ends there.

    Args:
        layers: from input to output.

    Raises:
        CaptureError: layers whose places do not fit.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        merged = _merged([layer.affinity for layer in layers])
        self.canonical = [
            [_canonical(name, merged) for name in layer.affinity.tokens] for layer in layers
        ]
        for layer, names in zip(self.layers, self.canonical, strict=True):
            if _MIXTURE in names:
                raise CaptureError(
                    f"Layer {layer.block!r} has a mixture of several places among its tokens, and "
                    "nlviz cannot tell which of the layer before it stands for, so no row can be "
                    "carried through."
                )
        every = dict.fromkeys(name for names in self.canonical for name in names)
        self.tokens = tuple(name for name in every if not _NOT_CARRIED.match(name))
        self.ends = tuple(name for name in every if _NOT_CARRIED.match(name))
        self.names = (*self.tokens, *self.ends)
        self.inputs: list[Grid] = []
        for number, layer in enumerate(self.layers):
            own = layer.affinity
            first = max((own.query_grid, own.key_grid), key=lambda grid: grid.size)
            before = self.layers[number - 1].affinity.query_grid if number else first
            self.inputs.append(before)
        self._queries = [
            _sharing(layer, layer.affinity.query_grid, into, "queries")
            for layer, into in zip(self.layers, self.inputs, strict=True)
        ]
        self._keys = [
            _sharing(layer, layer.affinity.key_grid, into, "keys")
            for layer, into in zip(self.layers, self.inputs, strict=True)
        ]

    @property
    def out(self) -> Grid:
        """Where the last layer's queries lie: what can be asked."""
        return self.layers[-1].affinity.query_grid

    @property
    def key_grid(self) -> Grid:
        """Where the rows end."""
        return self.inputs[0]

    @property
    def there(self) -> NDArray[np.bool_]:
        """(cells of ``out``, then ``tokens``), True where something can be asked."""
        cells = np.zeros(self.out.size, np.bool_)
        for layer in self.layers:
            if layer.affinity.query_grid.shape == self.out.shape:
                cells |= layer.asks[: self.out.size]
        return np.concatenate([cells, np.ones(len(self.tokens), np.bool_)])

    def carried(self, mixtures: Array, mixing: Mixing, report: Progress) -> Array:
        """Rows through all layers, last to first.

        Args:
            mixtures: (q, cells of ``out`` + ``tokens``), where each row starts.
            mixing: what becomes of a layer's matrix.
            report: told of each layer and of its chunks; what it raises ends the work.

        Returns:
            (q, cells of ``key_grid`` + ``names``).
        """
        spare = np.zeros((len(mixtures), len(self.ends)), np.float32)
        row = np.concatenate([mixtures, spare], axis=1)
        still = row  # what the residual connections alone carry
        row = row if mixing.normalised else np.zeros_like(row)
        count = len(self.layers)
        threads = workers()
        for done, number in enumerate(reversed(range(count))):
            part = part_of(report, done / count, (done + 1) / count)
            told = partial(_tell, part, f"layer {number + 1} of {count}")
            each = partial(threads.each, told=told)
            if mixing.normalised:
                row = self._through(number, row, np.zeros_like(row), mixing, each)
            else:
                row = self._through(number, row, still, mixing, each)
                nothing = np.zeros_like(still)
                alone = replace(mixing, attention=0)
                still = self._through(number, still, nothing, alone, each)
        report(1.0, "done")
        return row

    def _through(self, number: int, row: Array, still: Array, mixing: Mixing, each: Each) -> Array:
        """A row through one layer, with what the layer's keys are given for ``still`` as well."""
        layer, own = self.layers[number], self.layers[number].affinity
        size, into = own.query_grid.size, self.inputs[number].size
        asked, passed = self._split(number, row)
        also, _ = self._split(number, still)
        out = np.zeros((len(row), into + len(self.names)), np.float32)
        self._queries[number].add(passed[:, :size], out)
        out[:, into:] += passed[:, size:]
        given, kept = self._products(layer, asked, also, mixing, each)
        for part, sharing, grid in (
            (given, self._keys[number], own.key_grid.size),
            (kept, self._queries[number], size),
        ):
            sharing.add(part[:, :grid], out)
            for at, name in enumerate(self.canonical[number]):
                out[:, into + self.names.index(name)] += part[:, grid + at]
        return out

    def _split(self, number: int, row: Array) -> tuple[Array, Array]:
        """What of a row the layer asks, in its own queries' columns, and what it passes on."""
        layer = self.layers[number]
        size, asks = layer.affinity.query_grid.size, layer.asks
        asked = np.zeros((len(row), len(asks)), np.float32)
        asked[:, :size] = row[:, :size] * asks[:size]
        passed = row.copy()
        passed[:, :size] *= ~asks[:size]
        for name in self.tokens:
            copies = [
                size + at
                for at, of in enumerate(self.canonical[number])
                if of == name and asks[size + at]
            ]
            if copies:
                at = size + self.names.index(name)
                asked[:, copies] = row[:, [at]] / len(copies)
                passed[:, at] = 0
        return asked, passed

    def _products(
        self, layer: Layer, asked: Array, also: Array, mixing: Mixing, each: Each
    ) -> tuple[Array, Array]:
        """What the layer's keys are given, and what stays with its queries."""
        affinity = layer.affinity
        keys = affinity.phi.shape[1]
        given = np.zeros((len(asked), keys), np.float32)
        if not mixing.attention:
            return given, np.float32(mixing.identity) * asked
        kept = np.zeros_like(asked)
        index = np.flatnonzero(asked.any(axis=0) | also.any(axis=0))
        rows_at = layer.rows()

        def product(some: Numbers) -> tuple[Array, Array]:
            weights = rows_at(some)
            part, whole = asked[:, some], asked[:, some] + also[:, some]
            if mixing.normalised:
                sums = mixing.attention * weights.sum(axis=1, dtype=np.float64) + mixing.identity
                part = whole = part / np.maximum(sums, 1e-30).astype(np.float32)
            # By torch, for NumPy's threads are not those of the worker.
            return (torch.from_numpy(whole) @ torch.from_numpy(weights)).numpy(), part

        step = max(_FEWEST, _CHUNK_BYTES // (4 * keys))
        chunks = [index[start : start + step] for start in range(0, len(index), step)]
        for some, (added, part) in zip(chunks, each(product, chunks), strict=True):
            given += np.float32(mixing.attention) * added
            kept[:, some] = np.float32(mixing.identity) * part
        return given, kept


def _tell(report: Progress, what: str, fraction: float) -> None:
    report(fraction, what)


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """How what a cell of one grid has is shared among the cells of a finer one.

    Args:
        own, into: the shapes of both.
        axes: of time, rows and columns, (own, into) with rows of sum 1; None where they are alike.
    """

    own: tuple[int, int, int]
    into: tuple[int, int, int]
    axes: tuple[Array | None, ...]

    def add(self, part: Array, out: Array) -> None:
        """Add what cells (q, own) have to the cells of the finer grid, the first of ``out``."""
        shared = part.reshape(-1, *self.own)
        for axis, along in enumerate(self.axes, start=1):
            if along is not None:
                shared = np.moveaxis(np.tensordot(shared, along, axes=(axis, 0)), -1, axis)
        out[:, : math.prod(self.into)] += shared.reshape(len(part), -1)


def _sharing(layer: Layer, own: Grid, into: Grid, what: str) -> Sharing:
    axes: list[Array | None] = []
    for axis in range(3):
        if own.shape[axis] == into.shape[axis]:
            axes.append(None)
            continue
        along = _overlap(own, into, axis)
        if along is None:
            raise CaptureError(
                f"The {what} of layer {layer.block!r} lie on {own} and what they are made of on "
                f"{into}: the ones do not hold whole cells of the others, so no row can be carried "
                "through."
            )
        axes.append(along)
    return Sharing(own.shape, into.shape, tuple(axes))


def _overlap(own: Grid, into: Grid, axis: int) -> Array | None:
    """(own, into) of one axis: how much of each cell lies in each finer one; None where none fits.

    A cell reaches half a stride to both sides of its centre, and a stride holds whole finer cells.
    """
    count, fine = own.shape[axis], into.shape[axis]
    if count > fine:
        return None
    if own.stride is None or into.stride is None or own.first is None or into.first is None:
        wide, first = fine / count, fine / count / 2 - 0.5
    else:
        wide = own.stride[axis] / into.stride[axis]
        first = (own.first[axis] - into.first[axis]) / into.stride[axis]
    if abs(wide - round(wide)) > _OFF:
        return None
    middle = first + wide * np.arange(count)[:, None]
    cell = np.arange(fine)
    ends = np.minimum(middle + wide / 2, cell + 0.5), np.maximum(middle - wide / 2, cell - 0.5)
    shared = np.maximum(ends[0] - ends[1], 0).astype(np.float32)
    sums = shared.sum(axis=1, keepdims=True)
    return shared / sums if (sums > 0).all() else None


def _merged(affinities: Sequence[Affinity]) -> set[str]:
    """The tokens whose copies, as class@0 and class@1, are one wherever they stand."""
    found: dict[str, bool] = {}
    for affinity in affinities:
        for base, columns in _copies(affinity).items():
            same = all(
                np.ptp(side[:, [grid.size + at for at in columns]], axis=1).max(initial=0)
                <= _ALIKE * max(float(np.abs(side).max()), 1e-30)
                for side, grid in (
                    (affinity.theta, affinity.query_grid),
                    (affinity.phi, affinity.key_grid),
                )
            )
            found[base] = found.get(base, True) and same
    return {base for base, same in found.items() if same}


def _copies(affinity: Affinity) -> dict[str, list[int]]:
    """The numbers of a token's copies in several sequences, by its name without their times."""
    found: dict[str, list[int]] = {}
    for at, name in enumerate(affinity.tokens):
        match = _COPY.fullmatch(name)
        if match is not None:
            found.setdefault(match[1], []).append(at)
    return found


def _canonical(name: str, merged: set[str]) -> str:
    """What a token is called throughout the chain."""
    ends = _NOT_CARRIED.match(name)
    if ends is not None:
        return ends[1]
    match = _COPY.fullmatch(name)
    return match[1] if match is not None and match[1] in merged else name


def unknown_fusion(fusion: str, known: Sequence[str]) -> QueryError:
    """For a way to join heads that does not exist."""
    return QueryError(f"Heads are joined by {', '.join(known)}; got {fusion!r}.")
