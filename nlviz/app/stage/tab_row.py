"""The row of tabs below the viewer; only the open one is worked out, without the viewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from nlviz.app.guard import guarded
from nlviz.app.shown import Shown
from nlviz.app.tabs import (
    another_clip,
    block,
    compare,
    export,
    features,
    jobs,
    matter,
    overlay,
    profile,
    reproduce,
    scan,
    spacetime,
    tracking,
)
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.progress import TAB
from nlviz.query import Link
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pin

Links = Mapping[Pin, tuple[Link, ...]]

TABS: dict[str, Callable[[TabContext], None]] = {
    "Reproduce": reproduce.show,
    "Profile": profile.show,
    "Block": block.show,
    "Compare": compare.show,
    "Scan": scan.show,
    "Another clip": another_clip.show,
    "Spacetime": spacetime.show,
    "Features": features.show,
    "Does it matter?": matter.show,
    "Tracking": tracking.show,
    "Export": export.show,
}
"""In their order; what each draws."""


def show(shown: Shown, links: Links, options: Options) -> None:
    """The tabs of what is pinned."""
    if not links:
        with jobs.current().asking():  # a tab's computation is left with its pins
            pass
        st.caption("Pin a place to get its profile, comparisons, figures and the command for it.")
        return
    context = TabContext(shown, links, options)
    for tab, name in zip(
        st.tabs(list(TABS), key=overlay.TAB_ROW, on_change="rerun"), TABS, strict=True
    ):
        if tab.open:
            with tab:
                _open(name, context)


@st.fragment(key=TAB)
def _open(name: str, context: TabContext) -> None:
    """The open tab; it reruns alone while it waits, and the viewer is not touched."""
    with guarded(), jobs.current().asking():
        TABS[name](context)
