"""``python -m nlviz models``: the networks there are."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("models", help="the networks there are")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.set_defaults(command=_models)


def _models(options: argparse.Namespace) -> None:
    from nlviz.models import zoo

    records = [zoo.record(name) for name in zoo.names()]
    if options.json:
        described = [_described(record, zoo.is_here(record.name)) for record in records]
        print(json.dumps(described, indent=2))
        return
    for record in records:
        lacking = "" if zoo.is_here(record.name) else " [not fetched]"
        parts = [
            record.summary,
            getattr(record, "conventions", ""),
            "blocks " + ", ".join(record.taps),
        ]
        print(f"{record.name}{lacking}: {'; '.join(filter(None, parts))}")
        if record.short:
            print(f"  {record.short}")
    print("\nThose not fetched yet can be had with: python -m nlviz fetch NAME")


def _described(record: Any, here: bool) -> dict[str, Any]:
    described = {
        "name": record.name,
        "summary": record.summary,
        "measured": record.short,
        "function": record.function,
        "default_size": record.default_size,
        "blocks": [
            {"name": name, "stride": list(tap.stride), "first": list(tap.first)}
            for name, tap in record.taps.items()
        ],
        "here": here,
    }
    if hasattr(record, "url"):
        described |= {
            "family": record.family,
            "dialect": record.dialect,
            "conventions": record.conventions,
            "frames": record.frames,
            "every": record.every,
            "mean": list(record.mean),
            "deviation": list(record.deviation),
            "classes": "Kinetics-400",
            "top1": record.top1,
            "top1_without_blocks": record.top1_without,
            "licence": record.licence,
            "url": record.url,
        }
    return described
