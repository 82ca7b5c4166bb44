"""``python -m nlviz track``: an object carried through the clip by a block's affinity."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.cli.long import tell
from nlviz.cli.options import add_question, add_windows
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import count
from nlviz.errors import ExportError, QueryError
from nlviz.writing import write

if TYPE_CHECKING:
    from nlviz.tracking import Protocol, Track

Masks = NDArray[np.bool_]


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("track", help="carry an object through the clip by affinity")
    add_question(parser)
    add_windows(parser, neighbours=False)
    option = parser.add_argument
    option("--mask", metavar="FILE", help="the object in the first frame, on black or on nothing")
    every = "a folder with a mask for each frame: starts from the first, and J and F of the others"
    option("--masks", metavar="FOLDER", help=every)
    option("--object", metavar="LABEL", help="of a mask with several: its value, index or #rrggbb")
    option("--context", type=count, help="frames that count beside the first (default: 7)")
    option("--radius", type=float, help="in diagonals of the frame; 0 for anywhere (default: 0.2)")
    option("--heaviest", type=count, help="keys that count for each cell (default: 10)")
    option("-o", "--output", metavar="FOLDER", help="write the masks there, as PNG by frame")
    option("--force", action="store_true", help="overwrite files that already exist")
    option("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_track)


def _track(options: argparse.Namespace) -> None:
    from nlviz.media import read_mask, read_masks
    from nlviz.tracking import track

    question = Question.of(options)
    _check(options, question)
    protocol = _protocol(options)
    if question.window is not None:
        _track_windows(options, question, protocol)
        return
    subject = Subject.run(question)
    analysis, block = subject.analysis, subject.block
    label, frame, truth = options.object, None, None
    if options.masks:
        truth = read_masks(options.masks, analysis.clip, label=label)
        mask = truth[0]
    elif options.mask:
        mask = read_mask(options.mask, analysis.clip, label=label)
    else:
        from nlviz.tracking import mask_of

        (start,) = (place for place in question.at if not isinstance(place, str))
        mask, frame = mask_of(analysis, block, start), start.frame
    found = track(analysis, block, mask, frame=frame, protocol=protocol, progress=progress)
    report = _report(analysis, found, truth)
    if options.output:
        _write(Path(options.output), analysis, found)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    _print(report)


def _track_windows(options: argparse.Namespace, question: Question, protocol: Protocol) -> None:
    """The same through a clip in windows, one of which is held at a time."""
    from nlviz.export.report import seen
    from nlviz.media import read_mask, read_masks
    from nlviz.tracking import PROTOCOL, mask_of
    from nlviz.windows import track_windows
    from nlviz.windows.tracking import HANDED_ON

    long = Subject.long(question)
    if question.baseline:
        raise QueryError("Tracking in windows uses the block itself; leave out --baseline.")
    truth, start = None, long.stream.indices[0]
    if options.masks:
        truth = read_masks(options.masks, long.whole, label=options.object)
        mask = truth[0]
    elif options.mask:
        mask = read_mask(options.mask, long.whole, label=options.object)
    tell(long, question)
    long.run(progress)
    places = [place for place in question.at if not isinstance(place, str)]
    if places:
        start = places[0].frame
    first = long.at(start)
    block = question.block or first.default_block
    if places:
        mask = mask_of(first, block, places[0])
    frames: dict[int, dict[str, Any]] = {}
    for found in track_windows(
        long, block, mask, frame=start, protocol=protocol, progress=progress
    ):
        positions = range(found.window.own_start, found.window.own_stop)
        real = None if truth is None else truth[positions.start : positions.stop]
        frames |= {each["frame"]: each for each in _each(found.frames, found.objects, real)}
        if options.output:
            _write_masks(Path(options.output), found.masks, found.frames)
    report = {
        **seen(first),
        "block": block,
        "from": start,
        "protocol": {**asdict(protocol), "words": f"{PROTOCOL} {HANDED_ON}"},
        "frames": [frames[frame] for frame in sorted(frames)],
    }
    report["input"]["sampled_frames"] = list(long.stream.indices)
    if truth is not None:
        report |= _means([each for each in report["frames"] if each["frame"] != start])
    if options.output:
        print(f"Wrote {len(frames)} masks to {options.output}.", file=sys.stderr)
    print(json.dumps(report, indent=2)) if options.json else _print(report)


def _check(options: argparse.Namespace, question: Question) -> None:
    """What can be refused before the long work."""
    places = question.at
    given = [start for start in (options.mask, options.masks, *places) if start is not None]
    if len(given) != 1 or any(isinstance(place, str) for place in places):
        raise QueryError(
            "Tracking starts from one object; give one of --mask, --masks, --region and --at."
        )
    if options.object is not None and options.mask is None and options.masks is None:
        raise QueryError("--object chooses one of a mask's objects; give --mask or --masks too.")
    if question.reverse or question.head is not None:
        raise QueryError("Tracking uses the block's rows as they are; leave out --reverse, --head.")
    if options.output and not Path(options.output).is_dir():
        raise ExportError(f"The folder '{options.output}' does not exist; create it first.")
    if options.output and not options.force and any(Path(options.output).glob("*.png")):
        raise ExportError(
            f"'{options.output}' already has PNG files; use --force to overwrite them."
        )


def _protocol(options: argparse.Namespace) -> Protocol:
    from nlviz.tracking import Protocol

    usual = Protocol()
    return Protocol(
        options.context or usual.context,
        usual.radius if options.radius is None else options.radius or None,
        options.heaviest or usual.heaviest,
    )


def _report(analysis: Analysis, found: Track, truth: Masks | None) -> dict[str, Any]:
    from nlviz.export.report import seen
    from nlviz.tracking import PROTOCOL

    frames = _each(analysis.clip.indices, found.objects, truth)
    report = {
        **seen(analysis),
        "block": found.block,
        "from": found.frame,
        "protocol": {**asdict(found.protocol), "words": PROTOCOL},
        "frames": frames,
    }
    return report if truth is None else {**report, **_means(frames[1:])}


def _each(indices: Sequence[int], objects: Masks, truth: Masks | None) -> list[dict[str, Any]]:
    """What is told of each frame: how much of it is on the object, and J and F where known."""
    from nlviz.tracking import contour_accuracy, region_similarity

    frames: list[dict[str, Any]] = [
        {"frame": frame, "object": float(mask.mean())}
        for frame, mask in zip(indices, objects, strict=True)
    ]
    if truth is not None:
        for each, mask, real in zip(frames, objects, truth, strict=True):
            each |= {"J": region_similarity(mask, real), "F": contour_accuracy(mask, real)}
    return frames


def _means(frames: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in frames])) for name in "JF"}


def _print(report: dict[str, Any]) -> None:
    numbers = report["protocol"]
    radius = "anywhere" if numbers["radius"] is None else f"within {numbers['radius']:g} diagonals"
    print(
        f"{report['model']}, block {report['block']}, from frame {report['from']}: "
        f"{numbers['context']} frames of context, {numbers['heaviest']} heaviest keys {radius}"
    )
    names = [name for name in ("object", "J", "F") if name in report["frames"][0]]
    print(f"{'frame':>6}  " + "  ".join(f"{name:>7}" for name in names))
    for each in report["frames"]:
        print(f"{each['frame']:>6}  " + "  ".join(f"{each[name]:>7.3f}" for name in names))
    if "J" in report:
        print(f"after the first frame: J {report['J']:.3f}, F {report['F']:.3f}")


def _write(folder: Path, analysis: Analysis, found: Track) -> None:
    _write_masks(folder, found.masks, analysis.clip.indices)
    print(f"Wrote {len(found.masks)} masks to {folder}.", file=sys.stderr)


def _write_masks(folder: Path, masks: NDArray[np.float32], frames: Sequence[int]) -> None:
    from nlviz.media.masks import mask_pngs

    for name, content in mask_pngs(masks, frames):
        write(folder / name, content)
