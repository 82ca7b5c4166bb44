"""``nlviz track`` of objects: what was marked, the clip in one piece or windows, and the report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.cli.long import tell
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.clip import Clip
from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.writing import write

if TYPE_CHECKING:
    from nlviz.media.mask_objects import MaskObjects
    from nlviz.tracking import ObjectTracks, Protocol

Masks = NDArray[np.bool_]
Numbers = NDArray[np.uint16]

_AT_ONCE = 8  # frames of truth that are read at a time
_BESIDE = 8  # objects that have a column each


def carry(options: argparse.Namespace, question: Question, protocol: Protocol) -> None:
    """Run it, write what was asked for, and print the report."""
    run = _in_windows if question.window is not None else _in_one_piece
    carried = run(options, question, protocol)
    report = _report(carried)
    if options.output:
        _write(options, question, carried)
    print(json.dumps(report, indent=2)) if options.json else _print(report)


@dataclass(frozen=True, slots=True, eq=False)
class _Marked:
    """The objects that tracking starts from.

    Args:
        frame: the source frame that they are marked on.
        names: of the objects.
        masks: (K, H, W).
        truth: the folder with the masks of all frames, or None.
    """

    frame: int
    names: tuple[str, ...]
    masks: Masks
    truth: _Truth | None = None


@dataclass(slots=True, eq=False)
class _Carried:
    """Objects on all sampled frames of a clip, each held by the window that answers for it.

    Args:
        analysis: of the window that tracking starts in.
        clip: all sampled frames.
        block: what carried them.
        marked: what it started from.
        protocol, words: how.
        of: position → the tracks and the position in them; without one where all were lost.
    """

    analysis: Analysis
    clip: Clip
    block: str
    marked: _Marked
    protocol: Protocol
    words: str
    of: dict[int, tuple[ObjectTracks, int]] = field(default_factory=dict)

    def numbers(self, position: int, *, edges: bool = False) -> Numbers:
        if position not in self.of:
            return np.zeros((self.clip.height, self.clip.width), np.uint16)
        tracks, at = self.of[position]
        if not edges:
            return tracks.numbers(at)
        from nlviz.tracking.edges import along_edges

        frame = self.clip.frames[position]
        return along_edges(
            tracks.soft(at), frame, tracks.view, tracks.grid, tracks.protocol.decision
        )


class _Truth:
    """The masks of all frames of a clip, read a few at a time.

    Args:
        path: of their folder.
        clip: whose frames they are of.
        label: one object alone; None for all of the first frame.
    """

    def __init__(self, path: str, clip: Clip, label: str | None) -> None:
        self._path, self._clip = path, clip
        found = self._read(0, 1)
        self.names, self.first = _objects_of(found, label)

    def of(self, start: int, stop: int) -> Numbers:
        """(T, H, W) of the sampled frames from a position up to another: k on ``names[k - 1]``."""
        return self._read(start, stop).numbered(self.names)

    def _read(self, start: int, stop: int) -> MaskObjects:
        from nlviz.media.masks import read_objects_of_frames

        return read_objects_of_frames(self._path, self._clip, part=(start, stop))


def _objects_of(found: MaskObjects, label: str | None) -> tuple[tuple[str, ...], Masks]:
    """The names and the masks, (K, H, W), of a mask's first frame: of one object or of all."""
    if label is not None or not found.names:
        return (str(label or "1").lower(),), found.mask(label)[:1]
    from nlviz.tracking.propagation import check_count

    height, width = found.labels.shape[1:]
    check_count((width, height), len(found.names))
    return found.names, np.stack([found.labels[0] == n + 1 for n in range(len(found.names))])


def _marked(
    options: argparse.Namespace, clip: Clip, places: Sequence[Any], frame: int
) -> _Marked | None:
    """What was marked by masks; None where places are to be asked of an analysis."""
    if places:
        return None
    if options.masks:
        truth = _Truth(options.masks, clip, options.object)
        return _Marked(frame, truth.names, truth.first, truth)
    from nlviz.media.masks import read_objects

    names, masks = _objects_of(read_objects(options.mask, clip), options.object)
    return _Marked(frame, names, masks)


def _of_places(analysis: Analysis, block: str, places: Sequence[Point | Region]) -> _Marked:
    """Each place as an object."""
    from nlviz.tracking import mask_of

    masks = np.stack([mask_of(analysis, block, place) for place in places])
    names = tuple(str(number) for number in range(1, len(places) + 1))
    return _Marked(places[0].frame, names, masks)


def _places(question: Question) -> list[Point | Region]:
    places = [place for place in question.at if not isinstance(place, str)]
    if len({place.frame for place in places}) > 1:
        raise QueryError(
            "Objects that are tracked together are marked on one frame; give --at and --region of "
            "one, or follow --points."
        )
    return places


def _in_one_piece(options: argparse.Namespace, question: Question, protocol: Protocol) -> _Carried:
    from nlviz.tracking import track_objects

    places = _places(question)
    subject = Subject.run(question)
    analysis, block = subject.analysis, subject.block
    marked = _marked(options, analysis.clip, places, analysis.clip.indices[0])
    marked = marked or _of_places(analysis, block, places)
    found = track_objects(
        analysis,
        block,
        marked.masks,
        names=marked.names,
        frame=marked.frame,
        protocol=protocol,
        progress=progress,
    )
    carried = _Carried(analysis, analysis.clip, block, marked, protocol, protocol.words)
    carried.of = {position: (found, position) for position in range(len(analysis.clip.frames))}
    return carried


def _in_windows(options: argparse.Namespace, question: Question, protocol: Protocol) -> _Carried:
    """The same through a clip in windows, one of which is held at a time."""
    from nlviz.windows.objects import HANDED_ON, KEPT_FIRST, track_objects_windows

    places = _places(question)
    long = Subject.long(question)
    start = places[0].frame if places else long.stream.indices[0]
    marked = _marked(options, long.whole, places, start)
    tell(long, question)
    long.run(progress)
    first = long.at(start)
    block = question.block or first.default_block
    marked = marked or _of_places(first, block, places)
    keep = bool(options.keep_first or options.preset)
    words = f"{protocol.words} {KEPT_FIRST if keep else HANDED_ON}"
    said = f"{block} ({question.baseline})" if question.baseline else block
    carried = _Carried(first, long.whole, said, marked, protocol, words)
    for each in track_objects_windows(
        long,
        block,
        marked.masks,
        names=marked.names,
        frame=start,
        protocol=protocol,
        keep_first=keep,
        baseline=question.baseline,
        progress=progress,
    ):
        window = each.window
        for position in range(window.own_start, window.own_stop):
            if each.found is not None:
                carried.of[position] = each.found, position - window.start
    carried.clip = long.whole
    return carried


def _report(carried: _Carried) -> dict[str, Any]:
    from nlviz.export.report import seen

    frames = list(_each(carried))
    report = {
        **seen(carried.analysis),
        "block": carried.block,
        "from": carried.marked.frame,
        "protocol": {**asdict(carried.protocol), "words": carried.words},
        "frames": frames,
    }
    report["input"]["sampled_frames"] = list(carried.clip.indices)
    names = carried.marked.names
    if len(names) > 1:
        report["objects"] = [{"name": name} for name in names]
    if carried.marked.truth is None:
        return report
    after = [each for each in frames if each["frame"] != carried.marked.frame]
    for i, said in enumerate(report.get("objects", ())):
        said |= _means([each["objects"][i] for each in after])
    return {**report, **_means(after)}


def _each(carried: _Carried) -> Iterator[dict[str, Any]]:
    """What is told of each frame: how much of it is on each object, and J and F where known."""
    names, truth, count = carried.marked.names, carried.marked.truth, len(carried.clip.frames)
    for start in range(0, count, _AT_ONCE):
        stop = min(start + _AT_ONCE, count)
        real = None if truth is None else truth.of(start, stop)
        for position in range(start, stop):
            numbers = carried.numbers(position)
            several = [
                _told(numbers == k, None if real is None else real[position - start] == k)
                for k in range(1, len(names) + 1)
            ]
            frame: dict[str, Any] = {"frame": carried.clip.indices[position]}
            if len(names) == 1:
                yield {**frame, **several[0]}
                continue
            whole = {"object": float((numbers > 0).mean())}
            named = [{"name": name, **each} for name, each in zip(names, several, strict=True)]
            yield {**frame, **whole, **({} if real is None else _means(several)), "objects": named}


def _told(found: Masks, real: Masks | None) -> dict[str, float]:
    from nlviz.tracking import contour_accuracy, region_similarity

    told = {"object": float(found.mean())}
    if real is None:
        return told
    return {**told, "J": region_similarity(found, real), "F": contour_accuracy(found, real)}


def _means(frames: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in frames])) for name in "JF"}


def _print(report: dict[str, Any]) -> None:
    print(_head(report))
    names = [name for name in ("object", "J", "F") if name in report["frames"][0]]
    several = [each["name"] for each in report.get("objects", ())]
    several = several if len(several) <= _BESIDE else []
    heads = ["all" if several and name == "object" else name for name in names]
    print(f"{'frame':>6}  " + "  ".join(f"{name:>7}" for name in (*heads, *several)))
    for each in report["frames"]:
        numbers = [each[name] for name in names]
        numbers += [one["object"] for one in each["objects"]] if several else []
        print(f"{each['frame']:>6}  " + "  ".join(f"{number:>7.3f}" for number in numbers))
    for each in report.get("objects", ()):
        if "J" in each:
            print(f"object {each['name']}: J {each['J']:.3f}, F {each['F']:.3f}")
    if "J" in report:
        print(f"after the first frame: J {report['J']:.3f}, F {report['F']:.3f}")


def _head(report: dict[str, Any]) -> str:
    from nlviz.tracking import Protocol

    numbers = {name: value for name, value in report["protocol"].items() if name != "words"}
    return (
        f"{report['model']}, block {report['block']}, from frame {report['from']}: "
        f"{Protocol(**numbers).numbers}"
    )


def _write(options: argparse.Namespace, question: Question, carried: _Carried) -> None:
    from nlviz.provenance import Provenance

    path, positions = Path(options.output), range(len(carried.clip.frames))
    made = Provenance.of(carried.analysis, (), command=question.typed)
    words = f"{carried.analysis.network} {carried.block}"
    if options.edges:
        from nlviz.heat.guided import SHARPENED

        words += f" · masks {SHARPENED}"
    ending = path.suffix.lower()
    if ending in (".mp4", ".gif"):
        from nlviz.film import TrackStyle, objects_film

        style = TrackStyle(options.width, options.fps, comment=made.json)
        film = objects_film(
            carried.clip, lambda at: carried.numbers(at, edges=options.edges), words, style
        )
        film.save(path, progress=progress)
    elif ending in (".png", ".svg", ".pdf"):
        from nlviz.figures.tracks import Tracked, track_strip

        tracked = Tracked(
            carried.clip,
            f"{words} · from frame {carried.marked.frame} · {carried.protocol.numbers}",
            [f"object {name}" for name in carried.marked.names],
            numbers=lambda at: carried.numbers(at, edges=options.edges),
        )
        track_strip(tracked).signed(made).save(path)
    else:
        _write_masks(path, carried, positions)
        print(f"Wrote {len(positions)} masks to {path}.", file=sys.stderr)
        return
    print(f"Wrote {path}.", file=sys.stderr)


def _write_masks(folder: Path, carried: _Carried, positions: range) -> None:
    from nlviz.media.masks import mask_pngs, object_pngs

    for position in positions:
        frames = [carried.clip.indices[position]]
        if len(carried.marked.names) > 1:
            files = object_pngs([carried.numbers(position)], frames)
        else:
            # As it is scored: the soft labels above the middle grey are not the object.
            files = mask_pngs((carried.numbers(position) == 1)[None].astype(np.float32), frames)
        for name, content in files:
            write(folder / name, content)
