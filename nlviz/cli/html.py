"""``python -m nlviz html``: the viewer and its data in one file that opens anywhere."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nlviz.cli.options import add_output, add_question, add_windows
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.display import as_text
from nlviz.query import OFS, origin
from nlviz.writing import check, write

_LARGE = 10_000_000


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("html", help="write one page to hover over, without Python")
    add_question(parser)
    add_windows(parser)
    parser.add_argument("--title", help="of the page; the clip's name by default")
    under = (
        "colour the frames by the first three principal components of the block's input, θ, φ or "
        "output, while nothing is pointed at"
    )
    parser.add_argument("--components", choices=OFS, help=under)
    add_output(parser, "OUT.html")
    parser.set_defaults(command=_html)


def _html(options: argparse.Namespace) -> None:
    from nlviz.export import page

    check(options.output, (".html",), force=options.force)
    subject = Subject.of(Question.of(options))
    asked = subject.queries
    made = subject.provenance(asked)
    layer = None
    if options.components is not None:
        from nlviz.features import pca

        block, _ = origin(subject.block)
        found = pca(
            subject.analysis,
            block,
            of=options.components,
            network=subject.network,
            progress=progress,
        )
        layer = found.layer
    content = page(
        subject.analysis,
        asked,
        made,
        title=None if options.title is None else as_text(options.title),
        settings=subject.settings,
        layer=layer,
        progress=progress,
    )
    write(options.output, content)
    advice = "; fewer frames or a smaller --size make it smaller" if len(content) > _LARGE else ""
    print(f"Wrote {options.output}, {len(content) / 1e6:.1f} MB{advice}.", file=sys.stderr)
