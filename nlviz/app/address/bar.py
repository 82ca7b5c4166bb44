"""Keep the page's address up to date with what is on screen, and offer to copy it."""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from nlviz.app.address.query_string import Address, shortened, write
from nlviz.app.in_order import sent
from nlviz.viewer import bundle

_HERE = Path(__file__).parent
_WHOLE = "This page's address holds the clip's name, the pins and the options."
_UPLOAD = "This page's address holds everything but the clip, which has to be uploaded again."
_SHORT = "Outlines in the address have fewer corners than here; a session file keeps them all."
_UNASKED = (
    "The question and the answer are too long for an address; a session file keeps the words."
)
_mount = st.components.v2.component(
    "nlviz_location",
    html="""<div class="location"><button type="button">Copy address</button>
<span role="status"></span></div>
""",
    css=(_HERE / "bar.css").read_text(encoding="utf-8"),
    js=bundle.join(_HERE / "bar.js"),
)


def follow(address: Address) -> None:
    """Write the address into the page's, and offer to copy it."""
    hints = [_UPLOAD if address.digest else _WHOLE]
    short = shortened(address)
    if short.asked != address.asked:
        hints.append(_UNASKED)
    if short.pins != address.pins:
        hints.append(_SHORT)
    told = [write(address), " ".join(hints)]
    _mount(key="location", data=[*told, sent("location", json.dumps(told))])
