"""The Block tab: its function, which links can exist, what a cell covers and has seen."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from nlviz.about import About, fidelity_in_words
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import waiting
from nlviz.app.tabs.context import TabContext, choose_pin
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.wanted import is_wanted
from nlviz.display import begun, listed
from nlviz.geometry import Point, Region
from nlviz.progress import Progress
from nlviz.query import origin

if TYPE_CHECKING:
    from nlviz.experiments.receptive_field import ReceptiveField


def show(context: TabContext) -> None:
    """What is known of the block, and a pin's receptive field once the visitor asks for it."""
    st.html(table(context.analysis.about(context.block)))
    if context.analysis.affinity(context.block).is_derived:
        return
    st.markdown("**What a pin's cell has seen**")
    place = choose_pin(context, "field-pin").point
    if isinstance(place, str):
        st.caption(f"The token '{plain(place)}' has no place, and so no receptive field.")
        return
    what = (context.shown.choice, context.block, place)
    wanted = is_wanted("Trace its receptive field", what, name="field")
    if wanted and not waiting.for_network(context):
        key = ("field", context.block, place)
        found: ReceptiveField | None = job_result(
            context.shown.choice, key, _traced(context, place), name="field"
        )
        if found is not None:
            st.markdown(f"{plain(begun(found.sentence))}.")
    st.caption(
        "All of the clip that the layers before the block can read for the cell, by one more pass "
        "of the network; how much each pixel weighs in it falls off towards the edges."
    )


def _traced(context: TabContext, place: Point | Region) -> Work:
    def work(progress: Progress) -> ReceptiveField:
        with one_at_a_time(progress, kind_of("reach", context.shown.choice)) as told:
            from nlviz.experiments.receptive_field import receptive_field

            told(0.5, "tracing what the layers before the block read")
            block, _ = origin(context.block)
            return receptive_field(
                context.shown.without_baselines, context.shown.network(), block, place
            )

    return work


def table(about: About) -> str:
    """As HTML, a row for each thing that is known."""
    rows = {
        "kind": about.kind,
        "function": about.function,
        "rows": about.rows,
        "links": about.reach,
        "queries": about.queries,
        "keys": about.keys,
        "tokens": listed(about.tokens),
        "a cell stands for": _covers(about.footprint),
        "a key's cell": _covers(about.key_footprint),
        "fidelity": _fidelity(about),
        "places": about.places,
    }
    body = "".join(
        f'<tr><th scope="row">{name}</th><td class="words">{escape(words)}</td></tr>'
        for name, words in rows.items()
        if words
    )
    return f'<div class="numbers"><table><tbody>{body}</tbody></table></div>'


def _fidelity(about: About) -> str:
    words = fidelity_in_words(about.fidelity)
    if about.fidelity is None:
        return f"{words}: no block of the network puts this out"
    return f"{words}: the block's output recomputed from what is drawn, relative error"


def _covers(footprint: tuple[float, float, float]) -> str:
    t, down, right = footprint
    frames = f"{t:.3g} sampled frame{'s' if t != 1 else ''}"
    return f"{right:.3g}×{down:.3g} source pixels, {frames}"
