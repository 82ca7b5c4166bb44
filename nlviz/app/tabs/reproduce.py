"""The Reproduce tab: the command and the Python lines for what is on screen."""

from __future__ import annotations

import streamlit as st

from nlviz.app.markdown import plain
from nlviz.app.tabs import code_block, commands
from nlviz.app.tabs.context import TabContext


def show(context: TabContext) -> None:
    """Both, to be copied; without pins that have no links, which a command refuses."""
    pins = context.askable
    if not pins:
        st.info(plain(context.why_no_links or ""))
        return
    points = [pin.point for pin in pins]
    choice = context.shown.choice
    options, recipe = context.options, context.recipe
    code_block.show(commands.command("links", choice, points, options, recipe=recipe), "command")
    code_block.show(commands.python(choice, points, options, recipe), "python")
    left_out = [context.name(pin) for pin in context.pins if pin not in pins]
    if left_out:
        st.caption(f"Without {plain(', '.join(left_out))}: there are no links in this block.")
    own = [] if choice.material.is_sample else [choice.material.path]
    own += [choice.weights.file] if choice.weights is not None else []
    if own:
        st.caption(f"Run it in the folder that holds {plain(' and '.join(own))}.")
