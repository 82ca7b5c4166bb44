"""Windows of a clip that is longer than the part on screen: which there are, and a step to each."""

from __future__ import annotations

import streamlit as st

from nlviz.app.choice import ClipPart
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.media.sampling import usual_overlap

_MOST = 200  # marks on the timeline that can be told apart


def starts(part: ClipPart, total: int) -> tuple[int, ...]:
    """The frames that windows like this part begin at, its own among them; empty if it is alone.

    Neighbours share a quarter of their frames, as on the command line; the first begins at the
    first frame, and the last ends at the end.
    """
    if part.stride is None:
        return ()
    last = max(total - 1 - (part.frames - 1) * part.stride, 0)
    own = min(part.start, last)
    hop = (part.frames - usual_overlap(part.frames)) * part.stride
    before = range(own - hop, 0, -hop)
    after = range(own + hop, last, hop)
    found = sorted({0, *before, own, *after, last})
    return tuple(found) if len(found) > 1 else ()


def show(part: ClipPart, total: int, windows: tuple[int, ...], *, key: str) -> None:
    """Which window is on screen, and buttons to its neighbours; ``key`` is that of the slider."""
    if not windows:
        return
    own = max(number for number, start in enumerate(windows) if start <= part.start)
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        _step("Earlier", "The window before", own - 1, windows, key=key, slot="before")
        st.caption(f"Window {own + 1:d} of {len(windows):d}", width="content")
        _step("Later", "The window after", own + 1, windows, key=key, slot="after")


def _step(
    label: str, name: str, number: int, windows: tuple[int, ...], *, key: str, slot: str
) -> None:
    there = 0 <= number < len(windows)
    st.button(
        plain(label),
        key=f"{key}-{slot}",
        help=plain(name),
        disabled=not there,
        on_click=safely(_go),
        args=(key, windows[number] if there else 0),
    )


def marks(windows: tuple[int, ...]) -> tuple[int, ...]:
    """Those that are drawn on the timeline: none where they could not be told apart."""
    return windows if len(windows) <= _MOST else ()


def _go(key: str, start: int) -> None:
    st.session_state[key] = start
