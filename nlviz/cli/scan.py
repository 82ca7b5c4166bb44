"""``python -m nlviz scan``: which block and which head keeps to an object or to points best."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.cli.options import add_question
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import size
from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.writing import check, write

if TYPE_CHECKING:
    from nlviz.figures import Figure
    from nlviz.scans import Scan

_FIGURES = (".png", ".svg", ".pdf")


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("scan", help="score every block and head: which one to look at")
    add_question(parser)
    add = parser.add_argument
    add("--masks", metavar="FOLDER", help="a folder with a mask of the object for each frame")
    add("--object", metavar="LABEL", help="of masks with several: its value, index or #rrggbb")
    tracks = "point tracks instead: .npz with tracks and visible, or .csv"
    add("--tracks", metavar="FILE", help=tracks)
    pixels = "the picture in whose pixels the tracks are (default: 256x256)"
    add("--track-size", type=size, metavar="WxH", help=pixels)
    by = "by masks or a place: same-object precision, or J&F of the object carried on"
    add("--measure", choices=("same_object", "JF"), help=by)
    add("--no-cosine", action="store_true", help="leave out the cosine of each block's input")
    sheet = "draw the place --at in every block and head, too: FILE.png, FILE.svg or FILE.pdf"
    add("--sheet", metavar="FILE", help=sheet)
    files = "FILE.csv, or a figure: FILE.png, FILE.svg or FILE.pdf; repeatable"
    add("-o", "--output", action="append", default=[], metavar="FILE", help=files)
    add("--force", action="store_true", help="overwrite files that already exist")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_scan)


def _scan(options: argparse.Namespace) -> None:
    question = Question.of(options)
    place = _check(options, question)
    from nlviz.media import read_masks
    from nlviz.media.point_tracks import read_point_tracks
    from nlviz.scans import carried_object, scan

    sized = {} if options.track_size is None else {"size": options.track_size}
    truth: Any = place
    if options.tracks:
        truth = read_point_tracks(options.tracks, **sized)
    subject = Subject.run(question)
    analysis = subject.analysis
    if options.masks:
        truth = read_masks(options.masks, analysis.clip, label=options.object)
    elif options.tracks:
        truth = truth.of(analysis.clip)
    elif question.block is not None and place is not None:
        truth = carried_object(analysis, place, question.block)
    found = scan(
        analysis,
        truth,
        measure=options.measure,
        network=None if options.no_cosine else subject.network,
        progress=progress,
    )
    if not found.scores:
        why = dict.fromkeys(found.refused.values())
        where = " (--track-size says in whose pixels the tracks are)" if options.tracks else ""
        raise QueryError(f"No block could be measured{where}: {' '.join(why)}")
    made = subject.provenance([])
    for path in options.output:
        if Path(path).suffix.lower() == ".csv":
            from nlviz.export.tables import scan_csv

            write(path, scan_csv(found, made))
        else:
            from nlviz.scans.figure import scan_figure

            scan_figure(found).signed(made).save(path)
        print(f"Wrote {path}.", file=sys.stderr)
    if options.sheet:
        _sheet(subject).signed(subject.provenance(subject.queries)).save(options.sheet)
        print(f"Wrote {options.sheet}.", file=sys.stderr)
    _tell(found, as_json=options.json)


def _check(options: argparse.Namespace, question: Question) -> Point | Region | None:
    """What can be refused before the long work; the place of the object or of the sheet."""
    for path in options.output:
        check(path, (".csv", *_FIGURES), force=options.force)
    if options.sheet:
        check(options.sheet, _FIGURES, force=options.force)
    places = [place for place in question.at if not isinstance(place, str)]
    if len(places) < len(question.at) or len(places) > 1:
        raise QueryError("A scan takes one place, --at or --region, and no token.")
    given = sum(each is not None for each in (options.masks, options.tracks))
    if given > 1 or (not given and not places):
        raise QueryError(
            "A scan holds blocks against one truth; give --masks, --tracks, or a place on an "
            "object: --at or --region."
        )
    if given and places and not options.sheet:
        raise QueryError("With --masks or --tracks a place is for --sheet; give that too.")
    if options.sheet and not places:
        raise QueryError("--sheet draws one place in all blocks and heads; give it: --at.")
    for name, wrong in (
        ("--object", options.object is not None and options.masks is None),
        ("--track-size", options.track_size is not None and options.tracks is None),
        ("--measure", options.measure is not None and options.tracks is not None),
    ):
        if wrong:
            wanted = "--tracks" if name == "--track-size" else "masks or a place"
            raise QueryError(f"{name} goes with {wanted}; give that, or leave it out.")
    if question.head is not None or question.reverse or question.baseline:
        raise QueryError(
            "A scan goes over all heads and their rows; leave out --head, --reverse, --baseline."
        )
    if options.masks and not Path(options.masks).is_dir():
        raise QueryError(f"'{options.masks}' is not a folder; give one with a mask for each frame.")
    return places[0] if places else None


def _sheet(subject: Subject) -> Figure:
    from nlviz.scans.sheet import head_sheet

    return head_sheet(subject.analysis, subject.queries[0], progress=progress)


def _tell(found: Scan, *, as_json: bool) -> None:
    from nlviz.scans.interval import INTERVAL

    if as_json:
        report = {
            "words": found.words,
            "interval": INTERVAL,
            "carried_by": found.carried_by,
            "scores": found.records,
        }
        print(json.dumps(report, indent=2))
        return
    print(f"{found.words} ({INTERVAL}.)")
    for block in found.blocks:
        cells = [each for each in found.scores if each.block == block]
        said = (f"{_short(each.head, each.of)} {each.value:.3f}" for each in cells)
        print(f"{block}: {', '.join(said)}")
    for name, why in found.refused.items():
        print(f"{name}: {why}")


def _short(head: int | None, of: str) -> str:
    if of == "cosine":
        return "cosine of the input"
    return "mean" if head is None else f"head {head}"
