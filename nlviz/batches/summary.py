"""The summary of a batch: means over clips, and networks held against each other clip by clip.

It reads the table alone and needs no torch.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import dataset

from nlviz.batches.results import ROWS, opened
from nlviz.batches.table import COSINE, MEASURES, ON_OBJECT
from nlviz.display import table as html_table
from nlviz.errors import BatchError

_KEYS = ("network", "block", "head", "kind")


@dataclass(frozen=True, slots=True)
class Mean:
    """A number of one network's block over the clips of a batch.

    Args:
        network, block, head: whose; head None for the mean of all heads.
        kind: ``"block"`` for averages over all queries, else what was asked: ``"point"``,
            ``"region"``, ``"grid"`` or ``"object"``.
        group: the value of the column that clips are told apart by; None where none is.
        measure: the column of the table.
        clips: how many clips have it; a clip counts once, by the mean over its queries.
        mean: over these clips.
        error: standard error of the mean, s/√n; None for one clip.
    """

    network: str
    block: str
    head: int | None
    kind: str
    group: str | None
    measure: str
    clips: int
    mean: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """How a number differs between two networks, or between a block and its input's cosine.

    Args:
        first, second: the networks, or ``"cosine of its input"`` and the network.
        block: the first one's block, and the second one's where that has another name.
        head, kind, group, measure: as of ``Mean``.
        clips: how many clips have it of both.
        difference: the mean over the clips of second − first, each clip with itself.
        error: standard error of that mean; None for one clip.
        higher: in how many of the clips the second is above the first.
    """

    first: str
    second: str
    block: str
    head: int | None
    kind: str
    group: str | None
    measure: str
    clips: int
    difference: float
    error: float | None
    higher: int


_COSINE = "cosine of its input"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch says over all of its clips.

    Args:
        clips: how many clips the table has.
        failed: how many could not be done.
        means: by network, block, head, kind and measure.
        pairs: each network with each other one, block by block of the same name, or counted from
            the output where no block has the same name; and each block with its input's cosine.
    """

    clips: int
    failed: int
    means: tuple[Mean, ...]
    pairs: tuple[Pair, ...]

    def only(self, measures: Sequence[str]) -> Summary:
        """Some of the measures; BatchError for one that no clip has."""
        there = dict.fromkeys(each.measure for each in self.means)
        for name in measures:
            if name not in there:
                raise BatchError(f"No clip has '{name}'; choose of {', '.join(there)}.")
        means = tuple(each for each in self.means if each.measure in measures)
        pairs = tuple(each for each in self.pairs if each.measure in measures)
        return replace(self, means=means, pairs=pairs)

    def csv(self) -> bytes:
        """Means, then pairs, a line each; what one kind of line does not have is empty."""
        names = dict.fromkeys(each.name for kind in (Mean, Pair) for each in fields(kind))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ("what", *names), lineterminator="\n")
        writer.writeheader()
        writer.writerows({"what": "mean", **asdict(each)} for each in self.means)
        writer.writerows({"what": "pair", **asdict(each)} for each in self.pairs)
        return text.getvalue().encode()

    def _repr_html_(self) -> str:
        """In a notebook: both tables."""
        head = ("network", "block", "head", "what", "measure", "clips", "mean ± standard error")
        rows = [
            (*_named(each), each.measure, each.clips, _plus(each.mean, each.error))
            for each in self.means
        ]
        titled = html_table(head, rows, f"{self.clips} clips, {self.failed} failed")
        if not self.pairs:
            return titled
        head = ("second − first", "block", "head", "what", "measure", "clips", "difference")
        rows = [
            (f"{p.second} − {p.first}", *_named(p)[1:], p.measure, p.clips, _differs(p))
            for p in self.pairs
        ]
        return titled + html_table(head, rows, "clip by clip")


def summary(out: str | os.PathLike[str], *, by: str | None = None) -> Summary:
    """Means with standard errors of a batch, and its networks held against each other.

    Clips count once each: a number is first averaged over a clip's queries. A pair takes only the
    clips that both have. Rows without the number, as of a block that could not be asked there, do
    not count.

    Args:
        out: the folder of a batch.
        by: a column of the list that clips are told apart by, as ``"label"``.

    Raises:
        BatchError: no folder of a batch, none of whose clips is done, or an unknown column.
    """
    results = opened(out)
    parts = sorted(str(results.out / ROWS / f"{part}.parquet") for part in results.parts())
    if not parts:
        raise BatchError(f"No clip of '{out}' is done yet; there is nothing to sum up.")
    try:
        rows = dataset.dataset(parts, format="parquet")
        if by is not None and by not in results.manifest()["columns"]:
            there = ", ".join(results.manifest()["columns"]) or "none"
            raise BatchError(f"'{by}' is no column of the list; choose of: {there}.")
        wanted = [*_KEYS, "id", *MEASURES, *([by] if by else [])]
        found = rows.to_table(columns=wanted)
    except (OSError, pa.ArrowException) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise BatchError(
            f"'{out}' cannot be read ({why}); start the batch again, which mends it."
        ) from None
    by_clip = _by_clip(found, by)
    return Summary(
        clips=len(parts),
        failed=len(results.failures()),
        means=tuple(_means(by_clip)),
        pairs=(*_pairs(by_clip), *_cosines(by_clip)),
    )


# (network, block, head, kind, group) → measure → clip's id → its mean over the queries.
_Key = tuple[str, str, int | None, str, str | None]
_ByClip = Mapping[_Key, Mapping[str, Mapping[str, float]]]


def _by_clip(rows: pa.Table, by: str | None) -> _ByClip:
    keys = [*_KEYS, *([by] if by else []), "id"]
    means = rows.group_by(keys, use_threads=False).aggregate([(name, "mean") for name in MEASURES])
    found: dict[_Key, dict[str, dict[str, float]]] = {}
    for row in means.to_pylist():
        group = None if by is None else str(row[by])
        key = (row["network"], row["block"], row["head"], row["kind"], group)
        measures = found.setdefault(key, {})
        for name in MEASURES:
            value = row[f"{name}_mean"]
            if value is not None and math.isfinite(value):
                measures.setdefault(name, {})[row["id"]] = value
    return found


def _means(by_clip: _ByClip) -> Iterator[Mean]:
    for key, measures in by_clip.items():
        network, block, head, kind, group = key
        for measure in (name for name in MEASURES if name in measures):
            values = list(measures[measure].values())
            mean, error = mean_and_error(values)
            yield Mean(network, block, head, kind, group, measure, len(values), mean, error)


def _pairs(by_clip: _ByClip) -> Iterator[Pair]:
    blocks: dict[str, list[str]] = {}
    for network, block, *_ in by_clip:
        if block not in blocks.setdefault(network, []):
            blocks[network].append(block)
    for first, second in combinations(blocks, 2):
        for one, other in matched(blocks[first], blocks[second]):
            for key in [key for key in by_clip if key[:2] == (first, one)]:
                theirs = by_clip.get((second, other, *key[2:]), {})
                name = one if one == other else f"{one}, {other}"
                for measure in (each for each in MEASURES if each in theirs):
                    values = by_clip[key].get(measure, {})
                    yield from _pair((first, second, name), key, measure, values, theirs[measure])


def matched(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """Blocks of the same name; where there is none, those equally far from the output."""
    same = [(block, block) for block in first if block in second]
    return same or list(zip(reversed(first), reversed(second), strict=False))[::-1]


def _cosines(by_clip: _ByClip) -> Iterator[Pair]:
    """Each block held against the cosine of its input."""
    for key, measures in by_clip.items():
        for measure, cosine in zip(ON_OBJECT, COSINE, strict=True):
            names = (_COSINE, key[0], key[1])
            yield from _pair(
                names, key, measure, measures.get(cosine, {}), measures.get(measure, {})
            )


def _pair(
    names: tuple[str, str, str],
    key: _Key,
    measure: str,
    first: Mapping[str, float],
    second: Mapping[str, float],
) -> Iterator[Pair]:
    both = [second[clip] - first[clip] for clip in first if clip in second]
    if both:
        mean, error = mean_and_error(both)
        higher = sum(each > 0 for each in both)
        _, _, head, kind, group = key
        yield Pair(*names, head, kind, group, measure, len(both), mean, error, higher)


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and its standard error s/√n with n − 1 in s; None for one value."""
    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return float(array.mean()), None
    return float(array.mean()), float(array.std(ddof=1) / math.sqrt(len(array)))


def _named(each: Mean | Pair) -> tuple[str, str, str, str]:
    network = each.network if isinstance(each, Mean) else each.second
    head = "" if each.head is None else str(each.head)
    kind = each.kind if each.group is None else f"{each.kind}, {each.group}"
    return network, each.block, head, kind


def _plus(mean: float, error: float | None) -> str:
    return f"{mean:.4g}" if error is None else f"{mean:.4g} ± {error:.2g}"


def _differs(pair: Pair) -> str:
    return f"{_plus(pair.difference, pair.error)}, higher in {pair.higher} of {pair.clips}"


def as_lines(found: Summary) -> Iterable[str]:
    """The tables as aligned text."""
    yield f"{found.clips} clips, {found.failed} failed; mean ± standard error over clips"
    rows = [
        (*_named(each), each.measure, str(each.clips), _plus(each.mean, each.error))
        for each in found.means
    ]
    yield from _aligned(("network", "block", "head", "what", "measure", "clips", "mean"), rows)
    if found.pairs:
        yield ""
        yield "clip by clip, second − first"
        pairs = [(p.first, *_named(p), p.measure, str(p.clips), _differs(p)) for p in found.pairs]
        head = ("first", "second", "block", "head", "what", "measure", "clips", "difference")
        yield from _aligned(head, pairs)


def _aligned(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
