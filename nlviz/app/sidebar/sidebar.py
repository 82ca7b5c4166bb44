"""The sidebar below the gallery: a file of one's own, which part of it, which network."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz import export
from nlviz.app import startup
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.markdown import plain
from nlviz.app.sidebar import cost, networks, opening, server_files, timeline, upload, windows
from nlviz.app.visit import Visit
from nlviz.media import MediaInfo

MOST_FRAMES = 128  # what the longest network takes; the size of the input limits them further


def choose(visit: Visit, place: DeltaGenerator) -> Choice | None:
    """What the visitor has chosen; None while it is not known, and the page says why.

    ``place`` on the page says how far that is, where there is nothing else to see.
    """
    if not startup.is_demo():
        upload.offer(visit)
        server_files.offer(visit)
    opening.go_on(visit, place)
    material = visit.material
    if material is None:
        return None
    if material.session is not None:
        return _saved(visit, material, material.session)
    if not opening.is_open(visit, material, place, given=False):
        return None
    choice = networks.choose(visit, material, _part(visit, material), place)
    if visit.naming is not None:  # one job at a time: what is on screen stays until it is loaded
        return None
    return choice if cost.agreed(visit, choice, place) else None


def _saved(visit: Visit, material: Material, held: export.Session) -> Choice:
    """A session file is shown as it was saved; anything else needs the clip itself."""
    clip, made = held.analysis.clip, held.provenance
    with st.container(key="saved", gap="xsmall"):
        st.markdown("##### Session")
        st.caption(
            f"{plain(clip.name)} as {plain(made.model)} saw it; no network was run. For other "
            "frames, another network, or what a block adds, "
            f"upload {plain(clip.name)} again; its pins come along."
        )
        upload.ask(visit, "give-again")
    return Choice(material, ClipPart(frames=len(clip.frames)), made.model, max(made.input))


def _part(visit: Visit, material: Material) -> ClipPart:
    info = visit.infos[material.id]
    if info.is_image:
        return ClipPart(frames=1)
    with st.container(key="part", gap="xsmall"):
        st.markdown("##### Part of the clip")
        place = st.empty()
        part = visit.parts[material.id] = _controls(visit, material, info)
        starts = windows.starts(part, info.total)
        place.html(timeline.markup(info, part, visit.timelines[material.id], windows.marks(starts)))
        windows.show(part, info.total, starts, key=f"start-{material.id}")
    return part


def _controls(visit: Visit, material: Material, info: MediaInfo) -> ClipPart:
    """The three controls; each clip has its own.

    It starts with as many frames as the network takes, evenly spread, and goes on with those of
    the next network until the visitor has chosen another number.
    """
    most = min(MOST_FRAMES, info.total)
    usual = min(networks.usual_frames(visit), most)
    given = visit.parts.get(material.id, ClipPart())
    if material.id not in visit.parts or given.frames == visit.usual_frames.get(material.id):
        given = replace(given, frames=usual)
    visit.usual_frames[material.id] = usual
    before = _within(visit, given, info)
    start = st.slider("First frame", 0, info.total - 1, before.start, key=f"start-{material.id}")
    left, right = st.columns(2)
    frames = left.number_input(
        "Frames", 1, most, before.frames, key=f"frames-{material.id}-{usual}"
    )
    stride = right.number_input(
        "Every n-th",
        1,
        info.total,
        before.stride,
        placeholder="even",
        key=f"stride-{material.id}",
        help="Take every n-th source frame: the clip is then seen window by window, with a step to "
        "the one before and after. Leave it empty to spread the frames evenly.",
    )
    return ClipPart(start, frames, stride)


def _within(visit: Visit, part: ClipPart, info: MediaInfo) -> ClipPart:
    """The part cut to the clip's length; requests beyond it are reported."""
    frames = min(part.frames, MOST_FRAMES, info.total)
    stride = part.stride and min(part.stride, info.total)
    fitted = ClipPart(min(part.start, info.total - 1), frames, stride)
    if fitted != part and part != ClipPart():
        visit.remarks += (
            f"'{info.name}' has {info.total} frames, and the app takes at most {MOST_FRAMES}: "
            f"start={part.start}, frames={part.frames} does not fit.",
        )
    return fitted
