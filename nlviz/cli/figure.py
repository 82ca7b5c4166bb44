"""``python -m nlviz figure``: the links as a film strip in a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nlviz.cli.question import add_question, ask
from nlviz.errors import FigureError


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("figure", help="draw the links as a film strip")
    add_question(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="OUT.png, OUT.svg or OUT.pdf"
    )
    parser.set_defaults(command=_figure)


def _figure(options: argparse.Namespace) -> None:
    from nlviz.figures import check_ending, film_strip

    # Before minutes of work, not after.
    check_ending(options.output)
    if not Path(options.output).resolve().parent.is_dir():
        raise FigureError(f"There is no folder to write '{options.output}' into; make it first.")
    analysis, answers = ask(options)
    film_strip(analysis, answers).save(options.output)
    print(f"Wrote {options.output}.", file=sys.stderr)
