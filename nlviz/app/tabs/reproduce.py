"""The Reproduce tab: the command and the Python lines for what is on screen."""

from __future__ import annotations

import streamlit as st

from nlviz.app.tabs import commands
from nlviz.app.tabs.context import TabContext


def show(context: TabContext) -> None:
    """Both, to be copied."""
    points = [pin.point for pin in context.pins]
    choice = context.shown.choice
    st.code(commands.command("links", choice, points, context.options), language=None)
    st.code(commands.python(choice, points, context.options), language=None)
    if choice.material.data is not None:
        st.caption("Run it in the folder that holds your file.")
