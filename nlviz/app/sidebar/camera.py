"""The visitor's own camera beside the upload: a few seconds, or a snapshot, given as a file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

SECONDS = 5
"""How long a recording may be."""

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "nlviz_camera",
    html="""<div class="camera">
<button type="button" class="open" aria-expanded="false">Record</button>
<div class="panel" hidden>
<p>Your browser asks whether this page may use your camera. What you record goes to this app's own
server, as an upload, and nowhere else; there is no sound.</p>
<button type="button" class="allow">Use the camera</button>
<video muted playsinline hidden aria-label="What the camera sees"></video>
<div class="act" hidden>
<button type="button" class="clip"></button>
<button type="button" class="snapshot">Snapshot</button>
</div>
</div>
<p class="said" role="status"></p>
</div>
""",
    css=(_HERE / "camera.css").read_text(encoding="utf-8"),
    js=(_HERE / "camera.js").read_text(encoding="utf-8"),
)


def offer(control: str) -> None:
    """Record in the page; what comes of it is given to the upload whose key is ``control``."""
    _mount(key="camera", data={"control": control, "seconds": SECONDS})
