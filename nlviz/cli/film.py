"""``python -m nlviz film``: the clip with its links, or a query that moves, as MP4 or GIF."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nlviz.cli.long import numbers_of, tell
from nlviz.cli.options import add_output, add_question, add_shade, add_windows
from nlviz.cli.page import check_goes_with
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import comma_separated, count
from nlviz.errors import QueryError
from nlviz.geometry import Point
from nlviz.heat.scale import AGAINST
from nlviz.query import Query
from nlviz.writing import check

if TYPE_CHECKING:
    from nlviz.film import Film

_SMALL = 640  # GIFs grow fast


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("film", help="draw the links as a film")
    add_question(parser)
    add_windows(parser, neighbours=False)
    moves = parser.add_mutually_exclusive_group()
    path = "move the query from the first --at to the next ones, all on one frame"
    moves.add_argument("--path", action="store_true", help=path)
    hops = "move the query along its heaviest link, HOPS times"
    moves.add_argument("--follow", type=count, metavar="HOPS", help=hops)
    add = parser.add_argument
    add("--seconds", type=float, help="how long the path takes (default: 4)")
    add("--fps", type=float, help="frames per second (default: 4; 12 for a query that moves)")
    wide = "of the film (default: up to 1280 for MP4, 640 for GIF)"
    add("--width", type=count, metavar="PX", help=wide)
    to = "what the heat is scaled to: the row, the block, or 1 (default: %(default)s)"
    add("--heat", choices=AGAINST, default="row", help=to)
    add_shade(parser, colours="dusk", opacity=0.7)
    add("--palette", type=comma_separated, metavar="COLOUR,…", help="of the queries, as #E69F00")
    add_output(parser, "OUT.mp4 or OUT.gif")
    parser.set_defaults(command=_film)


def _film(options: argparse.Namespace) -> None:
    from nlviz.film import ENDINGS

    check(options.output, ENDINGS, force=options.force)
    question = Question.of(options)
    question.check_asked()
    _check(options, question)
    whole = question.window is not None and not (options.path or options.follow)
    film = _in_windows(options, question) if whole else _drawn(options, Subject.of(question))
    film.save(options.output, progress=progress)
    print(f"Wrote {options.output}.", file=sys.stderr)


def _check(options: argparse.Namespace, question: Question) -> None:
    """What can be refused before the long work."""
    from nlviz.film.sheet import check_width
    from nlviz.film.style import check_rate
    from nlviz.film.travel import check_path

    if not 0 <= options.opacity <= 1:
        raise QueryError(f"--opacity must be 0 to 1; got {options.opacity:g}.")
    check_goes_with("--path", options.path, {"--seconds": options.seconds is not None})
    check_rate(options.fps)
    check_width(options.width)
    if options.path and not question.of_session:
        check_path([place for place in question.at if isinstance(place, Point)])


def _in_windows(options: argparse.Namespace, question: Question) -> Film:
    """The whole of a long clip, each frame as its own window saw it."""
    from nlviz.windows import play_windows

    if question.baseline:
        raise QueryError("A film of windows shows the blocks themselves; leave out --baseline.")
    long = Subject.long(question)
    tell(long, question)
    long.run(progress)
    numbers = list(numbers_of(long, question))
    subject = Subject(question, long.window(numbers[0]))
    asked = subject.queries
    return play_windows(long, asked, **_how(options, subject, asked))


def _how(options: argparse.Namespace, subject: Subject, asked: Sequence[Query]) -> dict[str, Any]:
    from nlviz.heat.overlay import Shade

    small = options.output.lower().endswith(".gif")
    return {
        "width": options.width or (_SMALL if small else None),
        "rate": options.fps,
        "shade": Shade(
            options.opacity, options.colours, options.heat, options.curve, options.sharpen
        ),
        **({"palette": options.palette} if options.palette else {}),
        "comment": subject.provenance(asked).json,
    }


def _drawn(options: argparse.Namespace, subject: Subject) -> Film:
    from nlviz.film import follow, play, travel

    analysis, asked = subject.analysis, subject.queries
    how = _how(options, subject, asked)
    if options.path:
        points = [query.point for query in asked if isinstance(query.point, Point)]
        return travel(analysis, asked[0], points, seconds=options.seconds, **how)
    if options.follow:
        return follow(analysis, asked[0], options.follow, **how)
    return play(analysis, asked, **how)
