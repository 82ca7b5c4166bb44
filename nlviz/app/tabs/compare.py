"""The Compare tab: one query in every block and head, in baselines, and in another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app.kept import once
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import derived, side_by_side, waiting
from nlviz.app.tabs.context import VIEWER_FRAGMENT, TabContext, choose_pin
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.picture_grid import Tile, openable
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.tiles import TileRequest, drawn
from nlviz.app.visit import visiting
from nlviz.errors import CaptureError
from nlviz.progress import Progress
from nlviz.query import BASELINES, Query, origin
from nlviz.viewer.messages import query_of
from nlviz.viewer.pins import Pin


def show(context: TabContext) -> None:
    """One of several grids of pictures."""
    shows = {
        "Blocks": _blocks,
        "Baselines": _baselines,
        "All layers": derived.show,
        "Side by side": side_by_side.show,
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        what = st.segmented_control(
            "Compare with",
            list(shows),
            default="Blocks",
            required=True,
            key="compare-with",
            label_visibility="collapsed",
        )
        pin = choose_pin(context, "compare-pin")
    shows[what](context, pin)


def _blocks(context: TabContext, pin: Pin) -> None:
    """Every block; below, every head of the block that is on."""
    query, heads = context.query(pin), context.analysis.affinity(context.block).heads
    each = [
        TileRequest(block, block, context.query(pin, block)) for block in context.analysis.blocks
    ]
    alone = range(heads if heads > 1 else 0)
    each += [TileRequest(str(head), f"head {head}", replace(query, head=head)) for head in alone]
    found = drawn(context, pin, each, name="blocks")
    if found is None:
        return
    blocks, by_head = found[: len(context.analysis.blocks)], found[len(context.analysis.blocks) :]
    openable(_on(blocks, context.block), "sheet-blocks", lambda block: _choose({"block": block}))
    if by_head:
        st.markdown(f"**The heads of {plain(context.block)}**")
        chosen = _on(by_head, str(query.head))
        openable(chosen, "sheet-heads", lambda head: _choose({"head": int(head)}))
    by_row = context.shade.against == "row"
    scaled = "each scaled to its own heaviest weight" if by_row else "scaled as in the viewer"
    st.caption(f"The same question in each block, {scaled}. A click shows the block in the viewer.")


def _on(tiles: Sequence[Tile], chosen: str) -> list[Tile]:
    return [replace(tile, chosen=tile.id == chosen) for tile in tiles]


def _choose(options: dict[str, Any]) -> None:
    visiting().choose(options)
    st.rerun(VIEWER_FRAGMENT)


def _baselines(context: TabContext, pin: Pin) -> None:
    """The block beside the baselines that a picture has to be compared with."""
    if waiting.for_network(context):
        return
    block, _ = origin(context.block)
    if context.analysis.affinity(block).is_derived:
        st.info(
            "A derived block has its own baseline, shuffled weights: All layers has it; choose "
            "another block for these."
        )
        return
    own = TileRequest(block, block, context.query(pin, block))
    tiles = drawn(context, pin, [own], name="own")
    if tiles is None:
        return  # one computation at a time: the rest waits for it
    key = ("baselines", block)
    work = once(context.shown, key, _made(context, block))
    made: list[Analysis | str] | None = job_result(
        context.shown.choice, key, work, name="baselines"
    )
    for sentence in made or ():
        if isinstance(sentence, str):
            st.info(plain(sentence))
    against = {each.blocks[0]: each for each in made or () if isinstance(each, Analysis)}
    asks = [
        TileRequest(name, name, _of(each, context, pin), each) for name, each in against.items()
    ]
    more = drawn(context, pin, asks, name="against") if asks else None

    def show_it(name: str) -> None:
        visit = visiting()
        shown = visit.shown
        if name in against and shown is not None and shown.choice == context.shown.choice:
            visit.amend(shown.beside(against[name]))
        visit.choose({"block": name})
        st.rerun()  # its blob is brought by the page around the viewer

    sheet = _on([*tiles, *(more or ())], context.block)
    openable(sheet, "sheet-baselines", show_it, widest=400)
    st.caption(
        "Uniform: the same weight everywhere. Cosine: how alike the block's input is, with "
        "nothing learned in between. Shuffled: the block with the entries of its θ and φ "
        "permuted. A picture is evidence only where it differs from these. A click shows one in "
        "the viewer, as a block of its own."
    )


def _of(analysis: Analysis, context: TabContext, pin: Pin) -> Query:
    """What a pin asks of an analysis of one block."""
    return query_of(analysis, pin, replace(context.options, block=analysis.blocks[0]))


def _made(context: TabContext, block: str) -> Work:
    def work(progress: Progress) -> list[Analysis | str]:
        found: list[Analysis | str] = []
        with one_at_a_time(progress, kind_of("baselines", context.shown.choice)) as told:
            from nlviz.experiments.baselines import baseline

            loaded = context.shown.network()
            for number, kind in enumerate(BASELINES):
                told(number / len(BASELINES), f"working out the {kind} baseline")
                try:
                    found.append(baseline(context.shown.without_baselines, loaded, block, kind))
                except CaptureError as error:
                    found.append(str(error))
        return found

    return work
