"""The command line: ``python -m nlviz links | figure | models | app``."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nlviz.errors import FigureError, NetworkError, NlvizError, QueryError
from nlviz.geometry import Grid, Point, View
from nlviz.links import EXCLUDES, Exclude, Link, Query, top_links

if TYPE_CHECKING:
    from nlviz.analysis import Analysis

_APP = Path(__file__).resolve().parent.parent / "app.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 if it went well, 2 after one sentence for what the user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ×
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
        sys.stdout.flush()
    except NlvizError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # The reader has seen enough; keep Python from complaining as it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return _refuse("Stopped.", code=130)
    except OSError as error:
        return _refuse(f"Nothing more can be written ({error.strerror}); free some space.")
    except Exception as error:
        if os.environ.get("NLVIZ_DEBUG"):
            raise
        return _refuse(
            f"This is a fault in nlviz, not in what you gave it ({type(error).__name__}: {error}); "
            "set NLVIZ_DEBUG=1 to see where.",
            code=1,
        )
    return 0


def _links(options: argparse.Namespace) -> None:
    analysis, answers = _ask(options)
    report = _report(analysis, answers)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    grid = {kind: grid["cells"] for kind, grid in report["grid"].items()}
    print(
        f"{report['model']}, block {report['block']}, queries {grid['query']}, "
        f"keys {grid['key']}, fidelity {report['fidelity']:.1e}"
    )
    for answer in report["queries"]:
        links = answer["links"]
        print(
            "\nframe {frame}, x {x:g}, y {y:g}:".format(**answer["at"]),
            f"these {len(links)} links cover {answer['covered']:.1%} of the row",
        )
        print(f"{'rank':>4}  {'weight':>10}  {'frame':>6}  {'x':>7}  {'y':>7}")
        for link in links:
            print("{rank:>4}  {weight:>10.4g}  {frame:>6}  {x:>7.1f}  {y:>7.1f}".format(**link))


def _figure(options: argparse.Namespace) -> None:
    from nlviz.figures import check_ending, film_strip

    # Before minutes of work, not after.
    check_ending(options.output)
    if not Path(options.output).resolve().parent.is_dir():
        raise FigureError(f"There is no folder to write '{options.output}' into; make it first.")
    analysis, answers = _ask(options)
    film_strip(analysis, answers).save(options.output)
    print(f"Wrote {options.output}.", file=sys.stderr)


def _models(options: argparse.Namespace) -> None:
    from models import zoo

    records = [zoo.record(name) for name in zoo.names()]
    if options.json:
        print(json.dumps([_described(record) for record in records], indent=2))
        return
    for record in records:
        print(f"{record.name}: {record.summary}; blocks {', '.join(record.taps)}")


def _app(options: argparse.Namespace) -> None:
    if not _APP.is_file():
        raise NlvizError(f"{_APP.name} is not beside the library; run this from a clone of nlviz.")
    ended = subprocess.run([sys.executable, "-m", "streamlit", "run", str(_APP)], check=False)
    if ended.returncode > 0:
        raise NlvizError("The app could not be served; Streamlit says why above.")


def _ask(options: argparse.Namespace) -> tuple[Analysis, list[tuple[Link, ...]]]:
    """The analysis of the input and the links of each ``--at``."""
    from nlviz.analysis import analyse
    from nlviz.media import read

    clip = read(options.input, frames=options.frames, stride=options.stride, start=options.start)
    for note in clip.notes:
        print(f"note: {note}", file=sys.stderr)
    picture = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    for point in options.at:
        picture.cell(point, Grid(1, 1, 1))  # a wrong place is refused before the long work
    network = _network(options.model, options.device)
    if options.block not in (None, *network.taps):
        raise QueryError(
            f"Block {options.block!r} is not in {network.name}; choose one of "
            f"{', '.join(network.taps)}."
        )
    analysis = analyse(clip, network, size=options.size, progress=_progress)
    for why in analysis.refused.values():
        print(f"note: {why}", file=sys.stderr)
    # A picture has no other frame to link to.
    exclude: Exclude = options.exclude or ("cell" if len(clip.frames) == 1 else "frame")
    block = options.block or analysis.blocks[-1]
    queries = [Query(point, block, options.k, exclude) for point in options.at]
    return analysis, [top_links(analysis, query) for query in queries]


def _network(name: str, device: str) -> Any:
    from models import zoo

    try:
        return zoo.load(name, device=device)
    except zoo.ZooError as error:
        raise NetworkError(str(error)) from error


def _report(analysis: Analysis, answers: list[tuple[Link, ...]]) -> dict[str, Any]:
    clip = analysis.clip
    block = answers[0][0].block
    affinity = analysis.affinity(block)
    grids = {"query": affinity.query_grid, "key": affinity.key_grid}
    return {
        "input": {
            "path": clip.path,
            "width": clip.width,
            "height": clip.height,
            "total_frames": clip.total,
            "sampled_frames": list(clip.indices),
        },
        "model": analysis.network,
        "block": block,
        "grid": {
            kind: {"cells": str(grid), "t": grid.t, "rows": grid.rows, "cols": grid.cols}
            for kind, grid in grids.items()
        },
        "fidelity": analysis.fidelity[block],
        "queries": [
            {
                "at": _place(links[0].source),
                "covered": sum(link.share for link in links),
                "links": [
                    {"rank": link.rank, "weight": link.weight, **_place(link.target)}
                    for link in links
                ],
            }
            for links in answers
        ],
    }


def _place(point: Point) -> dict[str, float]:
    return {"frame": point.frame, "x": point.x, "y": point.y}


def _described(record: Any) -> dict[str, Any]:
    return {
        "name": record.name,
        "summary": record.summary,
        "function": record.function,
        "default_size": record.default_size,
        "blocks": [{"name": name, "stride": list(tap.stride)} for name, tap in record.taps.items()],
    }


def _progress(fraction: float, what: str) -> None:
    print(f"{fraction:4.0%} {what}", file=sys.stderr)


def _refuse(sentence: str, code: int = 2) -> int:
    print(sentence, file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """argparse, saying what is wrong in one sentence and without the usage above it."""

    def error(self, message: str) -> NoReturn:
        sys.exit(_refuse(f"{self.prog}: {message}; see {self.prog} --help."))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m nlviz",
        description="Point at a pixel and see which places in space and time a network weighs "
        "most for it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    links = commands.add_parser("links", help="the top-weighted links of places in a clip")
    _add_question(links)
    links.add_argument("--json", action="store_true", help="print one JSON object")
    links.set_defaults(command=_links)

    figure = commands.add_parser("figure", help="draw the links as a film strip")
    _add_question(figure)
    figure.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="OUT.png, OUT.svg or OUT.pdf"
    )
    figure.set_defaults(command=_figure)

    models = commands.add_parser("models", help="the networks there are")
    models.add_argument("--json", action="store_true", help="print a JSON list")
    models.set_defaults(command=_models)

    app = commands.add_parser("app", help="open the app")
    app.set_defaults(command=_app)
    return parser


def _add_question(parser: argparse.ArgumentParser) -> None:
    """Everything that says which links of which clip."""
    add = parser.add_argument
    add("input", metavar="INPUT", help="a video, an image, a GIF or a folder of images")
    place = "a place: source frame index and source pixels; repeatable"
    add("--at", action="append", required=True, type=_point, metavar="FRAME,X,Y", help=place)
    add("--block", help="which block; the last one by default")
    add("--model", default="nl-lite0", help="see `models` (default: %(default)s)")
    add("--k", type=_count, default=20, help="how many links (default: %(default)s)")
    excluded = "keys that get no link: the query's own (default: frame; cell for an image)"
    add("--exclude", choices=EXCLUDES, help=excluded)
    add("--frames", type=int, default=8, help="frames to sample (default: %(default)s)")
    add("--stride", type=int, help="take every so-manieth frame; evenly spread without")
    add("--start", type=int, default=0, help="the first frame (default: %(default)s)")
    add("--size", type=int, metavar="PX", help="longer side of the network's input")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def _count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _point(text: str) -> Point:
    """FRAME,X,Y as a point."""
    try:
        frame, x, y = text.split(",")
        return Point(int(frame), float(x), float(y))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FRAME,X,Y, as in 0,338,162: a whole number and two numbers"
        ) from None
