"""A grid of pictures of the same frames with one shared cursor, as a component of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from nlviz.app.guard import safely
from nlviz.app.in_order import sent

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "nlviz_sheet",
    html='<div class="sheet"></div>\n',
    css=(_HERE / "picture_grid.css").read_text(encoding="utf-8"),
    js=(_HERE / "picture_grid.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture: its id, what it is called, a note, the picture's address, whether it is on."""

    id: str
    label: str
    note: str
    src: str
    chosen: bool = False


def openable(
    tiles: Sequence[Tile], key: str, on_open: Callable[[str], None], *, widest: int = 280
) -> None:
    """Pictures that are buttons; ``on_open`` gets the id of the one clicked."""
    _mount(
        key=key,
        data=_data(tiles, key, "open", widest),
        on_open_change=safely(lambda: on_open(str(st.session_state[key].open))),
    )


def askable(tiles: Sequence[Tile], key: str, on_ask: Callable[[float, float], None]) -> None:
    """Pictures to click in; ``on_ask`` gets the fractions of width and height."""
    _mount(
        key=key,
        data=_data(tiles, key, "ask", 400),
        on_ask_change=safely(lambda: on_ask(*map(float, st.session_state[key].ask))),
    )


def _data(tiles: Sequence[Tile], key: str, action: str, widest: int) -> dict[str, Any]:
    told = {"tiles": [asdict(tile) for tile in tiles], "action": action, "widest": widest}
    return {**told, "sent": sent(key, json.dumps(told))}
