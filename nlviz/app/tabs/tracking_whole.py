"""Several objects, or points, through all windows of the whole clip in the Tracking tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.tracking_several import (
    Several,
    objects_shown,
    objects_zip,
    points_shown,
    words_of_objects,
)
from nlviz.app.tabs.tracking_start import Start
from nlviz.film import TrackStyle, objects_film, points_film
from nlviz.media.masks import MOST_OBJECTS
from nlviz.progress import Progress, part_of
from nlviz.tracking import Protocol
from nlviz.tracking.cells import Numbers
from nlviz.tracking.edges import along_edges

if TYPE_CHECKING:
    from nlviz.windows import LongAnalysis
    from nlviz.windows.objects import WindowOfObjects


def objects_through_windows(
    long: LongAnalysis,
    context: TabContext,
    start: Start,
    protocol: Protocol,
    progress: Progress,
    *,
    edges: bool,
) -> Several:
    """The objects on every frame, as a ZIP file and a film; those of the part on screen are shown.

    What is not on screen is held as PNG, a few kilobytes a frame.
    """
    from nlviz.windows.objects import track_objects_windows

    whole, on_screen = long.whole, context.analysis.clip.indices
    carried: dict[int, bytes] = {}
    drawn: dict[int, bytes] = {}
    shown: dict[int, Numbers] = {}
    windows = track_objects_windows(
        long,
        context.block,
        start.several(),
        names=start.names,
        frame=start.frame,
        protocol=protocol,
        progress=part_of(progress, 0.0, 0.5),
    )
    for done, window in enumerate(windows, start=1):
        for number, frame in enumerate(window.frames):
            numbers = window.numbers(number)
            carried[frame] = _png(numbers)
            if edges:
                progress(done / len(long) / 2, "following the edges")  # and hears Stop
                numbers = _along_edges(long, window, number, protocol)
                drawn[frame] = _png(numbers)
            if frame in on_screen:
                shown[frame] = numbers
    words = words_of_objects(context.analysis, context.block, edges=edges)
    pictures = drawn or carried
    film = objects_film(
        whole,
        lambda at: _numbers(pictures[whole.indices[at]]),
        words,
        TrackStyle(palette=start.colors),
    ).mp4(part_of(progress, 0.5, 1.0))
    archive = None
    if len(start.names) <= MOST_OBJECTS:
        archive = objects_zip((_numbers(carried[frame]) for frame in whole.indices), whole.indices)
    return Several(
        *objects_shown(context, start, [shown[frame] for frame in on_screen]),
        "",
        lambda: film,
        (film, archive),
        None if archive is None else lambda: archive,
    )


def points_through_windows(
    long: LongAnalysis,
    context: TabContext,
    start: Start,
    protocol: Protocol,
    progress: Progress,
) -> Several:
    """The points on every frame, as a table and a film; those of the part on screen are shown."""
    from nlviz.windows.points import track_points_windows

    found = track_points_windows(
        long, context.block, start.points, protocol=protocol, progress=part_of(progress, 0.0, 0.5)
    )
    words = f"{context.analysis.network} {context.block}"
    film = points_film(long.whole, found, words, TrackStyle(palette=start.colors)).mp4(
        part_of(progress, 0.5, 0.9)
    )
    return points_shown(
        context, start, found, lambda: film, (found, film), part_of(progress, 0.9, 1.0)
    )


def _along_edges(
    long: LongAnalysis, window: WindowOfObjects, number: int, protocol: Protocol
) -> Numbers:
    tracks = window.found
    if tracks is None:
        return window.numbers(number)
    at = window.window.own_start + number
    (frame,) = long.store.frames(at, at + 1)
    return along_edges(window.soft(number), frame, tracks.view, tracks.grid, protocol.decision)


def _png(numbers: Numbers) -> bytes:
    """Of 16 bits, which hold any number of objects."""
    return cv2.imencode(".png", numbers)[1].tobytes()


def _numbers(png: bytes) -> Numbers:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), np.uint16)
