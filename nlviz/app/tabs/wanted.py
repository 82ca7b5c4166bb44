"""What takes long runs only once the visitor wants it: a button, and what it was clicked for."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import streamlit as st

from nlviz.app.guard import safely
from nlviz.app.markdown import plain


def is_wanted(
    label: str,
    what: Hashable,
    *,
    name: str,
    type: Literal["primary", "secondary"] = "secondary",
) -> bool:
    """Whether the visitor clicked for this; else the button is drawn.

    A click is for what the controls say when it is heard. The button on the page may still be that
    of the choice before, so it does not carry one: what it was drawn for would be wanted in place
    of what the visitor sees, and the click would seem lost.

    Args:
        label: of the button.
        what: tells it from the same with other options, for which the button is drawn anew.
        name: tells two such places of one page apart.
        type: how the button looks.
    """
    held = f"nlviz-wanted-{name}"
    clicked = f"{held}-clicked"
    if st.session_state.pop(clicked, False):
        st.session_state[held] = what
    if st.session_state.get(held) == what:
        return True
    st.button(plain(label), on_click=safely(_click), args=(clicked,), type=type)
    return False


def _click(clicked: str) -> None:
    st.session_state[clicked] = True
