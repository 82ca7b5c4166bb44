"""``python -m nlviz figure``: the links as a film strip in a file."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nlviz.cli.question import add_question, ask
from nlviz.cli.terminal import add_output
from nlviz.writing import check


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("figure", help="draw the links as a film strip")
    add_question(parser)
    add_output(parser, "OUT.png, OUT.svg or OUT.pdf")
    parser.set_defaults(command=_figure)


def _figure(options: argparse.Namespace) -> None:
    from nlviz.figures import ENDINGS, film_strip

    check(options.output, ENDINGS, force=options.force)  # before minutes of work, not after
    analysis, answers = ask(options)
    film_strip(analysis, answers).save(options.output)
    print(f"Wrote {options.output}.", file=sys.stderr)
