"""The Tracking tab: an object carried through the clip by the block's own affinity."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import overlay, waiting
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.tracking_frames import strip
from nlviz.app.tabs.tracking_start import Start, choose_start
from nlviz.clip import Clip
from nlviz.media.mask_objects import Masks
from nlviz.media.masks import mask_pngs
from nlviz.progress import Progress
from nlviz.query import origin
from nlviz.tracking import (
    PROTOCOL,
    Protocol,
    Track,
    contour_accuracy,
    region_similarity,
    track,
)
from nlviz.viewer import blobs

_RAW = "Raw features"
_CLOSE = 0.25  # seconds between two frames


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A track's masks with what shows them, and J and F of each frame where the truth was given.

    ``masks`` are (T, H, W) from 0 to 255, as they are taken away: a quarter of the track's own
    bytes. ``over`` is the blob that lays the object over the clip, ``strip`` the tinted frames as
    HTML.
    """

    masks: NDArray[np.uint8]
    scores: tuple[tuple[float, float], ...]
    over: bytes
    strip: str

    @property
    def means(self) -> tuple[float, float]:
        """J and F over the frames after the first, which was given."""
        j, f = np.mean(self.scores[1:], axis=0)
        return float(j), float(f)


def show(context: TabContext) -> None:
    """The masks over the frames, once they are there; the protocol in words."""
    if len(context.analysis.view.frames) == 1:
        st.info("An image has no frames to carry an object to; choose a clip.")
        return
    start = choose_start(context)
    if start is None:
        _overlay(context, None)
        return
    raw, protocol = _carried(context)
    if raw and waiting.for_network(context):
        _overlay(context, None)
        return
    found: Tracked | None = job_result(
        context.shown.choice,
        ("track", context.block, raw, protocol, start.key, start.color),
        _work(context, start, protocol, raw=raw),
        name="track",
    )
    if found is not None:
        _show(context, found)
    st.caption(PROTOCOL)
    if found is None:
        _overlay(context, None)


def _carried(context: TabContext) -> tuple[bool, Protocol]:
    """Whether by raw features instead of the block, and the numbers of the protocol."""
    carriers = [context.block] if origin(context.block)[1] == "cosine" else [context.block, _RAW]
    usual = Protocol()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        carrier = st.segmented_control(
            "Carried by",
            carriers,
            default=context.block,
            required=True,
            key=f"track-by-{context.block}",
            format_func=lambda name: plain(f"Block {name}" if name == context.block else name),
            help="Raw features: the cosine of the block's input, with nothing learned in between.",
        )
        with st.popover("Protocol"):
            frames = st.number_input(
                "Frames of context",
                1,
                64,
                usual.context,
                help="How many labelled frames count.",
            )
            radius = st.number_input(
                "Radius, in diagonals",
                *(0.0, 1.0, _usual_radius(context), 0.05),
                help="How far an object can have moved; 0 for anywhere.",
            )
            heaviest = st.number_input("Heaviest keys", 1, 500, usual.heaviest)
    return carrier == _RAW, Protocol(frames, radius or None, heaviest)


def _usual_radius(context: TabContext) -> float:
    """The protocol's own, but anywhere in frames so far apart that objects cross the picture."""
    times = context.analysis.clip.timestamps
    apart = (times[-1] - times[0]) / (len(times) - 1)
    return Protocol().radius or 0.0 if apart <= _CLOSE else 0.0


def _show(context: TabContext, found: Tracked) -> None:
    if found.scores:
        j, f = found.means
        st.markdown(f"**J {j:.3f}, F {f:.3f}** on average over the frames after the first.")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        over = st.toggle("Over the clip", value=True, key="track-over")
        st.download_button(
            "Masks (ZIP)",
            data=lambda: zipped(found.masks, context.analysis.clip),
            file_name=f"{context.analysis.clip.name.rpartition('.')[0] or 'clip'}-masks.zip",
            mime="application/zip",
            on_click="ignore",
            key="track-masks",
        )
    st.html(found.strip)
    _overlay(context, found.over if over else None)


def _overlay(context: TabContext, blob: bytes | None) -> None:
    """Over the clip in the viewer, which is drawn before its tabs."""
    if overlay.put(context.shown.choice, "Tracking", blob):
        st.rerun()


def zipped(masks: NDArray[np.uint8], clip: Clip) -> bytes:
    """The masks, (T, H, W) from 0 to 255, as a ZIP file of PNG."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for index, mask in zip(clip.indices, masks, strict=True):
            for name, content in mask_pngs(mask[None] / np.float32(255), [index]):
                archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _work(context: TabContext, start: Start, protocol: Protocol, *, raw: bool) -> Work:
    def work(progress: Progress) -> Tracked:
        progress(0.0, "reading the mask")
        masks, analysis, block = start.masks(), context.analysis, context.block
        if raw:
            with one_at_a_time(progress, kind_of("features", context.shown.choice)) as told:
                from nlviz.experiments.baselines import baseline

                told(0.0, "working out the raw features")
                block, _ = origin(context.block)
                analysis = baseline(
                    context.shown.without_baselines, context.shown.network(), block, "cosine"
                )
            (block,) = analysis.blocks
        found = track(
            analysis, block, masks[0], frame=start.frame, protocol=protocol, progress=progress
        )
        scores = measured(found, masks) if start.scored else ()
        over = blobs.mask_blob(found.objects, start.color, context.shown.tags[0])
        whole = np.rint(found.masks * 255).astype(np.uint8)
        return Tracked(whole, scores, over, strip(analysis, found, scores, start.color))

    return work


def measured(found: Track, truth: Masks) -> tuple[tuple[float, float], ...]:
    """(J, F) of each frame."""
    return tuple(
        (region_similarity(mask, real), contour_accuracy(mask, real))
        for mask, real in zip(found.objects, truth, strict=True)
    )
