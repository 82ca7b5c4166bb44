"""The stage: the clip's heading, the viewer, and the tabs below it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from html import escape

import streamlit as st
from streamlit import runtime
from streamlit.delta_generator import DeltaGenerator

from nlviz.app import first, head_start, pages
from nlviz.app.address import bar
from nlviz.app.address.query_string import Address
from nlviz.app.analysing import make
from nlviz.app.choice import Choice
from nlviz.app.guard import guarded, safely
from nlviz.app.in_order import sent
from nlviz.app.kept import find
from nlviz.app.loading import wait
from nlviz.app.markdown import plain
from nlviz.app.shown import Shown
from nlviz.app.stage import needs, network_word
from nlviz.app.stage.component import mount_store, mount_viewer
from nlviz.app.tabs import jobs, overlay
from nlviz.app.tabs.context import VIEWER_FRAGMENT
from nlviz.app.tabs.progress import tell
from nlviz.app.visit import Visit
from nlviz.ask.answers import Answers
from nlviz.viewer import blobs
from nlviz.viewer.messages import Can, Scene, links_of

_VIEWER = "viewer"
_ANALYSIS = "analysis"
_ANSWERS = Answers()  # for all visitors, by content
_WINDOWED = (
    "The network was trained to classify squares of this size, so its scores come from passes of "
    "their own: square windows along the longer side, the network's blocks in each, the logits "
    "averaged over windows and frames. The links come from the pass of the whole picture."
)
_DRAWN = "The scores come from the very pass of the network that the links come from."


def update(visit: Visit, choice: Choice, place: DeltaGenerator) -> None:
    """Show what was chosen; after an error the last good analysis stays."""
    if visit.shown is not None and visit.shown.choice == choice:
        visit.coming = None
        if visit.failed is not None:  # back at what is on screen
            visit.problem = visit.failed = None
        return
    if choice == visit.failed:
        return
    shown = find(choice) or first.find(choice)
    if shown is None and visit.coming is None and (why := pages.refusal(visit)) is not None:
        visit.fail(why, choice)
        return
    if shown is None:
        job = jobs.current().ask(choice, _ANALYSIS, partial(make, choice), urgent=True)
        wait(job, place, blocks=visit.shown is None)
        if not job.done:  # meanwhile what is on screen answers as ever
            visit.coming = choice
            with place.container(key="working"):
                tell(job, choice, _ANALYSIS, name="analysis", scope="app")
            return
        jobs.current().forget(choice, _ANALYSIS)  # the store has it, by its content
        shown = job.result
        if shown is None:
            ours = "This could not be analysed; the server's log says why."
            visit.fail(job.problem or ours, choice)
            return
    visit.show(shown)


def open_first(visit: Visit) -> bool:
    """Show the first sample if that takes no time; whether it did."""
    choice = first.first_choice()
    shown = find(choice) or first.find(choice)
    if shown is not None:
        visit.show(shown)
    return shown is not None


def show(visit: Visit) -> None:
    """Draw the visit."""
    # One place for what comes and goes above the viewer: Streamlit knows a fragment by how many
    # elements stand before it, and drops a click that still names it by another number.
    with st.container(key="above"):
        _above(visit)
    if visit.shown is None:
        return
    _viewer_and_tabs(visit)
    _, later = visit.shown.needed_first
    for tag in later:
        _bring(visit.shown, tag)


def _above(visit: Visit) -> None:
    """What went wrong, what an address asked for in vain, and the heading."""
    if visit.problem is not None:
        stays = " The last analysis is still here." if visit.shown else ""
        st.error(plain(visit.problem) + stays, icon="⚠️")
    if visit.remarks:
        st.warning("  \n".join(map(plain, visit.remarks)))
    if visit.shown is None:
        _ask_for_the_clip(visit)
        return
    st.html(_heading(visit.shown))
    at_once, _ = visit.shown.needed_first
    for tag in at_once:
        _bring(visit.shown, tag)


def _bring(shown: Shown, tag: str) -> None:
    blob = shown.blobs[shown.tags.index(tag)]
    mount_store(key=f"store-{tag}", data=blob, height=1)


@st.fragment(key=VIEWER_FRAGMENT)
def _viewer_and_tabs(visit: Visit) -> None:
    """Reruns alone after a click: the blobs are not sent, nor even looked at, again."""
    with guarded():
        shown = visit.shown
        if shown is None:
            return
        network_word.refine(visit)
        needed = needs.ask(visit)
        shown = visit.shown or shown
        options = visit.options.fitting(shown.analysis)
        # Not as one block can; but the block is named, so that the viewer awaits no other.
        plain_options = replace(visit.options, block=options.block)
        # A reverse answer takes the constants of all rows.
        waits = options.reverse and shown.tag(options.block or "") not in shown.constants
        links = {
            pin: () if waits else links_of(shown.analysis, pin, options, _ANSWERS.top_links)
            for pin in visit.pins.shown
        }
        mask = overlay.current(shown.choice)
        layer = shown.layer
        components = None if layer is None else layer.blob(shown.analysis.view, shown.tags[0])
        rank = shown.choice.runs_again or bool(shown.analysis.sizes)
        scene = Scene.of(
            shown.analysis,
            shown.tags,
            links,
            plain_options,
            can=Can.of(visit.pins, rank=rank),
            mask=None if mask is None else blobs.tag(mask),
            components=None if components is None else blobs.tag(components),
            notice=visit.notice,
        )
        if waits:  # nothing is known yet, which is not the same as no links
            scene = replace(scene, pins=tuple(replace(pin, exact=None) for pin in scene.pins))
        told = scene.json()
        mount_viewer(
            key=_VIEWER,
            # For a mapping Streamlit would bring pandas, half a second.
            data=[told, sent(_VIEWER, json.dumps(told))],
            on_act_change=safely(lambda: visit.act(st.session_state[_VIEWER].act)),
            on_options_change=safely(lambda: visit.choose(st.session_state[_VIEWER].options)),
        )
        known = visit.drawn or not runtime.exists()
        head_start.give(head_start.USUAL if known else head_start.FIRST)
        visit.drawn = True
        bar.follow(Address.of(shown.choice, visit.pins, plain_options))
        with st.container(key="between"):  # one place, as what is above the viewer: for the tabs
            if needed is not None:
                needed.show()
            for kind, found in (("constants", shown.constants), ("sizes", shown.sizes)):
                for tag, blob in found.items():
                    mount_store(key=f"store-{kind}-{tag}", data=blob, height=1)
            for kind, over in (("mask", mask), ("components", components)):
                if over is not None:
                    mount_store(key=f"store-{kind}-{blobs.tag(over)}", data=over, height=1)
        # What the tabs are made of is loaded behind the viewer.
        from nlviz.app.stage import tab_row

        tab_row.show(shown, links, options)
        network_word.show(shown)


def _saved(shown: Shown) -> list[str]:
    """How the open session was made."""
    held = shown.choice.material.session
    if held is None:
        return []
    made = held.provenance
    weights = f"weights {made.weights:.16}…" if made.weights else "weights of no file"
    return [
        f"A session saved by nlviz {made.version}: {made.clip} (frames {made.checksum:.16}…) in "
        f"{made.model}, {weights}."
    ]


def _ask_for_the_clip(visit: Visit) -> None:
    """An address of an upload holds everything but the clip."""
    from nlviz.app.sidebar import upload

    if visit.awaited is None or visit.material is not None:
        return
    pins = len(visit.kept_pins(visit.awaited.pins).shown)
    come = {0: "", 1: " Its pin comes back with it."}.get(
        pins, f" Its {pins} pins come back with it."
    )
    with st.container(key="awaited", border=True):
        st.markdown(f"#### This address is about your own file {plain(visit.awaited.name)}")
        st.markdown(
            "An address holds everything but the clip, which stays with its owner: "
            f"upload the same file again.{plain(come)} Or choose a sample in the sidebar."
        )
        upload.ask(visit, "give")


def _heading(shown: Shown) -> str:
    analysis = shown.analysis
    clip, facts = analysis.clip, analysis.facts[:3]  # the classes have a list of their own
    notes = [*clip.notes, *analysis.refused.values(), *_saved(shown)]
    if len(clip.frames) == 1:
        notes.append(
            "With one frame, links stay in it and leave out only the cell that you point at."
        )
    classes = "".join(
        f"<li><span>{escape(each.label.split(',')[0])}</span><b>{each.score:.0%}</b>"
        f'<i style="width:{100 * each.score:.0f}%"></i></li>'
        for each in analysis.prediction[:4]
    )
    told = _DRAWN if analysis.score_windows is None else _WINDOWED
    source = (
        f'<p class="scores-from" title="{escape(told)}">'
        f"Class scores from {escape(analysis.scores_from)}</p>"
        if analysis.prediction
        else ""
    )
    return (
        f'<header class="heading"><div><h2>{escape(shown.choice.material.title)}</h2>'
        f"<p>{escape(' · '.join(facts))}</p></div>"
        f'<div><ol class="classes" aria-label="Top classes">{classes}</ol>{source}</div></header>'
        + "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    )
