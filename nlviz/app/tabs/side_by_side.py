"""Side by side: the block on screen and another block or network, asked at one cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app import startup
from nlviz.app.choice import Choice, OwnWeights
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, network, one_at_a_time
from nlviz.app.tabs import waiting
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.multiples import Mosaic
from nlviz.app.tabs.picture_grid import askable
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.tiles import TileRequest, drawn
from nlviz.app.visit import visiting
from nlviz.geometry import Point
from nlviz.models import zoo
from nlviz.progress import Progress
from nlviz.viewer.messages import query_of
from nlviz.viewer.pins import Pin

_PLACE = "nlviz-compare-place"
_Networks = Mapping[str, tuple[str, OwnWeights | None]]


def show(context: TabContext, pin: Pin) -> None:
    """This block and another one, of this network or of another; a click asks both there."""
    blocks = [block for block in context.analysis.blocks if block != context.block]
    networks = _networks(context.shown.choice)
    others = [*(f"block {block}" for block in blocks), *(f"network {name}" for name in networks)]
    if not others:
        st.info("There is no other block and no other network here; fetch one to compare.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = st.selectbox("Beside", others, key="beside", width=320)
        point = _place(context, pin)
        if point is not pin.point:
            back = plain(context.name(pin))
            st.button(f"Back to {back}", on_click=safely(_ask), args=(context, pin, None))
    kind, _, name = other.partition(" ")
    against = context.analysis
    block = name
    if kind == "network":
        if waiting.for_network(context):
            return
        found: Analysis | None = job_result(
            context.shown.choice, networks[name], _analysed(context, name, networks), name="beside"
        )
        if found is None:
            return
        against = found
        block = st.segmented_control(
            "Its block",
            against.blocks,
            default=against.default_block,
            required=True,
            format_func=plain,
            key=f"beside-block-{name}",
        )
    moved = replace(pin, point=point)
    query = context.query(moved)
    mosaic = Mosaic.of(context.analysis, query)
    there = query_of(against, moved, replace(context.options, block=block))
    both = [
        TileRequest("this", f"{context.analysis.network} {context.block}", query),
        TileRequest("other", f"{against.network} {block}", there, against),
    ]
    tiles = drawn(context, moved, both, name="both")

    def ask(u: float, v: float) -> None:
        _ask(context, pin, mosaic.place(context.analysis.view, u, v))

    if tiles is not None:
        askable(tiles, "sheet-beside", ask)
    st.caption("One cursor in both; a click asks both there. Arrow keys move it, Enter asks.")


def _networks(choice: Choice) -> _Networks:
    """The networks that this visitor may run beside the one on screen, by what they are called."""
    of_all = {name: (name, None) for name in startup.offered_models() if zoo.is_here(name)}
    found = {**of_all, **visiting().own, **{name: (name, None) for name in visiting().named}}
    return {name: which for name, which in found.items() if name != choice.network}


def _analysed(context: TabContext, name: str, networks: _Networks) -> Work:
    def work(progress: Progress) -> Analysis:
        with one_at_a_time(progress, kind_of("beside", context.shown.choice)) as told:
            from nlviz.inference.forward import analyse

            told(0.0, f"loading {name}")
            return analyse(context.analysis.clip, network(*networks[name]), progress=told)

    return work


def _place(context: TabContext, pin: Pin) -> Any:
    """Where both are asked: the place clicked last on this analysis, else the pin's."""
    about, point = st.session_state.get(_PLACE, (None, None))
    return point if about == (context.shown.choice, pin.id) else pin.point


def _ask(context: TabContext, pin: Pin, point: Point | None) -> None:
    st.session_state[_PLACE] = (context.shown.choice, pin.id) if point else None, point
