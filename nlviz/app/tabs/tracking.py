"""The Tracking tab: an object carried through the clip by the block's own affinity."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.app import whole_clip
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import overlay, tracking_several, waiting, whole
from nlviz.app.tabs.archive import zipped
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import file_button
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.tracking_frames import strip
from nlviz.app.tabs.tracking_start import Start, choose_start
from nlviz.app.whole_clip import Cost
from nlviz.media.mask_objects import Masks
from nlviz.media.masks import mask_pngs
from nlviz.progress import Progress, part_of
from nlviz.query import origin
from nlviz.tracking import (
    PRESETS,
    Protocol,
    Track,
    contour_accuracy,
    region_similarity,
    track,
)
from nlviz.tracking.points import HOW
from nlviz.viewer import blobs

if TYPE_CHECKING:
    from nlviz.windows import LongAnalysis


_RAW = "Raw features"
_OWN = "nlviz"
_CLOSE = 0.25  # seconds between two frames


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A track's masks with what shows them, and J and F of each frame where the truth was given.

    ``masks`` are (T, H, W) from 0 to 255, as they are taken away: a quarter of the track's own
    bytes; ``archive`` is the ZIP file of the whole clip's where all of it was tracked. ``over`` is
    the blob that lays the object over the clip, ``strip`` the tinted frames as HTML.
    """

    masks: NDArray[np.uint8]
    scores: tuple[tuple[float, float], ...]
    over: bytes
    strip: str
    archive: bytes = b""

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
    if context.analysis.affinity(context.block).is_derived:
        st.info("A derived block has rows at some places alone; choose a block of the network.")
        return
    start = choose_start(context)
    if start is None:
        _overlay(context, None)
        return
    raw, protocol = _carried(context)
    if raw and waiting.for_network(context):
        _overlay(context, None)
        return
    told = None if raw or start.scored else whole.choose(context, "track-frames")
    if start.names:
        _show_several(context, start, protocol, told, raw=raw)
        return
    key = ("track", context.block, raw, protocol, start.key, start.color, told is not None)
    work: Work | None
    if told is None:
        work = _work(context, start, protocol, raw=raw)
    else:

        def through(long: LongAnalysis, progress: Progress) -> Tracked:
            return through_windows(long, context, start, protocol, progress)

        work = _work_of_whole(context, through, told, key)
    found: Tracked | None = None
    if work is not None:
        found = job_result(context.shown.choice, key, work, name="track")
    if found is not None:
        _show(context, found)
    in_windows = found is not None and told is not None
    st.caption(plain(f"{protocol.words} {_handed_on()}" if in_windows else protocol.words))
    if found is None:
        _overlay(context, None)


def _show_several(
    context: TabContext, start: Start, protocol: Protocol, told: Cost | None, *, raw: bool
) -> None:
    """Several objects, or points; ``told`` is what the whole clip costs where that is wanted."""
    edges = not start.points and st.toggle(
        "Along the picture's edges",
        key="track-edges",
        help="Masks follow the frame's own colours, by a guided filter. For display only.",
    )
    key = ("track", context.block, raw, protocol, start.key, start.colors, edges, told is not None)

    def carrier(progress: Progress) -> tuple[Analysis, str]:
        return _carrier(context, progress, raw=raw)

    def through(long: LongAnalysis, progress: Progress) -> tracking_several.Several:
        from nlviz.app.tabs import tracking_whole

        if start.points:
            return tracking_whole.points_through_windows(long, context, start, protocol, progress)
        return tracking_whole.objects_through_windows(
            long, context, start, protocol, progress, edges=edges
        )

    work: Work | None
    if told is not None:
        work = _work_of_whole(context, through, told, key)
    elif start.points:
        work = tracking_several.points_work(context, start, protocol, carrier)
    else:
        work = tracking_several.objects_work(context, start, protocol, carrier, edges=edges)
    found: tracking_several.Several | None = None
    if work is not None:
        found = job_result(context.shown.choice, key, work, name="track")
    over = found is not None and tracking_several.show(found, context.stem)
    words = [protocol.words, *([HOW] if start.points else [])]
    if found is not None and told is not None:
        words.append(_handed_on(points=bool(start.points)))
    st.caption(plain(" ".join(words)))
    _overlay(context, found.over if found is not None and over else None)


def _handed_on(*, points: bool = False) -> str:
    """How masks or points go from window to window; torch is loaded once they have."""
    from nlviz.windows.objects import HANDED_ON
    from nlviz.windows.points import POINTS_HANDED_ON

    return POINTS_HANDED_ON if points else HANDED_ON


def _carried(context: TabContext) -> tuple[bool, Protocol]:
    """Whether by raw features instead of the block, and the numbers of the protocol."""
    carriers = [context.block] if origin(context.block)[1] == "cosine" else [context.block, _RAW]
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
            protocol = _protocol(context)
    return carrier == _RAW, protocol


def _protocol(context: TabContext) -> Protocol:
    """The numbers: those of a paper, or the visitor's."""
    usual = Protocol()
    name = st.selectbox(
        "As in",
        [_OWN, *PRESETS],
        key="track-preset",
        help="A paper's own code carries labels by raw features, at its own input size.",
    )
    if name != _OWN:
        chosen = PRESETS[name]
        st.caption(
            plain(
                f"{chosen.paper}: {chosen.protocol.numbers}; the shorter side of its input is "
                f"{chosen.short_side} pixels."
            )
        )
        return chosen.protocol
    frames = st.number_input(
        "Frames of context", 1, 64, usual.context, help="How many labelled frames count."
    )
    radius = st.number_input(
        "Radius, in diagonals",
        *(0.0, 1.0, _usual_radius(context), 0.05),
        help="How far an object can have moved; 0 for anywhere.",
    )
    heaviest = st.number_input("Heaviest keys", 1, 500, usual.heaviest)
    temperature = st.number_input(
        "Temperature",
        *(0.0, 10.0, 0.0, 0.05),
        help="Of a softmax over these keys; 0 weighs them by the row as it is.",
    )
    return Protocol(frames, radius or None, heaviest, temperature or None)


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
        file_button(
            "Masks (ZIP)",
            lambda: found.archive or masks_zip(found.masks, context.analysis.clip.indices),
            f"{context.stem}-masks.zip",
            "application/zip",
            key="track-masks",
        )
    st.html(found.strip)
    _overlay(context, found.over if over else None)


def _overlay(context: TabContext, blob: bytes | None) -> None:
    """Over the clip in the viewer, which is drawn before its tabs."""
    if overlay.put(context.shown.choice, "Tracking", blob):
        st.rerun()


def masks_zip(masks: NDArray[np.uint8], frames: Sequence[int]) -> bytes:
    """The masks of some frames, (T, H, W) from 0 to 255, as a ZIP file of PNG."""
    return zipped(_pngs(masks, frames))


def _pngs(masks: NDArray[np.uint8], frames: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    for index, mask in zip(frames, masks, strict=True):
        yield from mask_pngs(mask[None] / np.float32(255), [index])


def _bytes_of(objects: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The objects as they are shown and scored, not the labels that were carried."""
    return objects * np.uint8(255)


def _work_of_whole(
    context: TabContext,
    through: Callable[[LongAnalysis, Progress], Tracked | tracking_several.Several],
    told: Cost,
    key: Hashable,
) -> Work | None:
    """``through`` all windows, once the visitor wants it; None until then."""
    if waiting.for_network(context):
        return None
    folder = whole.wanted(context, told, "Track the whole clip", key, name="track")
    if folder is None:
        return None
    sizes = whole.by_contribution(context)

    def work(progress: Progress) -> Tracked | tracking_several.Several:
        running, tracking = part_of(progress, 0.0, 0.8), part_of(progress, 0.8, 1.0)
        with whole_clip.run_through(context.shown, folder, running, sizes=sizes) as long:
            return through(long, tracking)

    return work


def through_windows(
    long: LongAnalysis, context: TabContext, start: Start, protocol: Protocol, progress: Progress
) -> Tracked:
    """A mask through all windows: their masks as a ZIP file, and those of the part on screen."""
    from nlviz.windows import track_windows

    clip = context.analysis.clip
    masks = np.zeros(clip.frames.shape[:3], np.float32)

    def tracked() -> Iterator[tuple[str, bytes]]:
        for each in track_windows(
            long,
            context.block,
            start.masks()[0],
            frame=start.frame,
            protocol=protocol,
            progress=progress,
        ):
            yield from _pngs(_bytes_of(each.objects), each.frames)
            for frame, mask in zip(each.frames, each.masks, strict=True):
                if frame in clip.indices:
                    masks[clip.indices.index(frame)] = mask

    archive = zipped(tracked())
    found = Track(context.block, start.frame, masks, np.zeros((0, 0, 0), np.float32), protocol)
    return _shown(context, found, (), start, archive)


def _shown(
    context: TabContext,
    found: Track,
    scores: tuple[tuple[float, float], ...],
    start: Start,
    archive: bytes = b"",
) -> Tracked:
    over = blobs.mask_blob(found.objects, start.color, context.shown.tags[0])
    frames = strip(context.analysis, found, scores, start.color)
    return Tracked(_bytes_of(found.objects), scores, over, frames, archive)


def _work(context: TabContext, start: Start, protocol: Protocol, *, raw: bool) -> Work:
    def work(progress: Progress) -> Tracked:
        progress(0.0, "reading the mask")
        masks = start.masks()
        analysis, block = _carrier(context, progress, raw=raw)
        found = track(
            analysis, block, masks[0], frame=start.frame, protocol=protocol, progress=progress
        )
        scores = measured(found, masks) if start.scored else ()
        return _shown(context, found, scores, start)

    return work


def _carrier(context: TabContext, progress: Progress, *, raw: bool) -> tuple[Analysis, str]:
    """What carries: the block, or the cosine of its input, which takes a pass in its turn."""
    if not raw:
        return context.analysis, context.block
    with one_at_a_time(progress, kind_of("features", context.shown.choice)) as told:
        from nlviz.experiments.baselines import baseline

        told(0.0, "working out the raw features")
        block, _ = origin(context.block)
        analysis = baseline(
            context.shown.without_baselines, context.shown.network(), block, "cosine"
        )
    (block,) = analysis.blocks
    return analysis, block


def measured(found: Track, truth: Masks) -> tuple[tuple[float, float], ...]:
    """(J, F) of each frame."""
    return tuple(
        (region_similarity(mask, real), contour_accuracy(mask, real))
        for mask, real in zip(found.objects, truth, strict=True)
    )
