"""A clip of a batch that is longer than a window: its rows and files, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.batches.drawing import MOST, drawable, encoded, files_of, slug, width_of
from nlviz.batches.listing import Entry
from nlviz.batches.measuring import Asked, Measuring, together
from nlviz.batches.options import BatchOptions
from nlviz.batches.reading import LongClip
from nlviz.batches.stores import here
from nlviz.errors import CaptureError, QueryError
from nlviz.inference.protocol import Network
from nlviz.media.masks import read_objects_of_frames
from nlviz.query import Query
from nlviz.tracking import contour_accuracy, region_similarity, same_object
from nlviz.windows.joining import NAMED
from nlviz.windows.long_analysis import LongAnalysis, open_long
from nlviz.windows.plan import TimeWindow, WindowPlan
from nlviz.windows.tracking import Handed, carried

Masks = NDArray[np.bool_]
Files = dict[str, bytes]


def by_window(long: LongAnalysis, asked: Sequence[Asked]) -> dict[int, list[Asked]]:
    """What is asked of each window, by its number: each place of the one that answers for it."""
    found: dict[int, list[Asked]] = {}
    for each in asked:
        found.setdefault(long.of(each.place.frame).number, []).append(each)
    return found


def needed(long: LongAnalysis, asked: Sequence[Asked], ask: Sequence[str]) -> list[int]:
    """The numbers of the windows whose own rows the table has, or that carry an object on."""
    if "blocks" in ask:
        return list(range(len(long)))
    several = by_window(long, asked)
    objects = [n for n, there in several.items() if any(each.kind == "object" for each in there)]
    after = range(min(objects), len(long)) if objects else ()
    return sorted({*several, *after})


def run_for(
    long: LongAnalysis, asked: Sequence[Asked], options: BatchOptions, ask: Sequence[str]
) -> list[int]:
    """The numbers of all windows that are run: those of the table, their neighbours, the film."""
    if options.films:
        return list(range(len(long)))
    found = set(needed(long, asked, ask))
    if options.neighbours:
        own = by_window(long, [each for each in asked if each.kind != "object"])
        found |= {near for n in own for near in (n - 1, n + 1) if 0 <= near < len(long)}
    return sorted(found)


def opened(path: str, name: str, network: Network, options: BatchOptions) -> LongAnalysis:
    """The windows of a clip, none of which is run, in a folder that goes with them."""
    return open_long(
        path,
        network,
        window=options.window or 1,
        overlap=options.overlap,
        frames=options.frames,
        stride=options.stride,
        start=options.start,
        size=options.size,
        name=name,
        features=options.features,
    )


def measured(
    entry: Entry,
    clip: LongClip,
    network: Network,
    asked: Sequence[Asked],
    options: BatchOptions,
    ask: Sequence[str],
) -> tuple[list[dict[str, Any]], Files]:
    """The rows and files of one clip and one network; one window is held at a time.

    Raises:
        MediaError, NetworkError, CaptureError, QueryError, ExportError: what windows raise.
    """
    with here(entry.path) as path:
        long = opened(path, entry.name, network, options)
        long = replace(long, stream=replace(long.stream, path=entry.path))
        return _Making(entry, clip, long, asked, options, ask).all()


class _Making:
    """One clip in windows on its way."""

    def __init__(
        self,
        entry: Entry,
        clip: LongClip,
        long: LongAnalysis,
        asked: Sequence[Asked],
        options: BatchOptions,
        ask: Sequence[str],
    ) -> None:
        self._long, self._clip, self._options, self._ask = long, clip, options, ask
        self._numbers = needed(long, asked, ask)
        self._asked = by_window(long, asked)
        self._masks = entry.masks
        self._stem = f"{slug(Path(entry.name).stem)}-{entry.id}"
        self._objects: list[_OnObject] = []
        self._queries: dict[str, list[Query]] = {}
        self._network = ""

    def all(self) -> tuple[list[dict[str, Any]], Files]:
        rows: list[dict[str, Any]] = []
        files: Files = {}
        for number in self._numbers:
            analysis = self._long.window(number)
            rows += self._of_window(number, analysis)
            files |= self._files(number, analysis)
        for each in self._objects:
            each.tell()
        return rows, {**files, **dict(self._films())}

    def _measuring(
        self, analysis: Analysis, asked: Sequence[Asked], ask: Sequence[str]
    ) -> Measuring:
        return Measuring(analysis, self._long.network, asked, self._options, ask)

    def _of_window(self, number: int, analysis: Analysis) -> Iterator[dict[str, Any]]:
        several = self._asked.get(number, [])
        beside = [each for each in several if self._options.neighbours and each.kind != "object"]
        own = self._measuring(analysis, [e for e in several if e not in beside], self._ask)
        for row in own.rows():
            row["window"] = number
            self._begin(row, several)
            yield row
        if beside:
            yield from ({**row, "window": number} for row in self._joined(number, own, beside))
        window = self._long.plan[number]
        if not self._objects:
            return
        part = window.start, window.stop
        found = read_objects_of_frames(str(self._masks), self._clip.black, part=part)
        for each in self._objects:
            each.go_on(window, own, found.numbered([str(each.asked.name)]) > 0)

    def _joined(self, number: int, own: Measuring, beside: Sequence[Asked]) -> list[dict[str, Any]]:
        """The rows over the window and its neighbours, which say that they are joined."""
        frame = self._clip.indices[self._long.plan[number].own_start]
        try:
            joined = self._long.around(frame)
        except QueryError as why:  # no block reaches a neighbour
            name = f"{own.analysis.network} ({NAMED})"
            return [
                {**row, "network": name, "fidelity": None, "kind": "block", "refused": str(why)}
                for row in map(own.base, own.blocks)
            ]
        return self._measuring(joined, beside, ()).rows()

    def _begin(self, row: dict[str, Any], several: Sequence[Asked]) -> None:
        """Follow an object from here on, for the row of one block."""
        if row["kind"] == "object" and row["head"] is None:
            (asked,) = (each for each in several if each.number == row["query"])
            (share,) = (each.share for each in self._clip.objects if each.name == asked.name)
            first = self._clip.indices.index(asked.place.frame)
            self._objects.append(_OnObject(row, asked, share, first, self._long.plan))

    def _files(self, number: int, analysis: Analysis) -> Files:
        """Arrays and figures of a window that is asked; the film is of all windows."""
        options, several = self._options, self._asked.get(number, [])
        if not several or not (options.arrays or options.figures or options.films):
            return {}
        measuring = self._measuring(analysis, several, self._ask)
        self._network = analysis.network
        for block in measuring.blocks if options.films else ():
            self._queries.setdefault(block, []).extend(drawable(measuring, block))
        stem = f"{self._stem}-window-{number:05d}"
        return dict(files_of(measuring, replace(options, films=None), stem))

    def _films(self) -> Iterator[tuple[str, bytes]]:
        from nlviz.windows.film import play_windows

        for block, queries in self._queries.items():
            if queries:
                name = f"{self._stem}-{slug(self._network)}-{slug(block)}"
                film = play_windows(self._long, queries[:MOST], width=width_of(self._options))
                yield f"films/{name}.{self._options.films}", encoded(film, self._options)


@dataclass(slots=True, eq=False)
class _Carrier:
    """One affinity that carries an object on: what it found in each window."""

    start: Handed | None
    hits: list[tuple[float, float]] = field(default_factory=list)
    scores: list[tuple[float, float]] = field(default_factory=list)
    refused: str = ""

    def go_on(
        self, seen: Analysis, block: str, plan: WindowPlan, number: int, masks: Masks, first: int
    ) -> None:
        """Through one more window; ``first`` is the position that the mask was given for."""
        window = plan[number]
        found = same_object(seen, seen.affinity(block), masks)
        if found is not None:
            self.hits.append((found.precision, found.best_a_frame))
        if self.refused:
            return
        shape = masks[window.own_start - window.start : window.own_stop - window.start].shape
        objects, after = np.zeros(shape, np.bool_), None
        if self.start is not None:
            try:
                found_here = carried(seen, plan, number, block, self.start)
            except QueryError as why:
                self.refused = str(why)
                return
            objects, after = found_here.objects, found_here.after
        self.start = after
        for position in range(max(window.own_start, first + 1), window.own_stop):
            pair = objects[position - window.own_start], masks[position - window.start]
            self.scores.append((region_similarity(*pair), contour_accuracy(*pair)))

    @property
    def told(self) -> dict[str, Any]:
        """The columns of a row."""
        row: dict[str, Any] = {"refused": self.refused} if self.refused else {}
        if self.hits:
            row["same_object"], row["best_a_frame"] = map(float, np.mean(self.hits, axis=0))
        if self.scores and not self.refused:
            j, f = map(float, np.mean(self.scores, axis=0))
            row |= {"J": j, "F": f, "JF": (j + f) / 2}
        return row


class _OnObject:
    """How one block, and its input's cosine, keep to an object from window to window.

    Args:
        row: of the table, which ``tell`` completes.
        asked: the object.
        share: its share of all pixels.
        first: the position of the first frame that shows it.
        plan: the windows.
    """

    def __init__(
        self, row: dict[str, Any], asked: Asked, share: float, first: int, plan: WindowPlan
    ) -> None:
        self.asked, self._row, self._first, self._plan = asked, row, first, plan
        self._row["chance"] = share
        self._block = str(row["block"])
        self._own: _Carrier | None = None
        self._cosine: _Carrier | None = None
        self._no_cosine = ""

    def go_on(self, window: TimeWindow, measuring: Measuring, masks: Masks) -> None:
        """Through one more window."""
        if self._own is None:
            given = Handed(masks[self._first - window.start], self.asked.place.frame)
            self._own, self._cosine = _Carrier(given), _Carrier(given)
        where = self._plan, window.number, masks, self._first
        self._own.go_on(measuring.analysis, self._block, *where)
        if self._no_cosine or self._cosine is None:
            return
        try:
            cosine = measuring.cosine(self._block)
        except (CaptureError, QueryError) as why:
            self._no_cosine = str(why)
            return
        self._cosine.go_on(cosine, cosine.blocks[0], *where)

    def tell(self) -> None:
        """Complete the row."""
        own = {} if self._own is None else self._own.told
        cosine = {} if self._cosine is None or self._no_cosine else self._cosine.told
        named = {f"cosine_{name}": each for name, each in cosine.items() if name != "refused"}
        whole = together(self._row, {**own, **named})
        if self._no_cosine:
            whole = together(whole, {"refused": self._no_cosine})
        self._row.update(whole)
