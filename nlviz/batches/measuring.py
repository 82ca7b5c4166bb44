"""What one analysis says: the rows of the table for one clip and one network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.batches.options import BatchOptions, grid_side
from nlviz.batches.reading import LongClip, deepest
from nlviz.clip import Clip
from nlviz.errors import CaptureError, NlvizError, QueryError
from nlviz.experiments.baselines import cosines
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
        number: from 1, in the order in which a clip is asked.
        kind: ``"point"``, ``"region"``, ``"grid"`` or ``"object"``.
        place: where; of an object, the point deepest inside it on the first frame that shows it.
        name: of an object.
        objects: those of the clip's masks; None for a place, and where masks are not held.
    """

    number: int
    kind: str
    place: Point | Region
    name: str | None = None
    objects: MaskObjects | None = None

    @property
    def masks(self) -> Masks | None:
        """(T, H, W), True on the object; None for a place, and where masks are not held."""
        return None if self.objects is None else self.objects.mask(self.name)


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
    wanted = list(_places(clip, places, ask))
    found = [Asked(number, *each) for number, each in enumerate(wanted, start=1)]
    if objects is not None and "masks" in ask:
        for number, name in enumerate(objects.names, start=1):
            masks = objects.labels == number
            if masks.any():
                first = _first(masks)
                place = deepest(masks[first], clip.indices[first])
                found.append(Asked(len(found) + 1, "object", place, name, objects))
    return _checked(found, clip)


def asked_of_windows(
    clip: LongClip, places: Sequence[Point | Region], ask: Sequence[str]
) -> list[Asked]:
    """The same of a clip in windows, whose masks are not held."""
    wanted: list[tuple[Any, ...]] = list(_places(clip, places, ask))
    if "masks" in ask:
        wanted += [("object", each.place, each.name) for each in clip.objects]
    return _checked([Asked(number, *each) for number, each in enumerate(wanted, start=1)], clip)


def _checked(found: list[Asked], clip: Clip | LongClip) -> list[Asked]:
    whole = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    for each in found:
        whole.check(each.place)
    return found


def _places(
    clip: Clip | LongClip, places: Sequence[Point | Region], ask: Sequence[str]
) -> Iterator[tuple[str, Point | Region]]:
    """(kind, place) of all that needs no masks."""
    yield from (("point", p) for p in places if isinstance(p, Point) and "points" in ask)
    yield from (("region", p) for p in places if isinstance(p, Region) and "regions" in ask)
    side = grid_side(ask) or 0
    frame = clip.indices[len(clip.indices) // 2]
    for row in range(side):  # the middles of side × side equal parts of the middle frame
        for col in range(side):
            x, y = (col + 0.5) * clip.width / side, (row + 0.5) * clip.height / side
            yield "grid", Point(frame, x, y)


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
        self._cosines: dict[str, Analysis | NlvizError] = {}

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

    def base(self, block: str) -> dict[str, Any]:
        """What all rows of a block say."""
        clip = self.analysis.clip
        return {
            "width": clip.width,
            "height": clip.height,
            "frames": list(clip.indices),
            "network": self.analysis.network,
            "weights": self.analysis.weights,
            "block": block,
        }

    def _of_block(self, block: str) -> Iterator[dict[str, Any]]:
        base = self.base(block)
        if block in self.analysis.refused:
            yield {**base, "kind": "block", "refused": self.analysis.refused[block]}
            return
        base["fidelity"] = self.analysis.fidelity[block]
        count = self.analysis.affinity(block).heads if self.options.each_head else 1
        for head in (None, *(range(count) if count > 1 else ())):
            if "blocks" in self.ask:
                yield {**base, "head": head, "kind": "block", **self._averages(block, head)}
            for asked, query in zip(self.asked, self.queries(block, head), strict=True):
                row = {**base, "head": head, "kind": asked.kind, "query": asked.number}
                row |= {**_where(asked), **self._spread(query)}
                masks = asked.masks if head is None else None
                if masks is not None:
                    row |= together(row, self._on_object(block, masks))
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
            links = [link.record for link in top_links(self.analysis, query)]
        return {**row, "covered": found.links, "links": links}

    def _on_object(self, block: str, masks: Masks) -> dict[str, Any]:
        """How the block's links and its input's cosine keep to an object."""
        row: dict[str, Any] = _kept_to(self.analysis, block, masks)
        try:
            cosine = self.cosine(block)
        except (CaptureError, QueryError) as why:
            return together(row, {"refused": str(why)})
        found = _kept_to(cosine, cosine.blocks[0], masks)
        named = {
            f"cosine_{name}": value
            for name, value in found.items()
            if name not in ("chance", "refused")
        }
        return {**row, **named}

    def cosine(self, block: str) -> Analysis:
        """The cosine of a block's input; CaptureError or QueryError where there is none."""
        if not self._cosines:
            blocks = [each for each in self.blocks if each in self.analysis.affinities]
            self._cosines = cosines(self.analysis, self.network, blocks)
        found = self._cosines[block]
        if isinstance(found, NlvizError):
            raise found
        return found


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


def together(row: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
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
