"""The options that several commands take, each with its words in --help."""

from __future__ import annotations

import argparse

from nlviz.cli.question import USUAL_K
from nlviz.cli.typed import count, field, number, point, region
from nlviz.heat.colormap import COLOUR_MAPS, Colours
from nlviz.heat.scale import CURVES
from nlviz.query import BASELINES, EXCLUDES, RANKS

NAMED = (
    "see `models`; timm:NAME, hf:ORG/NAME, hf:FOLDER or torchhub:REPO:ENTRY; or FILE.py:FUNCTION "
    "of your own"
)
WEIGHTS = "a checkpoint of your own for that model; `none` gives one by name random weights"


def add_question(parser: argparse.ArgumentParser) -> None:
    """Everything that says which links of which clip."""
    add = parser.add_argument
    add_input(parser)
    place = "a place: source frame index and source pixels; repeatable"
    add("--at", action="append", type=point, metavar="FRAME,X,Y", help=place)
    box = "a box instead of a pixel: the mean over its cells; repeatable"
    corners = "FRAME,X0,Y0,X1,Y1"
    add("--region", dest="at", action="append", type=region, metavar=corners, help=box)
    named = "a token of the block, such as class, instead of a pixel; repeatable"
    add("--token", dest="at", action="append", metavar="NAME", help=named)
    add("--reverse", action="store_true", help="who looks here: columns instead of rows")
    add("--head", type=number, help="one head, from 0; the mean of all by default")
    add_block(parser)
    add_network(parser)
    add("--k", type=count, default=USUAL_K, help="how many links (default: %(default)s)")
    excluded = "keys that get no link: the query's own (default: frame; cell for an image)"
    add("--exclude", choices=EXCLUDES, help=excluded)
    ranked = "what links are ranked by: affinity, or weight times the size of what the key adds"
    add("--rank", choices=RANKS, default="affinity", help=ranked)
    against = "ask this instead of the block: even weights, raw features, shuffled weights"
    add("--baseline", choices=BASELINES, help=against)
    add_sampling(parser)


def add_input(parser: argparse.ArgumentParser) -> None:
    """The clip or session."""
    opened = "a video, an image, a GIF, a folder of images, a .nlviz, or sample:FILE for a sample"
    parser.add_argument("input", metavar="INPUT", help=opened)


def add_block(parser: argparse.ArgumentParser) -> None:
    """Which block."""
    last = "which block; by default the last one that is asked from the picture"
    parser.add_argument("--block", help=last)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Which frames in which size, and what the network runs on."""
    add = parser.add_argument
    add("--frames", type=int, help="frames to sample (default: what the network was trained on)")
    add("--stride", type=int, help="take every n-th frame (default: spread evenly)")
    add("--start", type=int, default=0, help="the first frame (default: %(default)s)")
    add("--size", type=int, metavar="PX", help="longer side of the network's input")
    where = "what the network runs on (default: the first of CUDA, MPS and CPU that is there)"
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help=where)


def add_network(parser: argparse.ArgumentParser) -> None:
    """Which network, and what a network by name is told."""
    add = parser.add_argument
    add("--model", default="nl-lite0", metavar="SPEC", help=f"{NAMED} (default: %(default)s)")
    add("--weights", metavar="FILE", help=WEIGHTS)
    add_by_name(parser)
    add_features(parser)


def add_features(parser: argparse.ArgumentParser) -> None:
    """Which layers' similarity becomes a block."""
    layer = (
        "the cosines of what a layer of the network puts out, as one more block 'PATH "
        "(similarity)', which is no weight of the network; repeatable"
    )
    parser.add_argument("--features", action="append", metavar="PATH", help=layer)


def add_by_name(parser: argparse.ArgumentParser) -> None:
    """What a network by name is told beside its weights."""
    add = parser.add_argument
    said = (
        "what a network by name takes, where its own record does not say it or you want another: "
        "mean=0.5,0.5,0.5, deviation=…, size=…, frames=…, …; repeatable"
    )
    add("--input", dest="record", action="append", type=field, metavar="KEY=VALUE", help=said)
    trusted = "a repository whose own code may run, with your rights; repeatable"
    add("--trust", action="append", metavar="REPO", help=trusted)


def add_windows(parser: argparse.ArgumentParser, *, neighbours: bool = True) -> None:
    """How a clip of any length is cut into windows."""
    group = parser.add_argument_group(
        "clips of any length",
        "With --window all frames to the end are sampled, unless --frames or --stride say "
        "otherwise, and the network sees FRAMES of them at a time.",
    )
    add = group.add_argument
    add("--window", type=count, metavar="FRAMES", help="cut the clip into windows of so many")
    shared = "frames that a window shares with the next (default: a quarter)"
    add("--overlap", type=number, metavar="FRAMES", help=shared)
    if neighbours:
        beside = (
            "answer over the windows beside the place's own, too: nlviz normalises the rows anew, "
            "the network never weighed their keys together"
        )
        add("--neighbours", action="store_true", help=beside)
    kept = "keep the windows there, and find them again the next time (default: nowhere)"
    add("--windows-in", metavar="FOLDER", help=kept)
    add("--yes", action="store_true", help="also if it takes long or much memory")


def add_path(parser: argparse.ArgumentParser) -> None:
    """Which links ``ask`` gives: the k heaviest, or the path."""
    best = "the best link into each frame instead of the k heaviest"
    parser.add_argument("--path", action="store_true", help=best)


def add_shade(parser: argparse.ArgumentParser, *, colours: Colours, opacity: float) -> None:
    """``--curve``, ``--colours`` and ``--opacity``."""
    add = parser.add_argument
    along = "how the heat's colours rise with the weight (default: %(default)s)"
    add("--curve", choices=CURVES, default="linear", help=along)
    add(
        "--colours", choices=COLOUR_MAPS, default=colours, help="of the heat (default: %(default)s)"
    )
    add("--opacity", type=float, default=opacity, help="of the heat, 0 to 1 (default: %(default)s)")
    along = "draw the heat along the frames' own edges, for display only; the legend says so"
    add("--sharpen", action="store_true", help=along)


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """Where to write, and whether over what is there."""
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help=what)
    parser.add_argument("--force", action="store_true", help="overwrite a file that already exists")
