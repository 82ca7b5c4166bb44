"""The word below the upload, where a file is too large or the server takes none now."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nlviz.app import startup

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "nlviz_upload_word",
    html="""<p role="status" hidden></p>
""",
    css=(_HERE / "upload_word.css").read_text(encoding="utf-8"),
    js=(_HERE / "upload_word.js").read_text(encoding="utf-8"),
)
_FULL = (
    "This server has no room for another file now; try again when somebody has left, or give a "
    "smaller file."
)


def show(most: int) -> None:
    """Nothing until a file is given that is larger than ``most`` MB, or that the server refuses."""
    large = f"This file is larger than {most:d} MB. {instead()}"
    _mount(key="upload-word", data={"most": most, "large": large, "full": _FULL})


def instead() -> str:
    """What to do with a larger file."""
    folder = (
        "choose it under “A file of this server”, if it lies there"
        if startup.media() is not None
        else "let whoever runs this server start it with --media FOLDER, and open it there"
    )
    return (
        "Cut it to the part that you want to see, open it with nlviz on the command line, which "
        f"has no such limit, or {folder}."
    )
