"""``python -m nlviz batch``: the same asked of many clips, each done once."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from nlviz.batches.options import ARRAYS, FIGURES, FILMS, BatchOptions
from nlviz.cli.options import NAMED, WEIGHTS, add_by_name, add_features
from nlviz.cli.terminal import refuse
from nlviz.cli.typed import count, number, point, region
from nlviz.query import EXCLUDES

_OFTEN = 2.0  # seconds from one line of progress to the next
_MOST = 5  # failures that are told on the terminal


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("batch", help="ask the same of many clips, into one table")
    add = parser.add_argument
    inputs = (
        "folders of clips, clips, globs, addresses (s3://…), a list of paths (.txt), or a table "
        "(.csv, .parquet) with a column path; see docs/batch.md"
    )
    add("inputs", metavar="INPUTS", nargs="+", help=inputs)
    into = "the folder of the results: a new one, or one to go on in"
    add("-o", "--output", required=True, metavar="OUT", help=into)
    _add_asked(parser)
    _add_networks(parser)
    _add_files(parser)
    _add_how(parser)
    parser.set_defaults(command=_batch)


def _add_asked(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    ask = (
        "points, regions, masks, grid:N (N × N points of the middle frame) or blocks (averages "
        "over all queries); repeatable (default: what --at, --region, --masks and the table have, "
        "else blocks)"
    )
    add("--ask", action="append", metavar="WHAT", help=ask)
    place = "a place that every clip is asked about; repeatable"
    add("--at", action="append", type=point, metavar="FRAME,X,Y", help=place)
    corners = "FRAME,X0,Y0,X1,Y1"
    box = "a box that every clip is asked about; repeatable"
    add("--region", dest="at", action="append", type=region, metavar=corners, help=box)
    masks = "holds a folder of masks for each clip, of its name without ending, or NAME.png"
    add("--masks", metavar="FOLDER", help=masks)
    add("--block", action="append", metavar="BLOCK", help="repeatable (default: all blocks)")
    add("--each-head", action="store_true", help="a row for each head too, not for the mean alone")
    add("--k", type=count, default=20, help="how many links (default: %(default)s)")
    excluded = "keys that get no link: the query's own (default: frame; cell for an image)"
    add("--exclude", choices=EXCLUDES, help=excluded)


def _add_networks(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", action="append", metavar="SPEC", help=f"{NAMED}; repeatable (default: nl-lite0)")
    add("--weights", metavar="FILE", help=WEIGHTS)
    add_by_name(parser)
    add_features(parser)
    add("--frames", type=count, help="frames to sample (default: what the network was trained on)")
    add("--stride", type=count, help="take every n-th frame (default: spread evenly)")
    add("--start", type=number, default=0, help="the first frame (default: %(default)s)")
    add("--size", type=count, metavar="PX", help="longer side of the network's input")
    where = "what the network runs on (default: the first of CUDA, MPS and CPU that is there)"
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help=where)
    several = "clips of one size that go through the network in one pass (default: %(default)s)"
    add("--together", type=count, default=1, metavar="N", help=several)
    cut = (
        "cut longer clips into windows of so many sampled frames, every frame to the end unless "
        "--frames or --stride say otherwise; the network sees one at a time"
    )
    add("--window", type=count, metavar="FRAMES", help=cut)
    shared = "frames that a window shares with the next (default: a quarter)"
    add("--overlap", type=number, metavar="FRAMES", help=shared)
    beside = "points, regions and grids are answered over the windows beside their own too"
    add("--neighbours", action="store_true", help=beside)


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--arrays", choices=ARRAYS, help="write θ, φ and the rows of what is asked")
    add("--figures", choices=FIGURES, help="draw the links, a strip for each network and block")
    add("--films", choices=FILMS, help="the same as films")


def _add_how(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--shard", metavar="I/N", help="do the I-th of N parts of the list alone, I from 1")
    ahead = "processes that read clips ahead of the network; 0 for none (default: a core in four)"
    add("--readers", type=number, metavar="N", help=ahead)
    cluster = (
        "work on a Ray cluster: the one at ADDRESS; without it, the one that runs on this machine, "
        "or a new one; needs the extra ray"
    )
    add("--ray", nargs="?", const="", metavar="ADDRESS", help=cluster)
    dry = "say how many clips there are, and how much time and memory they take; write nothing"
    add("--dry-run", action="store_true", help=dry)


def options_of(options: argparse.Namespace) -> BatchOptions:
    """What a command asks of every clip; BatchError."""
    return BatchOptions(
        models=tuple(options.model or ("nl-lite0",)),
        weights=options.weights,
        ask=tuple(options.ask or ()),
        at=tuple(options.at or ()),
        masks=options.masks,
        blocks=tuple(options.block or ()),
        each_head=options.each_head,
        k=options.k,
        exclude=options.exclude,
        frames=options.frames,
        stride=options.stride,
        start=options.start,
        size=options.size,
        device=options.device,
        input=dict(options.record) if options.record else None,
        trust=tuple(options.trust or ()),
        together=options.together,
        window=options.window,
        overlap=options.overlap,
        neighbours=options.neighbours,
        arrays=options.arrays,
        figures=options.figures,
        films=options.films,
        features=tuple(options.features or ()),
    )


def _batch(options: argparse.Namespace) -> int:
    asked = options_of(options)
    if options.dry_run:
        from nlviz.batches.estimate import estimate

        told = estimate(options.inputs, options.output, asked, shard=options.shard)
        print("\n".join(told.sentences))
        return 0
    from nlviz.batches.run import batch

    report = batch(
        options.inputs,
        options.output,
        asked,
        shard=options.shard,
        readers=options.readers,
        ray=options.ray,
        progress=_Lines(),
        command=options.typed,
    )
    print(f"{report.words}; {report.out}")
    for path, why in report.failed[:_MOST]:
        print(f"failed: {path}: {why}", file=sys.stderr)
    if len(report.failed) > _MOST:
        more = len(report.failed) - _MOST
        print(f"and {more} more; see {report.out / 'errors.parquet'}", file=sys.stderr)
    if report.stopped:
        return refuse(report.stopped, code=1)
    return int(bool(report.failed))


class _Lines:
    """A line on standard error every few seconds, and for the last clip."""

    def __init__(self) -> None:
        self._told = -_OFTEN

    def __call__(self, fraction: float, what: str) -> None:
        now = time.monotonic()
        if now - self._told >= _OFTEN or fraction >= 1:
            self._told = now
            print(f"{fraction:4.0%} {what}", file=sys.stderr)
