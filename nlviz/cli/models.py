"""``python -m nlviz models``: the networks there are."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("models", help="the networks there are")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    named = "the families of timm and transformers, as they were tried, and what the caches hold"
    parser.add_argument("--by-name", action="store_true", help=named)
    parser.set_defaults(command=_models)


def _models(options: argparse.Namespace) -> None:
    if options.by_name:
        _by_name(as_json=options.json)
        return
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


def _by_name(*, as_json: bool) -> None:
    """What tools/named_families.py saw of each family, and the specs of this machine's caches."""
    from nlviz.inference.by_name import kept
    from nlviz.resources import ASSETS

    families = json.loads((ASSETS / "families.json").read_text(encoding="utf-8"))
    here = [f"hf:{name}" for name in kept.kept_repositories()]
    if as_json:
        print(json.dumps({"families": families, "here": here}, indent=2, ensure_ascii=False))
        return
    for library, several in families.items():
        captured = sum(bool(each["captured"]) for each in several)
        print(f"{library}: {captured} of {len(several)} families with attention are captured")
        for each in several:
            print(f"  {each['family']}: {_seen(each)}")
    print("\nSpecs are timm:NAME, hf:ORG/NAME, hf:FOLDER and torchhub:REPO:ENTRY.")
    print(f"In the caches of this machine: {', '.join(here) or 'none'}")


def _seen(family: dict[str, Any]) -> str:
    why = family["why"]
    if not family["captured"]:
        return f"none captured: {why}"
    refused = f"; {family['refused']} refused: {why}" if family["refused"] else ""
    return (
        f"{family['captured']} blocks captured at {', '.join(family['inputs'])}, largest error "
        f"{family['error']:.1e}, places {'; '.join(family['places'])}{refused}"
    )
