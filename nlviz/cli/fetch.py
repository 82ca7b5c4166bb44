"""``python -m nlviz fetch NAME``: a published network onto this machine."""

from __future__ import annotations

import argparse
import sys
from typing import Any

_WIDTH = 30


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("fetch", help="download a published network, check and keep it")
    parser.add_argument("name", metavar="NAME", help="see `models`")
    given = "a checkpoint that is here already, instead of downloading it"
    parser.add_argument("--from", dest="source", metavar="FILE", help=given)
    kept = "where networks are kept (default: $NLVIZ_CACHE, else ~/.cache/nlviz)"
    parser.add_argument("--cache", metavar="FOLDER", help=kept)
    parser.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from nlviz.models import zoo
    from nlviz.models.published import fetch

    record = zoo.published(options.name)
    print(f"{record.summary}; licence {record.licence}", file=sys.stderr)
    bar = _Bar()
    kept = fetch.fetch(record, source=options.source, folder=options.cache, progress=bar.show)
    bar.end()
    print(f"{record.name} is kept in {kept}")


class _Bar:
    """A bar on standard error; a line for each tenth where that is not a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._said = -1

    def show(self, done: int, total: int | None) -> None:
        """Draw what is new."""
        percent = 100 * done // total if total else done >> 20
        step = percent if self._live or not total else percent // 10 * 10
        if step == self._said:
            return
        self._said = step
        of = f" of {total / 1e6:.1f} MB" if total else " MB"
        filled = "█" * (_WIDTH * done // total) if total else ""
        line = f"[{filled:<{_WIDTH}}] {done / 1e6:.1f}{of}"
        print(f"\r{line}" if self._live else line, end="" if self._live else "\n", file=sys.stderr)

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._live and self._said >= 0:
            print(file=sys.stderr)
