"""Several objects, or points with their trails, in the Tracking tab."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.app.markdown import plain
from nlviz.app.tabs.archive import zipped
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import file_button
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.tracking_drawing import points_layer, row_of, small, with_points
from nlviz.app.tabs.tracking_start import Start
from nlviz.film import TrackStyle, objects_film, points_film
from nlviz.heat.guided import SHARPENED
from nlviz.heat.tint import tinted
from nlviz.media.masks import MOST_OBJECTS, object_pngs
from nlviz.progress import Progress, part_of
from nlviz.tracking import (
    FollowedPoints,
    Protocol,
    contour_accuracy,
    region_similarity,
    track_objects,
    track_points,
)
from nlviz.tracking.cells import Numbers
from nlviz.tracking.edges import along_edges
from nlviz.viewer import blobs

Carrier = Callable[[Progress], tuple[Analysis, str]]


@dataclass(frozen=True, slots=True, eq=False)
class Several:
    """What is shown: ``strip`` as HTML, ``over`` the blob over the clip, ``told`` a sentence.

    ``film`` draws the film when it is asked for, ``masks`` the objects as a ZIP file and ``table``
    the points as CSV, from what is ``held``: the store weighs records, and cannot look into a
    function. There are no ``masks`` of more objects than such a file tells apart.
    """

    strip: str
    over: bytes
    told: str
    film: Callable[[], bytes]
    held: tuple[object, ...] = ()
    masks: Callable[[], bytes] | None = None
    table: Callable[[], bytes] | None = None


def objects_work(
    context: TabContext, start: Start, protocol: Protocol, carrier: Carrier, *, edges: bool
) -> Work:
    """Carry all objects of a start in one pass."""

    def work(progress: Progress) -> Several:
        progress(0.0, "reading the mask")
        masks = start.several()
        tracking, drawing = part_of(progress, 0.0, 0.7), part_of(progress, 0.7, 0.9)
        analysis, block = carrier(progress)
        found = track_objects(
            analysis,
            block,
            masks,
            names=start.names,
            frame=start.frame,
            protocol=protocol,
            progress=tracking,
        )
        clip = analysis.clip
        frames = clip.frames

        def drawn(position: int) -> Numbers:
            soft = found.soft(position)
            return along_edges(soft, frames[position], found.view, found.grid, protocol.decision)

        carried, numbers = [], []
        for position in range(len(frames)):
            drawing(position / len(frames), "drawing the objects")
            carried.append(found.numbers(position))
            numbers.append(drawn(position) if edges else carried[-1])
        told = scores(start, carried, part_of(progress, 0.9, 1.0))
        words = words_of_objects(analysis, block, edges=edges)
        style = TrackStyle(palette=start.colors)

        return Several(
            *objects_shown(context, start, numbers),
            told,
            lambda: objects_film(clip, lambda at: numbers[at], words, style).mp4(),
            (numbers, carried, clip),
            None if len(start.names) > MOST_OBJECTS else lambda: objects_zip(carried, clip.indices),
        )

    return work


def words_of_objects(analysis: Analysis, block: str, *, edges: bool) -> str:
    """What stands in the film's caption."""
    return f"{analysis.network} {block}{f' · masks {SHARPENED}' if edges else ''}"


def objects_shown(
    context: TabContext, start: Start, numbers: Sequence[Numbers]
) -> tuple[str, bytes]:
    """The frames on screen with their objects tinted, in a row and as a blob over the clip."""
    clip = context.analysis.clip
    pairs = zip(clip.frames, numbers, strict=True)
    pictures = [tinted(small(frame), each, start.colors) for frame, each in pairs]
    shares = [f"{(each > 0).mean():.1%} of the frame" for each in numbers]
    strip = row_of(clip.indices, pictures, shares, start.frame, "the objects tinted")
    over = blobs.objects_blob(np.stack(numbers), start.colors, context.shown.tags[0])
    return strip, over


def objects_zip(numbers: Iterable[NDArray[np.uint16]], frames: Sequence[int]) -> bytes:
    """Masks of several objects as a ZIP file of PNG with a palette; ExportError."""
    return zipped(object_pngs(numbers, frames))


def scores(start: Start, numbers: Sequence[Numbers], progress: Progress) -> str:
    """J and F of each object over the frames after the first; empty without the truth."""
    if start.truth is None:
        return ""
    pairs, truth = [], start.truth()
    for k in range(1, len(start.names) + 1):
        progress((k - 1) / len(start.names), "scoring the objects")
        each = [
            (region_similarity(found == k, real == k), contour_accuracy(found == k, real == k))
            for found, real in zip(numbers[1:], truth[1:], strict=True)
        ]
        pairs.append(np.mean(each, axis=0))
    j, f = np.mean(pairs, axis=0)
    of = "; ".join(
        f"{name}: {a:.3f}, {b:.3f}" for name, (a, b) in zip(start.names, pairs, strict=True)
    )
    return f"J {j:.3f}, F {f:.3f} on average over the objects ({of})."


def points_work(context: TabContext, start: Start, protocol: Protocol, carrier: Carrier) -> Work:
    """Follow the points of a start."""

    def work(progress: Progress) -> Several:
        analysis, block = carrier(progress)
        tracking, drawing = part_of(progress, 0.0, 0.7), part_of(progress, 0.7, 1.0)
        found = track_points(analysis, block, start.points, protocol=protocol, progress=tracking)
        clip, words = analysis.clip, f"{analysis.network} {block}"
        style = TrackStyle(palette=start.colors)
        return points_shown(
            context,
            start,
            found,
            lambda: points_film(clip, found, words, style).mp4(),
            (found, clip),
            drawing,
        )

    return work


def points_shown(
    context: TabContext,
    start: Start,
    found: FollowedPoints,
    film: Callable[[], bytes],
    held: tuple[object, ...],
    progress: Progress,
) -> Several:
    """The frames on screen with their points, whatever other frames they were followed through."""
    from nlviz.export.tables import points_csv

    clip, confidence = context.analysis.clip, found.confidence
    pictures, layers, told = [], [], []
    for number, frame in enumerate(clip.indices):
        progress(number / len(clip.indices), "drawing the points")
        position = found.frames.index(frame)
        pictures.append(with_points(small(clip.frames[number]), found, position, start.colors))
        layers.append(points_layer(found, position, start.colors))
        told.append("confidence " + ", ".join(f"{each:.2f}" for each in confidence[:, position]))
    least = ", ".join(
        f"{name} {each:.2f}" for name, each in zip(start.names, confidence.min(axis=1), strict=True)
    )
    return Several(
        row_of(clip.indices, pictures, told, start.frame, "the points"),
        blobs.layers_blob(layers, context.shown.tags[0]),
        f"Least confidence on any frame: {least}. A ring is a place that is not believed.",
        film,
        held,
        table=lambda: points_csv(found),
    )


def show(found: Several, stem: str) -> bool:
    """The strip, what is told of it and its files, which begin with ``stem``; whether it lies over
    the clip.
    """
    if found.told:
        st.markdown(plain(found.told))
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        over = st.toggle("Over the clip", value=True, key="track-over")
        for label, made, name, mime in (
            ("Masks (ZIP)", found.masks, "masks.zip", "application/zip"),
            ("Points (CSV)", found.table, "points.csv", "text/csv"),
            ("Film (MP4)", found.film, "film.mp4", "video/mp4"),
        ):
            if made is not None:
                file_button(label, made, f"{stem}-{name}", mime, key=f"track-{name}")
    st.html(found.strip)
    return over
