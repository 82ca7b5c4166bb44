"""``python -m nlviz html``: the viewer and its data in one file that opens anywhere."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nlviz.cli.question import add_question, analysed, queries
from nlviz.cli.sessions import provenance, settings
from nlviz.cli.terminal import add_output
from nlviz.writing import check, write

_LARGE = 10_000_000


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("html", help="write one page to hover over, without Python")
    add_question(parser)
    parser.add_argument("--title", help="of the page; the clip's name by default")
    add_output(parser, "OUT.html")
    parser.set_defaults(command=_html)


def _html(options: argparse.Namespace) -> None:
    from nlviz.export import page

    check(options.output, (".html",), force=options.force)
    analysis = analysed(options)
    asked = queries(options, analysis)
    made = provenance(options, analysis, asked)
    content = page(analysis, asked, made, title=options.title, settings=settings(options))
    write(options.output, content)
    advice = "; fewer frames or a smaller --size make it smaller" if len(content) > _LARGE else ""
    print(f"Wrote {options.output}, {len(content) / 1e6:.1f} MB{advice}.", file=sys.stderr)
