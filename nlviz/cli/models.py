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
    from models import zoo

    records = [zoo.record(name) for name in zoo.names()]
    if options.json:
        print(json.dumps([_described(record) for record in records], indent=2))
        return
    for record in records:
        print(f"{record.name}: {record.summary}; blocks {', '.join(record.taps)}")


def _described(record: Any) -> dict[str, Any]:
    return {
        "name": record.name,
        "summary": record.summary,
        "function": record.function,
        "default_size": record.default_size,
        "blocks": [{"name": name, "stride": list(tap.stride)} for name, tap in record.taps.items()],
    }
