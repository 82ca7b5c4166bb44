"""What most commands begin with: which links of which clip, read, checked and answered."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nlviz.analysis import Analysis
from nlviz.ask.links import best_path, top_links
from nlviz.cli.sessions import is_session, opened
from nlviz.cli.typed import count, number, point, region
from nlviz.errors import QueryError
from nlviz.geometry import View
from nlviz.query import BASELINES, EXCLUDES, RANKS, Exclude, Link, Query


def add_question(parser: argparse.ArgumentParser) -> None:
    """Everything that says which links of which clip."""
    add = parser.add_argument
    add("input", metavar="INPUT", help="a video, an image, a GIF, a folder of images or a .nlviz")
    place = "a place: source frame index and source pixels; repeatable"
    add("--at", action="append", type=point, metavar="FRAME,X,Y", help=place)
    box = "a box in place of a pixel: the mean over its cells; repeatable"
    corners = "FRAME,X0,Y0,X1,Y1"
    add("--region", dest="at", action="append", type=region, metavar=corners, help=box)
    named = "a token of the block, such as class, in place of a pixel; repeatable"
    add("--token", dest="at", action="append", metavar="NAME", help=named)
    add("--reverse", action="store_true", help="who looks here: columns in place of rows")
    add("--head", type=number, help="one head, from 0; the mean of all by default")
    add("--block", help="which block; the last one by default")
    named = "see `models`, or FILE.py:FUNCTION of your own (default: %(default)s)"
    add("--model", default="nl-lite0", help=named)
    add("--weights", metavar="FILE", help="a checkpoint of your own for that model")
    add("--k", type=count, default=20, help="how many links (default: %(default)s)")
    excluded = "keys that get no link: the query's own (default: frame; cell for an image)"
    add("--exclude", choices=EXCLUDES, help=excluded)
    ranked = "what links are ranked by: affinity, or weight times the size of what the key adds"
    add("--rank", choices=RANKS, default="affinity", help=ranked)
    against = "ask this in place of the block: even weights, raw features, shuffled weights"
    add("--baseline", choices=BASELINES, help=against)
    add("--frames", type=int, help="frames to sample (default: what the network was trained on)")
    add("--stride", type=int, help="take every n-th frame (default: spread evenly)")
    add("--start", type=int, default=0, help="the first frame (default: %(default)s)")
    add("--size", type=int, metavar="PX", help="longer side of the network's input")
    where = "what the network runs on (default: the first of CUDA, MPS and CPU that is there)"
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help=where)


def add_path(parser: argparse.ArgumentParser) -> None:
    """Which links ``ask`` gives: the k heaviest, or the path."""
    best = "the best link into each frame in place of the k heaviest"
    parser.add_argument("--path", action="store_true", help=best)


def ask(options: argparse.Namespace) -> tuple[Analysis, list[tuple[Link, ...]]]:
    """The analysis of the input and the links of each place, region and token."""
    check_asked(options)
    analysis = analysed(options)
    return analysis, answers(options, analysis)


def answers(options: argparse.Namespace, analysis: Analysis) -> list[tuple[Link, ...]]:
    """The links of each place, region and token."""
    answer = best_path if options.path else top_links
    return [answer(analysis, query) for query in queries(options, analysis)]


def check_asked(options: argparse.Namespace) -> None:
    """QueryError where no place is asked about; a session file has its own."""
    if not options.at and not is_session(options.input):
        raise QueryError("No place was given; add --at FRAME,X,Y, --region or --token.")


def analysed(options: argparse.Namespace) -> Analysis:
    """The analysis of the input, or of the block's baseline if that was asked for."""
    return opened(options).analysis if is_session(options.input) else run(options)[0]


def run(options: argparse.Namespace) -> tuple[Analysis, Any]:
    """The analysis of the input, and the network."""
    if is_session(options.input):
        raise QueryError(f"'{options.input}' has no network to run again; give the clip itself.")
    from nlviz.inference.forward import analyse
    from nlviz.inference.loading import load
    from nlviz.media import read

    frames = usual_frames(options.model) if options.frames is None else options.frames
    clip = read(options.input, frames=frames, stride=options.stride, start=options.start)
    for note in clip.notes:
        print(f"note: {note}", file=sys.stderr)
    whole = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    for place in options.at or ():
        if not isinstance(place, str):
            whole.check(place)  # a wrong place is refused before the long work
    loaded = load(options.model, device=options.device, weights=options.weights)
    if loaded.taps and options.block not in (None, *loaded.taps):
        raise QueryError(
            f"Block {options.block!r} does not exist in {loaded.name}; choose one of "
            f"{', '.join(loaded.taps)}."
        )
    analysis = analyse(clip, loaded, size=options.size, progress=progress)
    for why in analysis.refused.values():
        print(f"note: {why}", file=sys.stderr)
    if options.rank == "contribution":
        from nlviz.experiments.ablation import with_sizes

        analysis = with_sizes(analysis, loaded)
    if options.baseline:
        from nlviz.experiments.baselines import baseline

        block = options.block or analysis.blocks[-1]
        analysis = baseline(analysis, loaded, block, options.baseline)
    return analysis, loaded


def blocks(options: argparse.Namespace, analysis: Analysis) -> tuple[str, ...]:
    """The block that was named, else all there are; a baseline is the only one."""
    named = options.block is not None and not options.baseline
    return (options.block,) if named else analysis.blocks


def queries(options: argparse.Namespace, analysis: Analysis) -> list[Query]:
    """What the options ask of an analysis: one query for each place, region and token."""
    if not options.at and is_session(options.input):
        return list(opened(options).queries)
    block = blocks(options, analysis)[-1]
    # A picture has no other frame to link to, nor has a block that sees each frame by itself.
    alone = not analysis.affinity(block).joins_frames
    exclude: Exclude = options.exclude or ("cell" if alone else "frame")
    return [
        Query(place, block, options.k, exclude, options.head, options.reverse, options.rank)
        for place in options.at or ()
    ]


def usual_frames(name: str) -> int:
    """How many frames a network of the zoo is given where nobody says; 8 for any other."""
    from nlviz.models import zoo

    return zoo.record(name).frames if name in zoo.names() else 8


class _Progress:
    """One line on standard error for each step, and for each tenth of a long one."""

    def __init__(self) -> None:
        self._said = ("", -1)

    def __call__(self, fraction: float, what: str) -> None:
        if (what, int(fraction * 10)) != self._said:
            self._said = (what, int(fraction * 10))
            print(f"{fraction:4.0%} {what}", file=sys.stderr)


progress = _Progress()
