"""``python -m nlviz track``: objects or points carried through the clip by a block's affinity."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.cli.options import add_question, add_windows
from nlviz.cli.page import check_goes_with
from nlviz.cli.question import Question
from nlviz.cli.typed import count
from nlviz.errors import ExportError, QueryError
from nlviz.writing import check

if TYPE_CHECKING:
    from nlviz.tracking import Protocol

FILMS, FIGURES = (".mp4", ".gif"), (".png", ".svg", ".pdf")
_FILE = re.compile(r"\.[a-z][a-z0-9]{1,3}")  # .mov or .webm, but no folder called run.1
DECISIONS, PRESETS = ("half", "most", "stretched"), ("crw", "dino", "dinov3")


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("track", help="carry objects or points through the clip")
    add_question(parser)
    add_windows(parser, neighbours=False)
    option = parser.add_argument
    option("--mask", metavar="FILE", help="the objects in the first frame, on black or on nothing")
    every = "a folder with a mask for each frame: starts from the first, and J and F of the others"
    option("--masks", metavar="FOLDER", help=every)
    alone = "one of a mask's objects alone: its value, index or #rrggbb (default: all of them)"
    option("--object", metavar="LABEL", help=alone)
    followed = "follow each --at as a point, with its confidence, and not as its cell's object"
    option("--points", action="store_true", help=followed)
    known = "follow the points of a file, .npz or .csv, and measure TAP-Vid's scores against it"
    option("--tracks", metavar="FILE", help=known)
    pixels = "the file's positions are in the clip's pixels, not in those of a 256×256 picture"
    option("--tracks-in-pixels", action="store_true", help=pixels)
    _add_protocol(parser)
    option("--edges", action="store_true", help="film and figure show masks in the frame's edges")
    option("--fps", type=float, help="of a film, frames per second (default: 12)")
    option("--width", type=count, metavar="PX", help="of a film (default: up to 1280)")
    to = (
        "a folder for masks as PNG by frame, a film (.mp4, .gif), a figure (.png, .svg, .pdf), or "
        "a table of points (.csv)"
    )
    option("-o", "--output", metavar="OUT", help=to)
    option("--force", action="store_true", help="overwrite files that already exist")
    option("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_track)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group(
        "the protocol",
        "How labels are carried. A preset has the numbers of a paper's own code and its input "
        "size; what is given beside it counts instead.",
    ).add_argument
    option("--preset", metavar="NAME", help=f"that of a paper: {', '.join(PRESETS)}")
    option("--context", type=count, help="frames that count beside the first (default: 7)")
    radius = "in diagonals of the frame, or in --cells; 0 for anywhere (default: 0.2)"
    option("--radius", type=float, help=radius)
    option("--cells", action="store_true", help="the radius is in cells")
    option("--square", action="store_true", help="the radius goes as far down and across")
    free = "the first frame's keys count wherever they lie"
    option("--first-anywhere", action="store_true", help=free)
    option("--heaviest", type=count, help="keys that count for each cell (default: 10)")
    heat = "weigh these keys by a softmax of their logits over T (default: by the row as it is)"
    option("--temperature", type=float, metavar="T", help=heat)
    when = "when a pixel is on an object (default: half of its frame's highest label)"
    option("--decision", choices=DECISIONS, help=when)
    kept = "with --window: the first frame stays in the context of all windows"
    option("--keep-first", action="store_true", help=kept)


def _track(options: argparse.Namespace) -> None:
    question = Question.of(options)
    _check(options, question)
    protocol = _protocol(options)
    question = _sized(options, question)
    if options.points or options.tracks:
        from nlviz.cli.track_points import follow

        follow(options, question, protocol)
        return
    from nlviz.cli.track_objects import carry

    carry(options, question, protocol)


def _check(options: argparse.Namespace, question: Question) -> None:
    """What can be refused before the long work."""
    from nlviz.film.sheet import check_width
    from nlviz.film.style import check_rate

    places = question.at
    given = [each is not None for each in (options.mask, options.masks, options.tracks)]
    if sum(given) + bool(places) != 1 or any(isinstance(place, str) for place in places):
        raise QueryError(
            "Tracking starts from one object, or several of one frame; give one of --mask, "
            "--masks, --region and --at, or --tracks."
        )
    if options.object is not None and options.mask is None and options.masks is None:
        raise QueryError("--object chooses one of a mask's objects; give --mask or --masks too.")
    if options.points and not places:
        raise QueryError("--points follows places; give --at FRAME,X,Y.")
    if question.reverse or question.head is not None:
        raise QueryError("Tracking uses the block's rows as they are; leave out --reverse, --head.")
    if options.keep_first and question.window is None:
        raise QueryError("Without windows the first frame is kept anyway; leave out --keep-first.")
    follows = options.points or options.tracks is not None
    check_goes_with(
        "--tracks", options.tracks is not None, {"--tracks-in-pixels": options.tracks_in_pixels}
    )
    if options.edges and follows:
        raise QueryError("--edges draws masks; leave it out with --points or --tracks.")
    check_rate(options.fps)
    check_width(options.width)
    _check_output(options)


def _check_output(options: argparse.Namespace) -> None:
    if not options.output:
        return
    points = bool(options.points or options.tracks)
    ending = Path(options.output).suffix.lower()
    files = (*FILMS, *FIGURES, *((".csv",) if points else ()))
    if ending in files or points:
        check(options.output, files, force=options.force)
        return
    folder = options.output.endswith("/") or Path(options.output).is_dir()
    if _FILE.fullmatch(ending) and not folder:
        raise ExportError(
            f"Masks are written to a folder, and '{options.output}' is called like a file; give a "
            f"folder, or end the name in {', '.join(files[:-1])} or {files[-1]}."
        )
    try:
        Path(options.output).mkdir(exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"The folder '{options.output}' cannot be made ({error.strerror}); give another."
        ) from None
    if not options.force and any(Path(options.output).glob("*.png")):
        raise ExportError(
            f"'{options.output}' already has PNG files; use --force to overwrite them."
        )


def _protocol(options: argparse.Namespace) -> Protocol:
    from nlviz.tracking import Protocol, preset

    base = Protocol() if options.preset is None else preset(options.preset).protocol
    names = ("context", "heaviest", "temperature", "decision")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.radius is not None:
        given["radius"] = options.radius or None
    flags = {"in_cells": "cells", "square": "square", "first_anywhere": "first_anywhere"}
    given |= {name: True for name, said in flags.items() if getattr(options, said)}
    return replace(base, **given)


def _sized(options: argparse.Namespace, question: Question) -> Question:
    """With the input size of the preset, unless another was given."""
    if options.preset is None:
        return question
    from nlviz.media import probe
    from nlviz.tracking import preset

    named = preset(options.preset)
    if question.baseline != "cosine":
        print(
            f"note: {named.paper}, carries labels by the cosine of features; add --baseline cosine "
            "to do so here.",
            file=sys.stderr,
        )
    if question.size is not None or question.of_session:
        return question
    info = probe(question.input)
    return replace(question, size=named.size(info.width, info.height))
