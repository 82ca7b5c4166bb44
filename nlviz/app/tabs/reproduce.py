"""The Reproduce tab: the command and the Python lines for what is on screen."""

from __future__ import annotations

import streamlit as st

from nlviz.app.markdown import plain
from nlviz.app.tabs import commands
from nlviz.app.tabs.context import TabContext


def show(context: TabContext) -> None:
    """Both, to be copied."""
    points = [pin.point for pin in context.pins]
    choice = context.shown.choice
    st.code(commands.command("links", choice, points, context.options), language=None)
    st.code(commands.python(choice, points, context.options), language=None)
    own = [choice.material.name] if choice.material.data is not None else []
    own += [choice.weights.file] if choice.weights is not None else []
    if own:
        st.caption(f"Run it in the folder that holds {plain(' and '.join(own))}.")
