"""A code block with a button that copies it.

Streamlit's own brings a highlighter for every language, which keeps a new page busy for half a
second before the first picture is drawn.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nlviz.viewer import bundle

_HERE = Path(__file__).parent
NAME = "nlviz_code_block"
"""What Streamlit calls the component."""

_mount = st.components.v2.component(
    NAME,
    html="""<div class="block"><pre class="code" tabindex="0"><code></code></pre>
<div class="copying"><button type="button">Copy</button><span role="status"></span></div></div>
""",
    css=(_HERE / "code_block.css").read_text(encoding="utf-8"),
    js=bundle.join(_HERE / "code_block.js"),
)


def show(text: str, key: str) -> None:
    """Lines to be copied; ``key`` tells one block of the page from another."""
    _mount(key=f"code-{key}", data=[text])
