"""Compare: the same query in every block and head, beside baselines, and beside another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app.shown import network, turn
from nlviz.app.tabs.context import VIEWER_FRAGMENT, TabContext, choose_pin
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.multiples import Mosaic, multiple
from nlviz.app.tabs.picture_grid import Tile, askable, openable
from nlviz.app.tabs.progress import job_result
from nlviz.app.visit import visiting
from nlviz.errors import CaptureError, QueryError
from nlviz.experiments.baselines import baseline
from nlviz.geometry import Point
from nlviz.inference.forward import analyse
from nlviz.models import zoo
from nlviz.progress import Progress
from nlviz.query import BASELINES, Query, origin
from nlviz.statistics import profile
from nlviz.viewer.messages import asked
from nlviz.viewer.pins import Pin

_ASKED = "nlviz-compare-place"
_SHOWS = {"Blocks": "blocks", "Baselines": "baselines", "Side by side": "beside"}


def show(context: TabContext) -> None:
    """One of three sheets."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        what = st.segmented_control(
            "Compare with",
            list(_SHOWS),
            default="Blocks",
            required=True,
            key="compare-with",
            label_visibility="collapsed",
        )
        pin = choose_pin(context, "compare-pin")
    {"Blocks": _blocks, "Baselines": _baselines, "Side by side": _beside}[what](context, pin)


def _blocks(context: TabContext, pin: Pin) -> None:
    """Every block; below, every head of the block that is on."""
    query, heads = context.query(pin), context.analysis.affinity(context.block).heads
    each = [
        _TileRequest(block, block, context.query(pin, block)) for block in context.analysis.blocks
    ]
    alone = range(heads if heads > 1 else 0)
    each += [_TileRequest(str(head), f"head {head}", replace(query, head=head)) for head in alone]
    found = _tiles(context, pin, each, name="blocks")
    if found is None:
        return
    blocks, by_head = found[: len(context.analysis.blocks)], found[len(context.analysis.blocks) :]
    openable(_on(blocks, context.block), "sheet-blocks", lambda block: _choose({"block": block}))
    if by_head:
        st.markdown(f"**The heads of {context.block}**")
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
    """The block beside what a picture is to be held against."""
    block, _ = origin(context.block)
    own = _TileRequest(block, block, context.query(pin, block))
    tiles = _tiles(context, pin, [own], name="own")
    if tiles is None:
        return  # one computation at a time: the rest waits for it
    made: list[Analysis | str] | None = job_result(
        context.shown.choice, ("baselines", block), _made(context, block), name="baselines"
    )
    for sentence in made or ():
        if isinstance(sentence, str):
            st.info(sentence)
    against = {each.blocks[0]: each for each in made or () if isinstance(each, Analysis)}
    asks = [
        _TileRequest(name, name, _of(each, context, pin), each) for name, each in against.items()
    ]
    more = _tiles(context, pin, asks, name="against") if asks else None

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
    return asked(analysis, pin, replace(context.options, block=analysis.blocks[0]))


def _made(context: TabContext, block: str) -> Work:
    def work(progress: Progress) -> list[Analysis | str]:
        found: list[Analysis | str] = []
        with turn(progress):
            loaded = context.shown.network()
            for number, kind in enumerate(BASELINES):
                progress(number / len(BASELINES), f"working out the {kind} baseline")
                try:
                    found.append(baseline(context.shown.without_baselines, loaded, block, kind))
                except CaptureError as error:
                    found.append(str(error))
        return found

    return work


def _beside(context: TabContext, pin: Pin) -> None:
    """This block and another one, of this network or of another; a click asks both there."""
    blocks = [block for block in context.analysis.blocks if block != context.block]
    models = [
        name for name in zoo.names() if name != context.shown.choice.model and zoo.is_here(name)
    ]
    others = [*(f"block {block}" for block in blocks), *(f"network {name}" for name in models)]
    if not others:
        st.info("There is no other block, and no other network is here; fetch one to compare.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = st.selectbox("Beside", others, key="beside", width=320)
        point = _place(context, pin)
        if point is not pin.point:
            st.button(f"Back to {context.name(pin)}", on_click=_ask, args=(context, pin, None))
    kind, _, name = other.partition(" ")
    against = context.analysis
    block = name
    if kind == "network":
        found: Analysis | None = job_result(
            context.shown.choice, other, _analysed(context, name), name="beside"
        )
        if found is None:
            return
        against = found
        block = st.segmented_control(
            "Its block",
            against.blocks,
            default=against.blocks[-1],
            required=True,
            key=f"beside-block-{name}",
        )
    moved = replace(pin, point=point)
    query = context.query(moved)
    mosaic = Mosaic.of(context.analysis, query)
    there = asked(against, moved, replace(context.options, block=block))
    both = [
        _TileRequest("this", f"{context.analysis.network} {context.block}", query),
        _TileRequest("other", f"{against.network} {block}", there, against),
    ]
    tiles = _tiles(context, moved, both, name="both")

    def ask(u: float, v: float) -> None:
        _ask(context, pin, mosaic.place(context.analysis.view, u, v))

    if tiles is not None:
        askable(tiles, "sheet-beside", ask)
    st.caption("One cursor in both; a click asks both there. Arrow keys move it, Enter asks.")


def _analysed(context: TabContext, name: str) -> Work:
    def work(progress: Progress) -> Analysis:
        with turn(progress):
            progress(0.0, f"loading {name}")
            return analyse(context.analysis.clip, network(name), progress=progress)

    return work


def _place(context: TabContext, pin: Pin) -> Any:
    """Where both are asked: the place clicked last on this analysis, else the pin's."""
    about, point = st.session_state.get(_ASKED, (None, None))
    return point if about == (context.shown.choice, pin.id) else pin.point


def _ask(context: TabContext, pin: Pin, point: Point | None) -> None:
    st.session_state[_ASKED] = (context.shown.choice, pin.id) if point else None, point


@dataclass(frozen=True, slots=True, eq=False)
class _TileRequest:
    """A picture to make: its id and name, and what is asked; of the analysis on screen if None."""

    id: str
    label: str
    query: Query
    analysis: Analysis | None = None


def _tiles(
    context: TabContext, pin: Pin, asks: Sequence[_TileRequest], *, name: str
) -> list[Tile] | None:
    """A picture for each, or the sentence that says why not; None while they are made."""
    mosaic = Mosaic.of(context.analysis, context.query(pin))

    def work(progress: Progress) -> list[Tile | str]:
        made: list[Tile | str] = []
        for number, each in enumerate(asks):
            progress(number / len(asks), f"drawing {each.label}")
            made.append(_tile(context, pin, each, mosaic))
        return made

    key = (name, context.shade, pin.color, *((each.label, each.query) for each in asks))
    found: list[Tile | str] | None = job_result(context.shown.choice, key, work, name=name)
    for sentence in found or ():
        if isinstance(sentence, str):
            st.info(sentence)
    return None if found is None else [tile for tile in found if isinstance(tile, Tile)]


def _tile(context: TabContext, pin: Pin, each: _TileRequest, mosaic: Mosaic) -> Tile | str:
    """A picture with its numbers; the sentence instead where the block cannot be asked."""
    analysis = each.analysis or context.analysis
    try:
        numbers = profile(analysis, each.query)
        picture = multiple(analysis, each.query, mosaic, context.shade, pin.color)
    except QueryError as error:
        return f"{each.label}: {error}"
    still = numbers.own_frame is None or len(analysis.view.frames) == 1
    own = "" if still else f"own frame {numbers.own_frame:.0%} · "
    note = f"{own}{numbers.effective:,.0f} of {numbers.positions:,} positions"
    if each.query.rank_by == "contribution":
        note += " · contribution"
    return Tile(each.id, each.label, note, picture)
