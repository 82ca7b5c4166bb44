"""Compare's All layers: rollout and class relevance beside the same with shuffled weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app.kept import once
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import waiting
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.picture_grid import openable
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.tiles import TileRequest, drawn
from nlviz.app.tabs.wanted import is_wanted
from nlviz.app.visit import visiting
from nlviz.ask.rows import row_of
from nlviz.experiments.recipe import FUSIONS, RESIDUAL, Fusion, Recipe
from nlviz.progress import Progress, part_of
from nlviz.query import Query, origin
from nlviz.viewer.messages import query_of
from nlviz.viewer.pins import Pin, Place

_ROLLOUT = "Rollout"


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """What was worked out: one derived block by itself, and the same with shuffled weights.

    ``point`` is whose row is drawn: the pin's, or for a class what its score is read from.
    """

    point: Place
    own: Analysis
    shuffled: Analysis
    alike: float


def show(context: TabContext, pin: Pin) -> None:
    """What to work out, and the pictures once it is asked for."""
    if waiting.for_network(context):
        return
    shown = context.shown
    labels = [each.label for each in shown.analysis.prediction]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        what = st.selectbox(
            "What to work out",
            [_ROLLOUT, *labels],
            format_func=lambda each: each if each == _ROLLOUT else f"Relevance: {each}"[:60],
            key="derived-what",
            label_visibility="collapsed",
            width=320,
        )
        recipe = _recipe(context, None if what == _ROLLOUT else str(what))
        wanted = is_wanted("Work it out", (shown.choice, recipe, pin.point), name="derived")
    if wanted:
        key = ("derived", recipe, pin.point)
        work = once(shown, key, _made(context, recipe, pin))
        found: Derived | None = job_result(shown.choice, key, work, name="derived")
        if found is not None:
            _draw(context, pin, found)
    st.caption(
        "Rollout multiplies the attention of all layers; relevance is gradient × attention for a "
        "class, drawn for the places that its score is read from. nlviz derives both: no layer "
        "weighs anything so. Beside each the same with the network's weights in random order: what "
        "is alike in both was not learned. A click shows one in the viewer, with rows at this pin "
        "and a few tokens alone."
    )


def _recipe(context: TabContext, label: str | None) -> Recipe:
    """What to make, as it is chosen: rollout's settings have no meaning for relevance."""
    own = context.shown.without_baselines
    kinds = {name: own.kinds.get(name, "") for name in own.affinities}
    layers = [name for name, kind in kinds.items() if kind.startswith("self-attention")]
    if label is not None:
        # Where the layers are no chain of attention, relevance is of one block.
        block, _ = origin(context.block)
        alone = block if block in own.affinities else own.default_block
        return Recipe(label, None if layers else alone)
    if not layers:
        return Recipe()
    residual = st.number_input(
        "Residual weight",
        0.0,
        0.95,
        RESIDUAL,
        0.05,
        format="%.2f",
        key="derived-residual",
        width=140,
        persist_state="session",
        help="How much of each place passes a layer by, on the residual connection.",
    )
    fusion: Fusion = st.segmented_control(
        "Heads",
        FUSIONS,
        default="mean",
        required=True,
        key="derived-fusion",
        persist_state="session",
    )
    made = Recipe(residual=round(residual, 2), fusion=fusion)
    if len(layers) < 2:
        return made
    ends = layers[0], layers[-1]
    first, last = st.select_slider(
        "Layers",
        layers,
        ends,
        format_func=plain,
        key="derived-layers",
        width=320,
        persist_state="session",
    )
    return made if (first, last) == ends else replace(made, first=first, last=last)


def _made(context: TabContext, recipe: Recipe, pin: Pin) -> Work:
    def derive(analysis: Analysis, report: Progress) -> Analysis:
        from nlviz.experiments.layers import layers_between
        from nlviz.experiments.relevance import relevance
        from nlviz.experiments.rollout import rollout

        places = [pin.point]
        if recipe.label is not None:
            network, label = context.shown.network(), recipe.label
            return relevance(analysis, network, label, places, block=recipe.block, progress=report)
        some = recipe.first is not None
        return rollout(
            analysis,
            places,
            residual=recipe.residual,
            fusion=recipe.fusion,
            blocks=layers_between(analysis, recipe.first, recipe.last) if some else None,
            progress=report,
        )

    def work(progress: Progress) -> Derived:
        with one_at_a_time(progress, kind_of("derived", context.shown.choice)) as told:
            from nlviz.experiments.derived import alone
            from nlviz.experiments.relevance import PREDICTION
            from nlviz.experiments.shuffled import as_baseline, rank_correlation, shuffled

            network, own = context.shown.network(), context.shown.without_baselines
            found = derive(own, part_of(told, 0.0, 0.4))
            (name,) = found.derived
            other = shuffled(own, network, name, derive, progress=part_of(told, 0.4, 1.0))
            both = as_baseline(found, other, name)
            _, random = both.derived
            point = pin.point if recipe.label is None else PREDICTION
            one, two = (row_of(both, Query(point, each)).weights.ravel() for each in (name, random))
            return Derived(
                point, alone(both, name), alone(both, random), rank_correlation(one, two)
            )

    return work


def _draw(context: TabContext, pin: Pin, found: Derived) -> None:
    against = {each.blocks[0]: each for each in (found.own, found.shuffled)}
    asks = [
        TileRequest(name, name, replace(_of(each, context, pin), point=found.point), each)
        for name, each in against.items()
    ]
    tiles = drawn(context, pin, asks, name="derived-tiles")
    if not tiles:
        return

    def show_it(name: str) -> None:
        visit = visiting()
        shown = visit.shown
        if shown is not None and shown.choice == context.shown.choice:
            visit.amend(shown.with_derived(against[name]))
        visit.choose({"block": name})
        st.rerun()  # its blob is brought by the page around the viewer

    chosen = [replace(tile, chosen=tile.id == context.block) for tile in tiles]
    openable(chosen, "sheet-derived", show_it, widest=400)
    st.markdown(plain(f"Rank correlation of the two rows: {found.alike:.2f}."))


def _of(analysis: Analysis, context: TabContext, pin: Pin) -> Query:
    """What a pin asks of an analysis of one block."""
    options = replace(context.options, block=analysis.blocks[0], head=None, reverse=False)
    return query_of(analysis, pin, options)
