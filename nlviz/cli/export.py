"""``python -m nlviz export``: numbers for a plot, as JSON, CSV, NPZ or safetensors."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nlviz.cli.question import add_question, analysed, blocks, progress, queries
from nlviz.cli.terminal import add_output
from nlviz.errors import QueryError
from nlviz.links import top_links
from nlviz.writing import check, write

if TYPE_CHECKING:
    from nlviz.analysis import Analysis

_ENDINGS = (".json", ".csv", ".npz", ".safetensors")
_TABLES = ("links", "profile", "blocks")


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("export", help="write links, rows, θ and φ, or statistics")
    add_question(parser)
    add_output(parser, "OUT.json or OUT.csv: links; OUT.npz or OUT.safetensors: θ, φ and rows")
    tables = (
        "what a CSV holds: the links, how each query's weight is spread, or averages over all "
        "queries of each block (default: %(default)s)"
    )
    parser.add_argument("--table", choices=_TABLES, default="links", help=tables)
    parser.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> None:
    ending = check(options.output, _ENDINGS, force=options.force)
    alone = ending in (".npz", ".safetensors") or (ending, options.table) == (".csv", "blocks")
    if not options.at and not alone:
        raise QueryError("Nothing was asked about; give --at FRAME,X,Y or --region or --token.")
    write(options.output, _content(options, ending, analysed(options)))
    print(f"Wrote {options.output}.", file=sys.stderr)


def _content(options: argparse.Namespace, ending: str, analysis: Analysis) -> bytes:
    from nlviz import export, statistics

    asked = queries(options, analysis)
    provenance = export.Provenance.of(analysis, asked, command=options.typed)
    chosen = blocks(options, analysis)
    if ending == ".npz":
        return export.npz(analysis, asked, provenance, chosen)
    if ending == ".safetensors":
        return export.tensors(analysis, asked, provenance, chosen)
    if ending == ".csv" and options.table == "profile":
        profiles = [statistics.profile(analysis, query) for query in asked]
        return export.profile_csv(profiles, provenance)
    if ending == ".csv" and options.table == "blocks":
        averages = [
            statistics.block_statistics(analysis, block, head=options.head, progress=progress)
            for block in chosen
        ]
        return export.statistics_csv(averages, provenance)
    answers = [top_links(analysis, query) for query in asked]
    if ending == ".csv":
        return export.links_csv(answers, provenance)
    told = {**export.report(analysis, answers), "provenance": asdict(provenance)}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()
