"""``python -m nlviz export``: numbers for a plot, and sessions that open again."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from nlviz.ask.links import top_links
from nlviz.cli.options import add_output, add_question, add_windows
from nlviz.cli.page import check_goes_with
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.writing import check, write

_ENDINGS = (".json", ".csv", ".npz", ".safetensors", ".nlviz")
_TABLES = ("links", "profile", "blocks")


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("export", help="write links, rows, θ and φ, or statistics")
    add_question(parser)
    add_windows(parser)
    kinds = (
        "OUT.json or OUT.csv: links; OUT.npz or OUT.safetensors: θ, φ and rows; OUT.nlviz: a "
        "session, which every command takes as INPUT"
    )
    add_output(parser, kinds)
    tables = (
        "what a CSV holds: the links, how each query's weight is spread, or averages over all "
        "queries of each block (default: %(default)s)"
    )
    parser.add_argument("--table", choices=_TABLES, default="links", help=tables)
    parser.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> None:
    question = Question.of(options)
    ending = check(options.output, _ENDINGS, force=options.force)
    check_goes_with("-o OUT.csv", ending == ".csv", {"--table": options.table != "links"})
    if ending == ".json" or (ending == ".csv" and options.table != "blocks"):
        question.check_asked()
    write(options.output, content(Subject.of(question), ending, options.table))
    print(f"Wrote {options.output}.", file=sys.stderr)


def content(subject: Subject, ending: str, table: str) -> bytes:
    """What a file of numbers or a session holds, by its ending; ``table`` is of a CSV."""
    from nlviz import export, statistics

    analysis, asked, chosen = subject.analysis, subject.queries, subject.blocks
    made = subject.provenance(asked)
    if ending == ".nlviz":
        return export.save(export.Session(analysis, made, tuple(asked), subject.settings))
    if ending == ".npz":
        return export.npz(analysis, asked, made, chosen)
    if ending == ".safetensors":
        return export.tensors(analysis, asked, made, chosen)
    if ending == ".csv" and table == "profile":
        profiles = [statistics.profile(analysis, query) for query in asked]
        return export.profile_csv(profiles, made)
    if ending == ".csv" and table == "blocks":
        averages = [
            statistics.block_statistics(
                analysis, block, head=subject.question.head, progress=progress
            )
            for block in chosen
        ]
        return export.statistics_csv(averages, made)
    answers = [top_links(analysis, query) for query in asked]
    if ending == ".csv":
        return export.links_csv(answers, made)
    told = {**export.report(analysis, answers), "provenance": asdict(made)}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()
