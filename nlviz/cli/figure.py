"""``python -m nlviz figure``: the links as a film strip in a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nlviz.ask.links import best_path, top_links
from nlviz.cli.options import add_output, add_path, add_question, add_shade, add_windows
from nlviz.cli.page import check_goes_with, check_page
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.typed import comma_separated, count, length, numbers
from nlviz.errors import QueryError
from nlviz.heat.colormap import Colours
from nlviz.heat.scale import AGAINST
from nlviz.query import Link
from nlviz.writing import check

Answers = list[tuple[Link, ...]]

_COLOURS: Colours = "viridis"
_OPACITY = 0.75
_WIDTH = "of the figure, as 8.4cm, 252pt or 3.3in (default: 17.4cm)"


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("figure", help="draw the links as a film strip")
    add_question(parser)
    add_path(parser)
    add_windows(parser)
    under = "lay the first place's row over the frames: scaled to the row, to the block, or to 1"
    parser.add_argument("--heat", choices=AGAINST, help=under)
    add_shade(parser, colours=_COLOURS, opacity=_OPACITY)
    _add_style(parser)
    add_output(parser, "OUT.png, OUT.svg or OUT.pdf")
    parser.set_defaults(command=_figure)


def _add_style(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--width", type=length, default=17.4, metavar="LENGTH", help=_WIDTH)
    add("--columns", type=count, help="frames in a row (default: all, up to eight)")
    only = "source frames to draw, of those that were sampled (default: all)"
    add("--only", type=numbers, metavar="FRAME,…", help=only)
    rows = "a strip for each of these blocks, or for all that can be asked there"
    add("--rows", type=comma_separated, metavar="BLOCK,…|all", help=rows)
    add("--font", help="family of all words, one that is installed (default: DejaVu Sans)")
    add("--font-size", type=float, metavar="PT", help="of the words in points (default: 6.5)")
    palette = "of the queries, as #E69F00 or by name"
    add("--palette", type=comma_separated, metavar="COLOUR,…", help=palette)
    add("--no-titles", action="store_true", help="neither frame numbers nor a legend")
    add("--dpi", type=count, default=300, help="of a PNG, 30 to 1200 (default: %(default)s)")


def _figure(options: argparse.Namespace) -> None:
    from nlviz.figures import ENDINGS, Heat, Panel, Style, film_strips

    check(options.output, ENDINGS, force=options.force)  # before minutes of work, not after
    given = {
        "frames": options.only,
        "font": options.font,
        "size": options.font_size,
        "colours": options.palette,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    style = Style(**chosen, titles=not options.no_titles)
    check_page(options.width, options.dpi)
    style.check_room(options.width)
    _check_heat(options)
    question = Question.of(options)
    question.check_asked()
    subject = Subject.of(question)
    panels = []
    for answers in _rows(subject, options.rows, path=options.path):
        heat = None
        if options.heat:
            how = (options.heat, options.curve, options.colours, options.opacity, options.sharpen)
            heat = Heat(answers[0][0].query, *how)
        panels.append(Panel(subject.analysis, answers, heat))
    figure = film_strips(panels, width_cm=options.width, columns=options.columns, style=style)
    queries = [links[0].query for panel in panels for links in panel.links]
    figure.signed(subject.provenance(queries)).save(options.output, dpi=options.dpi)
    print(f"Wrote {options.output}.", file=sys.stderr)


def _check_heat(options: argparse.Namespace) -> None:
    """QueryError for an option that says how heat is drawn where none is."""
    usual = {"--curve": "linear", "--colours": _COLOURS, "--opacity": _OPACITY, "--sharpen": False}
    said = {name: getattr(options, name[2:]) != value for name, value in usual.items()}
    check_goes_with("--heat", options.heat is not None, said)
    if not 0 < options.opacity <= 1:
        raise QueryError(f"--opacity must be above 0, and at most 1; got {options.opacity:g}.")


def _rows(subject: Subject, rows: Sequence[str] | None, *, path: bool) -> list[Answers]:
    """The links of each strip: those that were asked for, or the same places of other blocks."""
    if not rows:
        return [subject.answers(path=path)]
    if rows != ("all",):
        return [_asked(subject, block, path=path) for block in rows]
    found = []
    for block in subject.analysis.blocks:
        try:
            found.append(_asked(subject, block, path=path))
        except QueryError as why:  # one block without a query there does not hide the others
            print(f"note: {why}", file=sys.stderr)
    return found


def _asked(subject: Subject, block: str, *, path: bool) -> Answers:
    queries = (replace(query, block=block) for query in subject.queries_of(block))
    answer = best_path if path else top_links
    return [answer(subject.analysis, query) for query in queries]
