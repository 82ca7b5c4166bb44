"""Compare: the same query in every block and head, beside baselines, and beside another network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from models import zoo
from nlviz.analysis import Analysis, analyse
from nlviz.baselines import BASELINES, baseline
from nlviz.errors import CaptureError, QueryError
from nlviz.geometry import Point
from nlviz.links import Query
from nlviz.statistics import profile
from nlviz.ui.messages import asked
from nlviz.ui.pins import Pin
from nlviz.ui.session import visiting
from nlviz.ui.tabs import waiting
from nlviz.ui.tabs.desk import Work
from nlviz.ui.tabs.look import Look, choose_pin
from nlviz.ui.tabs.picture import Layout, multiple
from nlviz.ui.tabs.sheet import Tile, askable, openable
from nlviz.ui.work import Report, network, turn

_ASKED = "nlviz-compare-place"
_SHOWS = {"Blocks": "blocks", "Baselines": "baselines", "Side by side": "beside"}


def show(look: Look) -> None:
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
        pin = choose_pin(look, "compare-pin")
    {"Blocks": _blocks, "Baselines": _baselines, "Side by side": _beside}[what](look, pin)


def _blocks(look: Look, pin: Pin) -> None:
    """Every block; below, every head of the block that is on."""
    layout = Layout.of(look.analysis.view, look.query(pin))
    queries = [look.query(pin, block) for block in look.analysis.blocks]
    tiles = [_tile(look.analysis, query, layout, pin, query.block) for query in queries]
    on = [replace(tile, chosen=tile.id == look.block) for tile in tiles if tile is not None]
    openable(on, "sheet-blocks", lambda block: _choose({"block": block}))
    heads = look.analysis.affinity(look.block).heads
    if heads > 1:
        st.markdown(f"**The heads of {look.block}**")
        query = look.query(pin)
        each = [
            _tile(look.analysis, replace(query, head=h), layout, pin, f"head {h}", str(h))
            for h in range(heads)
        ]
        chosen = [replace(t, chosen=t.id == str(query.head)) for t in each if t is not None]
        openable(chosen, "sheet-heads", lambda head: _choose({"head": int(head)}))
    st.caption(
        "The same question in each block, each scaled to its own heaviest weight. A click shows "
        "the block in the viewer."
    )


def _choose(options: dict[str, Any]) -> None:
    visiting().choose(options)
    st.rerun("scene")


def _baselines(look: Look, pin: Pin) -> None:
    """The block beside what a picture is to be held against."""
    query, layout = look.query(pin), Layout.of(look.analysis.view, look.query(pin))
    own = _tile(look.analysis, query, layout, pin, look.block)
    made = waiting.result(
        look.shown.choice, ("baselines", look.block), _made(look), name="baselines"
    )
    tiles = [own]
    for found in made or ():
        if isinstance(found, str):
            st.info(found)
            continue
        (name,) = found.blocks
        there = replace(query, block=name, head=None)
        tiles.append(_tile(found, there, layout, pin, name))
    askable([tile for tile in tiles if tile is not None], "sheet-baselines", lambda u, v: None)
    st.caption(
        "Uniform: the same weight everywhere. Cosine: how alike the block's input is, with "
        "nothing learned in between. Shuffled: the block with the entries of its θ and φ "
        "permuted. A picture is evidence only where it differs from these."
    )


def _made(look: Look) -> Work:
    def work(report: Report) -> list[Analysis | str]:
        found: list[Analysis | str] = []
        with turn(report):
            loaded = look.shown.network()
            for number, kind in enumerate(BASELINES):
                report(number / len(BASELINES), f"working out the {kind} baseline")
                try:
                    found.append(baseline(look.analysis, loaded, look.block, kind))
                except CaptureError as error:
                    found.append(str(error))
        return found

    return work


def _beside(look: Look, pin: Pin) -> None:
    """This block and another one, of this network or of another; a click asks both there."""
    blocks = [block for block in look.analysis.blocks if block != look.block]
    models = [name for name in zoo.names() if name != look.shown.choice.model and zoo.is_here(name)]
    others = [*(f"block {block}" for block in blocks), *(f"network {name}" for name in models)]
    if not others:
        st.info("There is no other block, and no other network is here; fetch one to compare.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = st.selectbox("Beside", others, key="beside", width=320)
        point = _place(look, pin)
        if point is not pin.point:
            st.button(f"Back to {look.name(pin)}", on_click=_ask, args=(look, pin, None))
    kind, _, name = other.partition(" ")
    against: Analysis | None = look.analysis
    block = name
    if kind == "network":
        against = waiting.result(look.shown.choice, other, _analysed(look, name), name="beside")
        if against is not None:
            block = st.segmented_control(
                "Its block",
                against.blocks,
                default=against.blocks[-1],
                required=True,
                key=f"beside-block-{name}",
            )
    moved = replace(pin, point=point)
    query = look.query(moved)
    layout = Layout.of(look.analysis.view, query)
    left = _tile(look.analysis, query, layout, pin, f"{look.analysis.network} {look.block}")
    tiles = [left]
    if against is not None:
        there = asked(against, moved, replace(look.options, block=block))
        tiles.append(_tile(against, there, layout, pin, f"{against.network} {block}", "other"))

    def ask(u: float, v: float) -> None:
        _ask(look, pin, layout.place(look.analysis.view, u, v))

    askable([tile for tile in tiles if tile is not None], "sheet-beside", ask)
    st.caption("One cursor in both; a click asks both there.")


def _analysed(look: Look, name: str) -> Work:
    def work(report: Report) -> Analysis:
        with turn(report):
            report(0.0, f"loading {name}")
            return analyse(look.analysis.clip, network(name), progress=report)

    return work


def _place(look: Look, pin: Pin) -> Any:
    """Where both are asked: the place clicked last on this analysis, else the pin's."""
    about, point = st.session_state.get(_ASKED, (None, None))
    return point if about == (look.shown.choice, pin.id) else pin.point


def _ask(look: Look, pin: Pin, point: Point | None) -> None:
    st.session_state[_ASKED] = (look.shown.choice, pin.id) if point else None, point


def _tile(
    analysis: Analysis, query: Query, layout: Layout, pin: Pin, label: str, id: str = ""
) -> Tile | None:
    """A picture with its numbers; the sentence instead where the block cannot be asked."""
    try:
        numbers = profile(analysis, query)
        picture = multiple(analysis, query, layout, pin.color)
    except QueryError as error:
        st.info(f"{label}: {error}")
        return None
    still = numbers.own_frame is None or len(analysis.view.frames) == 1
    own = "" if still else f"own frame {numbers.own_frame:.0%} · "
    note = f"{own}{numbers.effective:,.0f} of {numbers.positions:,} positions"
    return Tile(id or label, label, note, picture)
