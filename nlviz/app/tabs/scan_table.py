"""The heat table of a scan as a component of the page: a click on a number chooses its head."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from nlviz.app.guard import safely
from nlviz.app.in_order import sent
from nlviz.query import layer_of
from nlviz.scans import Scan
from nlviz.scans.figure import columns_of
from nlviz.scans.found import Of, Score

Opened = Callable[[str, int | None], None]

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "nlviz_scan",
    html='<div class="scan"><table><thead></thead><tbody></tbody></table></div>\n',
    css=(_HERE / "scan_table.css").read_text(encoding="utf-8"),
    js=(_HERE / "scan_table.js").read_text(encoding="utf-8"),
)


def scan_table(
    found: Scan, blocks: Sequence[str], chosen: tuple[str, int | None], on_open: Opened
) -> None:
    """The table of what there is so far; ``on_open`` gets the block and the head of a click.

    ``blocks`` are all there will be, ``chosen`` what the viewer shows.
    """
    told = contents(found, blocks, chosen)
    _mount(
        key="scan-table",
        data={**told, "sent": sent("scan-table", json.dumps(told))},
        on_open_change=safely(lambda: _open(str(st.session_state["scan-table"].open), on_open)),
    )


def contents(found: Scan, blocks: Sequence[str], chosen: tuple[str, int | None]) -> dict[str, Any]:
    """What the component draws: columns, rows of cells, and the ends of the scale."""
    columns = columns_of(found)
    values = [each.value for each in found.scores]
    rows = [
        {
            "name": block,
            "cells": [_cell(found, block, head, of, chosen) for _, head, of in columns],
        }
        for block in blocks
    ]
    names = [f"head {name}" if name.isdecimal() else name for name, _, _ in columns]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return {"columns": names, "rows": rows, "low": low, "high": high}


def _cell(
    found: Scan, block: str, head: int | None, of: Of, chosen: tuple[str, int | None]
) -> dict[str, Any]:
    score = found.at(block, head, of)
    own = of == "weights" or layer_of(block) is not None  # a block of that name is in the viewer
    return {
        "id": f"{'' if head is None else head}:{block}" if of == "weights" else f"cosine:{block}",
        "value": None if score is None else score.value,
        "said": "" if score is None else _said(score),
        "opens": own and score is not None,
        "chosen": own and score is not None and (block, head) == chosen,
        "best": score is not None and score is found.best,
    }


def _said(score: Score) -> str:
    return f"{score.name}: {score.value:.3f} ({score.low:.3f} to {score.high:.3f})"


def _open(id: str, on_open: Opened) -> None:
    head, _, block = id.partition(":")
    on_open(block, int(head) if head.isdecimal() else None)
