"""The tab Another clip: pins of this clip looked for in a second one, in a viewer of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app.analysing import make
from nlviz.app.choice import ClipPart, Material
from nlviz.app.guard import safely
from nlviz.app.in_order import sent
from nlviz.app.kept import once
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.stage.component import mount_store, mount_viewer
from nlviz.app.tabs import another_clip_choice, code_block, waiting
from nlviz.app.tabs.context import VIEWER_FRAGMENT, TabContext
from nlviz.app.tabs.downloads import file_button
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.progress import job_result
from nlviz.app.visit import visiting
from nlviz.errors import NetworkError, QueryError
from nlviz.export.matches import matches_csv
from nlviz.export.page import page
from nlviz.matching.command import match_command
from nlviz.matching.match import Match, matched
from nlviz.matching.one_clip import as_one_clip
from nlviz.matching.pairing import Of, Pairing, pair
from nlviz.progress import Progress, part_of
from nlviz.provenance import Provenance
from nlviz.query import Link, origin
from nlviz.viewer import blobs
from nlviz.viewer.messages import Can, Scene, links_of, query_of
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pin
from nlviz.viewer.staged import packed

_VIEWER = "another-clip-viewer"
_OPTIONS = "nlviz-another-clip-options"
_NOTICE = "nlviz-another-clip-notice"
_OF: dict[str, Of] = {"θ and φ": "weights", "Cosine of the input": "cosine"}
_OWN_MEANS = (
    "A block that takes off a clip's means, as those of the bundled networks do, takes off each "
    "clip's own."
)
_ON_THE_FIRST = "Pins lie on the first clip; point here to see what looks at this place."


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """A pairing, both clips as one, and the blobs of that for the viewer."""

    pairing: Pairing
    whole: Analysis
    blobs: tuple[bytes, ...]
    tags: tuple[str, ...]


def show(context: TabContext) -> None:
    """Both clips in one viewer: hover and click in the first, links lead into the second."""
    if waiting.for_network(context):
        return
    material = another_clip_choice.choose()
    if material is None:
        st.caption(
            "Which places of a second clip or photo resemble a pin of this one? It goes through "
            "the same network, and the pin's θ is held against its φ."
        )
        return
    of = st.segmented_control(
        "Compare by", list(_OF), default="θ and φ", required=True, key="another-clip-of"
    )
    block = origin(context.block)[0]
    key = ("another clip", material.content, block, _OF[of])
    work = _work(context, material, block, _OF[of])
    if material.is_public:
        work = once(context.shown, key, work)
    about = (key, material.id)  # two files of the same content have names of their own
    found: Paired | None = job_result(context.shown.choice, about, work, name="another-clip")
    if found is None:
        return
    options = _options(context, found)
    _mount(context, found, options)
    for sentence in (*found.whole.clip.notes, *found.pairing.sentences):
        st.caption(plain(sentence))
    st.caption(_OWN_MEANS)
    _take_away(context, found, options)


def _work(context: TabContext, material: Material, block: str, of: Of) -> Work:
    def work(progress: Progress) -> Paired:
        shown = context.shown
        part = ClipPart(frames=shown.choice.part.frames)
        there = make(
            replace(shown.choice, material=material, part=part), part_of(progress, 0.0, 0.7)
        )
        told = part_of(progress, 0.7, 1.0)
        with one_at_a_time(told, kind_of("another clip", shown.choice)) as running:
            network = shown.network()
            if there.made_with != shown.made_with:
                raise NetworkError(
                    f"The weights of {shown.choice.network} have changed since this analysis was "
                    "made; choose the clip again to analyse it with those that are here now."
                )
            running(0.5, "comparing both clips")
            mine = shown.without_baselines
            paired = pair(mine, there.analysis, block, of=of, network=network)
            whole = as_one_clip([paired])
            return Paired(paired, whole, *packed(whole))

    return work


def _options(context: TabContext, found: Paired) -> Options:
    """What was chosen in this viewer; at first what is chosen in the other."""
    kept: Options | None = st.session_state.get(_OPTIONS)
    usual = replace(context.options, reverse=False, rank_by="affinity", view="strip")
    return replace(kept or usual, block=found.pairing.name).fitting(found.whole)


def _mount(context: TabContext, found: Paired, options: Options) -> None:
    """The viewer, its blobs, and what those of its options need that take longer."""
    constants: bytes | None = None
    if options.needs_constants:
        constants = job_result(
            context.shown.choice,
            ("another clip, constants", found.tags),
            lambda progress: _constants(found, progress),
            name="another-clip-constants",
        )
    waits = options.reverse and constants is None
    links: dict[Pin, tuple[Link, ...]] = {
        pin: () if waits else links_of(found.whole, pin, options) for pin in context.pins
    }
    scene = Scene.of(
        found.whole,
        found.tags,
        links,
        options,
        can=Can.of(visiting().pins, rank=False),
        notice=st.session_state.pop(_NOTICE, None),
    )
    if waits:  # nothing is known yet, which is not the same as no links
        scene = replace(scene, pins=tuple(replace(pin, exact=None) for pin in scene.pins))
    for tag, blob in zip(found.tags, found.blobs, strict=True):
        mount_store(key=f"store-another-{tag}", data=blob, height=1)
    if constants is not None:
        mount_store(key=f"store-another-constants-{found.tags[1]}", data=constants, height=1)
    own = len(found.pairing.here.clip.frames)
    told = scene.json()
    mount_viewer(
        key=_VIEWER,
        data=[told, sent(_VIEWER, json.dumps(told))],
        on_act_change=safely(lambda: _act(st.session_state[_VIEWER].act, own)),
        on_options_change=safely(lambda: _choose(options, st.session_state[_VIEWER].options)),
    )


def _constants(found: Paired, progress: Progress) -> bytes:
    return blobs.constants_blob(found.whole, found.pairing.name, found.tags[1], progress)


def _act(said: Any, own: int) -> None:
    """A pin that is placed or taken away here is one of the page's own."""
    if said is None:
        return
    t = said.get("t") if isinstance(said, dict) else None
    if isinstance(t, (int, float)) and t >= own:
        st.session_state[_NOTICE] = _ON_THE_FIRST
        return
    visiting().act(said)
    st.rerun(VIEWER_FRAGMENT)


def _choose(options: Options, said: object) -> None:
    st.session_state[_OPTIONS] = options.changed(said)


def _take_away(context: TabContext, found: Paired, options: Options) -> None:
    """The pins' links as a table, a figure and a page, and the command that gives them."""
    matches = _matches(context, found, options)
    if not matches:
        return
    file = f"{context.stem}-matches"
    with st.container(horizontal=True):
        for label, make, ending, mime in (
            ("Links (CSV)", lambda: matches_csv(matches), "csv", "text/csv"),
            ("Figure (PNG)", lambda: _figure(matches), "png", "image/png"),
            ("Page (HTML)", lambda: _page(found, matches), "html", "text/html"),
        ):
            file_button(label, make, f"{file}.{ending}", mime, key=f"another-clip-{ending}")
    command = match_command(matches)
    if command is not None:
        code_block.show(command, "another-clip")


def _matches(context: TabContext, found: Paired, options: Options) -> list[Match]:
    """What each pin finds; without those that this block cannot be asked at."""
    matches = []
    for pin in context.pins:
        query = query_of(found.whole, pin, options)
        try:
            matches.append(matched(found.pairing, query.point, k=query.k, head=query.head))
        except QueryError:
            continue
    return matches


def _figure(matches: Sequence[Match]) -> bytes:
    from nlviz.figures import Heat, match_strips  # brings Matplotlib

    return match_strips(matches, heat=Heat(matches[0].query)).png()


def _page(found: Paired, matches: Sequence[Match]) -> bytes:
    asked = [each.query for each in matches]
    made = Provenance.of(found.whole, asked, command=match_command(matches))
    return page(found.whole, asked, made)
