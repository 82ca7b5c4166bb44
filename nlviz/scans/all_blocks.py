"""The scan itself: every block, every head, and the cosine of every block's input, scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, NlvizError, QueryError
from nlviz.geometry import Point, Region
from nlviz.media.point_tracks import PointTracks
from nlviz.progress import Progress, part_of, silent
from nlviz.query import layer_of
from nlviz.scans.found import Of, Scan, Score
from nlviz.scans.interval import interval, resampled
from nlviz.scans.measures import (
    MEASURES,
    Measure,
    PointDelta,
    RegionAndContour,
    SameObjectPrecision,
    Sample,
)
from nlviz.tracking import mask_of, track
from nlviz.tracking.cells import on_object

if TYPE_CHECKING:
    from nlviz.inference.protocol import Network

Masks = NDArray[np.bool_]
Truth = Masks | PointTracks | Point | Region

_HELD = 512 << 20  # bytes of blocks' inputs that one pass may leave behind


def scan(
    analysis: Analysis,
    truth: Truth,
    *,
    measure: str | None = None,
    network: Network | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Score every block and every head by a measure, and the cosine of every block's input.

    The similarity of a layer's features counts among the cosines, and no derived block is scored.

    Args:
        analysis: whose blocks.
        truth: what they are held against: masks of an object, (T, H, W) for the sampled frames;
            point tracks; or a place, whose object the default block carries through the clip.
        measure: of masks and places ``"same_object"``, see ``nlviz.same_object``, or ``"JF"``, the
            mean of J and F of the object carried on from its first frame; of point tracks
            ``"delta"``, TAP-Vid's δ of the heaviest key in each frame. None for the first.
        network: what made the analysis, for the cosines: it runs once more. None leaves them out.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Returns:
        with intervals over queries, points or frames; blocks that cannot be measured are among
        the refused.

    Raises:
        QueryError: masks of another shape, of several labels or without an object, tracks of
            another length, a place outside the clip, or a measure that does not go with the truth.
        MediaError: tracks neither of all the source's frames nor of the sampled ones.
    """
    found = None
    for each in scanning(analysis, truth, measure=measure, network=network, progress=progress):
        found = each
    if found is None:
        raise QueryError("The analysis has no block to scan.")
    return found


def scanning(
    analysis: Analysis,
    truth: Truth,
    *,
    measure: str | None = None,
    network: Network | None = None,
    progress: Progress | None = None,
) -> Iterator[Scan]:
    """The same as it grows: what there is after each block, then after each cosine."""
    report = progress or silent
    carried_by = None
    if isinstance(truth, (Point, Region)):
        carried_by = analysis.default_block
        truth = carried_object(analysis, truth, progress=part_of(report, 0.0, 0.1))
    how = _measure(analysis, truth, measure)
    share = 0.6 if network is not None else 1.0
    found = Scan(how.name, how.over, (), dict(analysis.refused), carried_by)
    for number, block in enumerate(analysis.blocks):
        told = part_of(report, *_part(number, analysis.blocks, 0.1, share), f"block {block}: ")
        of: Of = "weights" if layer_of(block) is None else "cosine"
        try:
            _check_own(analysis, block)
            found = found.with_scores(_scores(how, analysis, block, block, of, told))
        except QueryError as why:
            found = found.with_refused(block, str(why))
        yield found
    if network is not None:
        yield from _with_inputs(found, how, analysis, network, part_of(report, share, 1.0))
    report(1.0, "done")


def with_inputs(
    found: Scan,
    analysis: Analysis,
    truth: Masks | PointTracks,
    network: Network,
    *,
    progress: Progress | None = None,
) -> Scan:
    """A scan that was made without the network, with the cosine of every block's input.

    Args:
        found: the scan, of the same truth.
        analysis, truth, network, progress: as for ``scan``.

    Raises:
        QueryError, MediaError: as ``scan``.
    """
    how = _measure(analysis, truth, found.measure)
    for each in _with_inputs(found, how, analysis, network, progress or silent):
        found = each
    return found


def _with_inputs(
    found: Scan, how: Measure, analysis: Analysis, network: Network, report: Progress
) -> Iterator[Scan]:
    blocks = analysis.network_blocks
    for number, (block, cosine) in enumerate(_cosines(analysis, network, blocks, report)):
        told = part_of(report, *_part(number, blocks, 0.0, 1.0), f"input of {block}: ")
        try:
            if isinstance(cosine, NlvizError):
                raise cosine
            (name,) = cosine.blocks
            found = found.with_scores(_scores(how, cosine, name, block, "cosine", told))
        except (CaptureError, QueryError) as why:
            found = found.with_refused(f"{block} (cosine)", str(why))
        yield found


def _check_own(analysis: Analysis, block: str) -> None:
    if block in analysis.derived:
        raise QueryError(
            f"Block {block!r} is derived from several layers, no weight of the network to compare "
            "with its others."
        )


def carried_object(
    analysis: Analysis,
    place: Point | Region,
    block: str | None = None,
    *,
    progress: Progress | None = None,
) -> Masks:
    """(T, H, W): the object at a place, carried through the clip by a block's affinity.

    Args:
        analysis: the analysis.
        place: a region, or a point, which stands for its cell and those around it: one cell alone
            is too little to score.
        block: which block carries it; the default one if None.
        progress: as for ``scan``.

    Raises:
        QueryError: a place outside the clip, or a block that cannot carry it, see ``track``, or
            that loses it at once.
    """
    block = block or analysis.default_block
    if isinstance(place, Point):
        place = _around(analysis, block, place)
    mask = mask_of(analysis, block, place)
    found = track(analysis, block, mask, frame=place.frame, progress=progress).objects
    if found.any(axis=(1, 2)).sum() < 2:
        raise QueryError(
            f"Block {block!r} loses the object at once: no other frame has it; choose another "
            "block, draw a region, or give masks."
        )
    return found


def _around(analysis: Analysis, block: str, point: Point) -> Region:
    """The cell of a point and its neighbours, as far as they lie in the frame."""
    view, grid = analysis.view, analysis.affinity(block).query_grid
    box = view.footprint(view.cell(point, grid), grid)
    (_, dy, dx), (width, height) = view.steps(grid), view.source
    x0, y0 = max(box.x0 - dx, 0.0), max(box.y0 - dy, 0.0)
    return Region.box(point.frame, x0, y0, min(box.x1 + dx, width), min(box.y1 + dy, height))


def _measure(analysis: Analysis, truth: Masks | PointTracks, name: str | None) -> Measure:
    """The measure; QueryError where it does not go with the truth, or the truth with the clip."""
    points = isinstance(truth, PointTracks)
    name = name or ("delta" if points else "same_object")
    if name not in MEASURES:
        raise QueryError(f"Measure {name!r} is unknown; choose one of {', '.join(MEASURES)}.")
    if points != (name == "delta"):
        wanted = "point tracks" if name == "delta" else "masks of an object, or a place on one"
        raise QueryError(f"The measure {name!r} needs {wanted}.")
    if isinstance(truth, PointTracks):
        return PointDelta.of(truth.of(analysis.clip))
    truth = on_object(truth)
    if truth.shape != analysis.clip.frames.shape[:3]:
        raise QueryError(
            f"The masks are {truth.shape}, the clip's frames {analysis.clip.frames.shape[:3]}; "
            "give one of the clip's size for each frame."
        )
    if not truth.any():
        raise QueryError("The masks show no object in any frame; give some that do.")
    return RegionAndContour(truth) if name == "JF" else SameObjectPrecision(truth)


def _scores(
    how: Measure, analysis: Analysis, name: str, block: str, of: Of, progress: Progress
) -> list[Score]:
    return [_score(how, each, block, of) for each in how.samples(analysis, name, progress)]


def _score(how: Measure, sample: Sample, block: str, of: Of) -> Score:
    total = float(sample.weights.sum())
    again = resampled(sample.sums.mean(axis=1), sample.weights)
    low, high = interval(again)
    chance, most = (
        None if each is None else float(each.sum()) / total for each in (sample.chance, sample.most)
    )
    each = sample.sums.sum(axis=0) / total
    parts = dict(zip(how.parts, map(float, each), strict=True)) if how.parts else {}
    value, count = float(each.mean()), len(sample.sums)
    return Score(block, sample.head, of, value, low, high, count, parts, chance, most, again)


def _cosines(
    analysis: Analysis, network: Network, blocks: Sequence[str], report: Progress
) -> Iterator[tuple[str, Any]]:
    """Each block with the cosine of its input, or why there is none, from as few passes as fit."""
    from nlviz.experiments.baselines import cosines

    part: list[str] = []
    for block in blocks:
        part.append(block)
        held = sum(4 * a.query_grid.size * a.width for a in map(analysis.affinity, part))
        if held >= _HELD or block == blocks[-1]:
            report(blocks.index(part[0]) / len(blocks), "running the network for its inputs")
            yield from cosines(analysis, network, part).items()
            part = []


def _part(number: int, blocks: Sequence[str], start: float, end: float) -> tuple[float, float]:
    size = (end - start) / len(blocks)
    return start + number * size, start + (number + 1) * size
