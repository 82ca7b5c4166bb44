"""``python -m nlviz track``: an object carried through the clip by a block's affinity."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.cli.options import add_question
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
    from nlviz.tracking import PROTOCOL, contour_accuracy, region_similarity

    masks = found.objects
    frames: list[dict[str, Any]] = [
        {"frame": frame, "object": float(mask.mean())}
        for frame, mask in zip(analysis.clip.indices, masks, strict=True)
    ]
    report = {
        **seen(analysis),
        "block": found.block,
        "from": found.frame,
        "protocol": {**asdict(found.protocol), "words": PROTOCOL},
        "frames": frames,
    }
    if truth is None:
        return report
    for each, mask, real in zip(frames, masks, truth, strict=True):
        each |= {"J": region_similarity(mask, real), "F": contour_accuracy(mask, real)}
    after = frames[1:]
    return {**report, **{name: float(np.mean([each[name] for each in after])) for name in "JF"}}


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
    from nlviz.media.masks import mask_pngs

    for name, content in mask_pngs(found.masks, analysis.clip.indices):
        write(folder / name, content)
    print(f"Wrote {len(found.masks)} masks to {folder}.", file=sys.stderr)
