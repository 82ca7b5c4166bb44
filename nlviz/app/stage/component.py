"""The viewer and the store of its blobs as Streamlit components."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nlviz.viewer import bundle

_HERE = Path(__file__).parent

# Streamlit sends a component's script with each of its messages, 90 kB with every click. So one
# mount brings the viewer into the page, and the viewer's own script only waits for it.
# Texts have several lines: one line might be taken for a path.
mount_code = st.components.v2.component(
    "nlviz_code",
    html="<div hidden></div>\n",
    js=bundle.join(_HERE / "mount_viewer.js").replace(
        "export default function", "globalThis.nlvizMount = function"
    )
    + "\nexport default () => {};\n",
)
mount_viewer = st.components.v2.component(
    "nlviz_viewer",
    html="<div></div>\n",
    css=bundle.style(),
    js=(_HERE / "wait.js").read_text(encoding="utf-8"),
)
mount_store = st.components.v2.component(
    "nlviz_store", html="<div hidden></div>\n", js=bundle.join(_HERE / "mount_store.js")
)
