"""``python -m nlviz figure``: the links as a film strip in a file."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nlviz.cli.question import add_path, add_question, ask
from nlviz.cli.terminal import add_output
from nlviz.scale import AGAINST, CURVES
from nlviz.writing import check

_COLOURS = ("viridis", "cividis", "grey")  # those of nlviz.figures, which loads Matplotlib


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("figure", help="draw the links as a film strip")
    add_question(parser)
    add_path(parser)
    under = "lay the first place's row over the frames: scaled to the row, to the block, or to 1"
    parser.add_argument("--heat", choices=AGAINST, help=under)
    along = "how its colours rise with the weight (default: %(default)s)"
    parser.add_argument("--curve", choices=CURVES, default="linear", help=along)
    parser.add_argument("--colours", choices=_COLOURS, default="viridis", help="of the heat")
    add_output(parser, "OUT.png, OUT.svg or OUT.pdf")
    parser.set_defaults(command=_figure)


def _figure(options: argparse.Namespace) -> None:
    from nlviz.figures import ENDINGS, Heat, film_strip

    check(options.output, ENDINGS, force=options.force)  # before minutes of work, not after
    analysis, answers = ask(options)
    heat = None
    if options.heat:
        heat = Heat(answers[0][0].query, options.heat, options.curve, options.colours)
    film_strip(analysis, answers, heat=heat).save(options.output)
    print(f"Wrote {options.output}.", file=sys.stderr)
