"""``python -m nlviz summary``: what a batch says over all of its clips."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nlviz.cli.typed import comma_separated
from nlviz.writing import check, write

_ENDINGS = (".csv", ".json", ".png", ".svg", ".pdf")


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("summary", help="means and paired differences of a batch")
    add = parser.add_argument
    add("folder", metavar="OUT", help="the folder of a batch")
    by = "a column of the list, such as label: a mean for each of its values"
    add("--by", metavar="COLUMN", help=by)
    only = "which columns, as same_object,JF (default: all that there are)"
    add("--measures", type=comma_separated, metavar="COLUMN,…", help=only)
    files = "OUT.csv, OUT.json, or a figure: OUT.png, OUT.svg or OUT.pdf; repeatable"
    add("-o", "--output", action="append", default=[], metavar="FILE", help=files)
    add("--force", action="store_true", help="overwrite a file that already exists")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_summary)


def _summary(options: argparse.Namespace) -> None:
    for path in options.output:
        check(path, _ENDINGS, force=options.force)
    from nlviz.batches.summary import as_lines, summary

    found = summary(options.folder, by=options.by)
    if options.measures:
        found = found.only(options.measures)
    told = json.dumps(asdict(found), indent=1, ensure_ascii=False)
    for path in options.output:
        ending = Path(path).suffix.lower()
        if ending in (".csv", ".json"):
            write(path, found.csv() if ending == ".csv" else told.encode())
        else:
            from nlviz.batches.summary_figure import summary_figure

            summary_figure(found).save(path)
        print(f"Wrote {path}.", file=sys.stderr)
    print(told if options.json else "\n".join(as_lines(found)))
