"""What one analysis says: the rows of the table for one clip and one network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.batches.options import BatchOptions, grid_side
from nlviz.clip import Clip
from nlviz.errors import CaptureError, QueryError
from nlviz.experiments.baselines import baseline, cosines
from nlviz.geometry import Point, Region, View
from nlviz.inference.protocol import Network
from nlviz.media.mask_objects import MaskObjects
from nlviz.query import Exclude, Query
from nlviz.statistics import block_statistics, profile
from nlviz.tracking import mean_after, same_object, track

Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One thing that is asked of a clip.

    Args:
        kind: ``"point"``, ``"region"``, ``"grid"`` or ``"object"``.
        place: where; of an object, the point deepest inside it on the first frame that shows it.
        name: of an object.
        masks: (T, H, W), True on an object; None for a place.
    """

    kind: str
    place: Point | Region
    name: str | None = None
    masks: Masks | None = None


def asked_of(
    clip: Clip,
    places: Sequence[Point | Region],
    objects: MaskObjects | None,
    ask: Sequence[str],
) -> list[Asked]:
    """All that is asked of a clip, in order.

    Args:
        clip: the frames.
        places: those of all clips, then the clip's own.
        objects: the objects of its masks.
        ask: what counts of these, see ``BatchOptions.ask``.

    Raises:
        QueryError: a place that the clip does not have.
    """
    found = [Asked("point", p) for p in places if isinstance(p, Point) and "points" in ask]
    found += [Asked("region", p) for p in places if isinstance(p, Region) and "regions" in ask]
    found += [Asked("grid", point) for point in _grid(clip, grid_side(ask) or 0)]
    if objects is not None and "masks" in ask:
        for number, name in enumerate(objects.names, start=1):
            masks = objects.labels == number
            if masks.any():
                found.append(Asked("object", _deepest(clip, masks), name, masks))
    whole = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    for each in found:
        whole.check(each.place)
    return found


def _grid(clip: Clip, side: int) -> Iterator[Point]:
    """The middles of side × side equal parts of the middle frame."""
    frame = clip.indices[len(clip.indices) // 2]
    for row in range(side):
        for col in range(side):
            yield Point(frame, (col + 0.5) * clip.width / side, (row + 0.5) * clip.height / side)


def _deepest(clip: Clip, masks: Masks) -> Point:
    first = _first(masks)
    inside = np.pad(masks[first].astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return Point(clip.indices[first], float(x) + 0.5, float(y) + 0.5)


def _first(masks: Masks) -> int:
    """The first frame that shows an object."""
    return int(masks.any(axis=(1, 2)).argmax())


class Measuring:
    """The rows of one analysis.

    Args:
        analysis: of one clip by one network.
        network: the network, for the cosine of its blocks' inputs.
        asked: what is asked of the clip.
        options: blocks, heads, links.
        ask: what is asked in all, see ``BatchOptions.ask``.
    """

    def __init__(
        self,
        analysis: Analysis,
        network: Network,
        asked: Sequence[Asked],
        options: BatchOptions,
        ask: Sequence[str],
    ) -> None:
        self.analysis, self.network, self.asked = analysis, network, asked
        self.options, self.ask = options, ask
        self._cosines: dict[str, Analysis] = {}

    @property
    def blocks(self) -> tuple[str, ...]:
        """Those that are asked; QueryError for one that does not exist."""
        for block in self.options.blocks:
            if block not in self.analysis.refused:
                self.analysis.affinity(block)
        refused = (name for name in self.analysis.refused if name not in self.analysis.affinities)
        return self.options.blocks or (*self.analysis.blocks, *refused)

    def queries(self, block: str, head: int | None = None) -> list[Query]:
        """One for each thing that is asked."""
        # A picture has no other frame to link to, nor has a block that sees each frame by itself.
        alone = not self.analysis.affinity(block).joins_frames
        exclude: Exclude = self.options.exclude or ("cell" if alone else "frame")
        return [Query(each.place, block, self.options.k, exclude, head) for each in self.asked]

    def rows(self) -> list[dict[str, Any]]:
        """The rows, by block, head and query."""
        return [row for block in self.blocks for row in self._of_block(block)]

    def _of_block(self, block: str) -> Iterator[dict[str, Any]]:
        clip = self.analysis.clip
        base = {
            "width": clip.width,
            "height": clip.height,
            "frames": list(clip.indices),
            "network": self.analysis.network,
            "weights": self.analysis.weights,
            "block": block,
        }
        if block in self.analysis.refused:
            yield {**base, "kind": "block", "refused": self.analysis.refused[block]}
            return
        base["fidelity"] = self.analysis.fidelity[block]
        count = self.analysis.affinity(block).heads if self.options.each_head else 1
        for head in (None, *(range(count) if count > 1 else ())):
            if "blocks" in self.ask:
                yield {**base, "head": head, "kind": "block", **self._averages(block, head)}
            pairs = zip(self.asked, self.queries(block, head), strict=True)
            for number, (asked, query) in enumerate(pairs, start=1):
                row = {**base, "head": head, "kind": asked.kind, "query": number}
                row |= {**_where(asked), **self._spread(query)}
                if asked.masks is not None and head is None:
                    row |= _together(row, self._on_object(block, asked.masks))
                yield row

    def _averages(self, block: str, head: int | None) -> dict[str, Any]:
        try:
            found = block_statistics(self.analysis, block, head=head)
        except QueryError as why:
            return {"refused": str(why)}
        names = (
            *("queries", "positions", "distance", "duration", "own_frame", "entropy"),
            *("effective", "divergence", "reach_divergence", "alike"),
        )
        return {name: getattr(found, name) for name in names}

    def _spread(self, query: Query) -> dict[str, Any]:
        try:
            found = profile(self.analysis, query)
        except QueryError as why:
            return {"refused": str(why)}
        names = ("distance", "duration", "own_frame", "entropy", "effective", "positions", "tokens")
        row = {name: getattr(found, name) for name in names}
        links: list[dict[str, Any]] = []
        with suppress(QueryError):  # an exclusion that leaves no place
            links = [
                {
                    "rank": link.rank,
                    "weight": link.weight,
                    "share": link.share,
                    "frame": link.target.frame,
                    "x": link.target.x,
                    "y": link.target.y,
                }
                for link in top_links(self.analysis, query)
            ]
        return {**row, "covered": found.links, "links": links}

    def _on_object(self, block: str, masks: Masks) -> dict[str, Any]:
        """How the block's links and its input's cosine keep to an object."""
        row: dict[str, Any] = _kept_to(self.analysis, block, masks)
        try:
            cosine = self._cosine(block)
        except (CaptureError, QueryError) as why:
            return _together(row, {"refused": str(why)})
        found = _kept_to(cosine, cosine.blocks[0], masks)
        named = {
            f"cosine_{name}": value
            for name, value in found.items()
            if name not in ("chance", "refused")
        }
        return {**row, **named}

    def _cosine(self, block: str) -> Analysis:
        if not self._cosines:
            blocks = [each for each in self.blocks if each in self.analysis.affinities]
            with suppress(CaptureError, QueryError):  # told for the block that it is of
                self._cosines = cosines(self.analysis, self.network, blocks)
        if block not in self._cosines:
            self._cosines[block] = baseline(self.analysis, self.network, block, "cosine")
        return self._cosines[block]


def _kept_to(analysis: Analysis, block: str, masks: Masks) -> dict[str, Any]:
    """Same-object precision, and J and F of the object carried on from its first frame."""
    row: dict[str, Any] = {"chance": float(masks.mean())}
    found = same_object(analysis, analysis.affinity(block), masks)
    if found is not None:
        row |= {"same_object": found.precision, "best_a_frame": found.best_a_frame}
    first = _first(masks)
    if first + 1 < len(masks):
        try:
            carried = track(analysis, block, masks[first], frame=analysis.clip.indices[first])
        except QueryError as why:
            return {**row, "refused": str(why)}
        j, f = mean_after(carried.objects[first:], masks[first:])
        row |= {"J": j, "F": f, "JF": (j + f) / 2}
    return row


def _together(row: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both, with the reasons of both for what is not there."""
    why = " ".join(dict.fromkeys(each["refused"] for each in (row, more) if each.get("refused")))
    return {**row, **more, **({"refused": why} if why else {})}


def _where(asked: Asked) -> dict[str, Any]:
    place = asked.place
    at = place.centre if isinstance(place, Region) else place
    outline = [list(xy) for xy in place.outline] if isinstance(place, Region) else None
    return {"frame": at.frame, "x": at.x, "y": at.y, "outline": outline, "object": asked.name}


def without_scores(network: Any) -> Any:
    """The network without the further passes that class scores come from: a batch has none."""
    if getattr(network, "score_windows", None) is None:
        return network
    return replace(network, score_windows=None)
