"""Measures: by what a scan scores the rows of a block's heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid
from nlviz.media.point_tracks import PointTracks
from nlviz.progress import Progress, part_of
from nlviz.tracking import THRESHOLDS, track
from nlviz.tracking.correspondence import Correspondence
from nlviz.tracking.precision import COVERED, FEWEST, ObjectLinks
from nlviz.tracking.scores import each_after

Masks = NDArray[np.bool_]
Array = NDArray[np.float64]
Head = int | None

MEASURES = ("same_object", "delta", "JF")
"""Same-object precision and J&F, by masks of an object; TAP-Vid's δ, by point tracks."""

POINTS = 2000
"""Points that are asked at most; of more, so many are drawn by a fixed seed."""

_CHUNK_BYTES = 64 << 20  # of the rows of one head


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What one head, or their mean, gave on each query.

    Args:
        head: from 0; None for the mean of all.
        sums: (n, parts), each part's sum over what counts of a query.
        weights: (n,), how much counts of it.
        chance: (n,), what chance gives on it, as a sum; None where that is not known.
        most: (n,), what the grid allows at most, likewise.
    """

    head: Head
    sums: Array
    weights: Array
    chance: Array | None = None
    most: Array | None = None


class Measure(Protocol):
    """A measure, and what it measures against."""

    @property
    def name(self) -> str:
        """One of ``MEASURES``."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """What the score is the mean of, by name; none where it is one number."""
        ...

    @property
    def over(self) -> str:
        """What the interval goes over: queries, points or frames."""
        ...

    def samples(self, analysis: Analysis, block: str, progress: Progress) -> Iterator[Sample]:
        """Of each head and of their mean; QueryError for a block that cannot be measured."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SameObjectPrecision:
    """How many of the heaviest links of an object's cells land on it, see ``same_object``."""

    masks: Masks
    name: str = "same_object"
    parts: tuple[str, ...] = ()
    over: str = "queries"
    _known: dict[tuple[Grid, Grid], ObjectLinks | None] = field(default_factory=dict)

    def _links(self, analysis: Analysis, affinity: Affinity) -> ObjectLinks | None:
        """The object on a block's grids, worked out once for all blocks that have the same."""
        if affinity.reach:
            return ObjectLinks.of(analysis, affinity, self.masks)
        grids = affinity.query_grid, affinity.key_grid
        if grids not in self._known:
            self._known[grids] = ObjectLinks.of(analysis, affinity, self.masks)
        return self._known[grids]

    def samples(self, analysis: Analysis, block: str, progress: Progress) -> Iterator[Sample]:
        """See ``Measure``."""
        affinity = analysis.affinity(block)
        _check_joins(affinity, block)
        found = self._links(analysis, affinity)
        if found is None:
            raise QueryError(
                f"Block {block!r} has fewer than {FEWEST} cells of which {COVERED:.0%} are on the "
                "object, or no other time step to link to; give a larger object or more frames."
            )
        one = np.ones(len(found.queries))
        for head, hits in _of_heads(affinity, found.queries, found.hits, progress):
            yield Sample(head, hits[:, None], one, chance=one * self.masks.mean())


@dataclass(frozen=True, slots=True, eq=False)
class PointDelta:
    """Where the heaviest key of each frame puts a point, by TAP-Vid's δ; see ``FOUND``."""

    tracks: PointTracks
    name: str = "delta"
    parts: tuple[str, ...] = tuple(f"delta_{each}" for each in THRESHOLDS)
    over: str = "points"

    @classmethod
    def of(cls, tracks: PointTracks) -> PointDelta:
        """Of at most ``POINTS`` of the points."""
        order = np.random.default_rng(0).permutation(len(tracks.tracks))[:POINTS]
        kept = np.sort(order)
        return cls(PointTracks(tracks.name, tracks.tracks[kept], tracks.visible[kept]))

    def samples(self, analysis: Analysis, block: str, progress: Progress) -> Iterator[Sample]:
        """See ``Measure``."""
        affinity = analysis.affinity(block)
        _check_joins(affinity, block)
        found = Correspondence.of(analysis, affinity, self.tracks)
        weights = found.positions
        chance, most = (each.mean(axis=1) for each in found.limits())
        for head, near in _of_heads(affinity, found.queries, found.near, progress):
            yield Sample(head, near, weights, chance, most)


@dataclass(frozen=True, slots=True, eq=False)
class RegionAndContour:
    """J and F of an object that is carried on from the first frame that shows it."""

    masks: Masks
    name: str = "JF"
    parts: tuple[str, ...] = ("J", "F")
    over: str = "frames"

    def samples(self, analysis: Analysis, block: str, progress: Progress) -> Iterator[Sample]:
        """See ``Measure``."""
        affinity = analysis.affinity(block)
        first = int(self.masks.any(axis=(1, 2)).argmax())
        if first + 1 == len(self.masks):
            raise QueryError("The masks show the object in their last frame alone; give others.")
        heads: list[Head] = [None, *(range(affinity.heads) if affinity.heads > 1 else ())]
        for number, head in enumerate(heads):
            word = f"carrying the object with {called(block, head)}"
            progress(number / len(heads), word)
            told = part_of(progress, number / len(heads), (number + 1) / len(heads))
            one = affinity if head is None else affinity.head(head)
            alone = replace(analysis, affinities=MappingProxyType({block: one}))
            frame = analysis.clip.indices[first]
            carried = track(
                alone,
                block,
                self.masks[first],
                frame=frame,
                progress=partial(_in_words, told, word),
            )
            scores = each_after(carried.objects[first:], self.masks[first:])
            yield Sample(head, scores, np.ones(len(scores)))


def _in_words(progress: Progress, word: str, fraction: float, _: str) -> None:
    progress(fraction, word)


def called(block: str, head: Head) -> str:
    """A block's or a head's name in words."""
    return f"block {block}" if head is None else f"block {block}, head {head}"


def _check_joins(affinity: Affinity, block: str) -> None:
    if affinity.query_grid.t == 1 or not affinity.joins_frames:
        raise QueryError(
            f"Block {block!r} looks within one frame only, so it has no link to another; choose "
            "another block, or a clip of more frames."
        )


def _of_heads(
    affinity: Affinity,
    queries: Sequence[Cell],
    measured: Callable[[NDArray[np.float32], slice], Array],
    progress: Progress,
) -> Iterator[tuple[Head, Array]]:
    """Of the mean and each head, what its rows of the queries give; never all rows at once."""
    count = affinity.heads
    found: dict[Head, list[Array]] = {None: []}
    step = max(1, _CHUNK_BYTES // (4 * affinity.key_grid.size))
    starts = range(0, len(queries), step)
    for number, start in enumerate(starts):
        some = slice(start, min(start + step, len(queries)))
        mean = np.zeros((some.stop - start, *affinity.key_grid.shape), np.float32)
        for head in range(count):
            progress((number + head / count) / len(starts), "reading its heads")
            rows = affinity.head(head).rows(queries[some])
            if count > 1:
                found.setdefault(head, []).append(measured(rows, some))
            mean += rows
        found[None].append(measured(mean / np.float32(count), some))
    for of, parts in found.items():
        yield of, np.concatenate(parts)
