"""Videos, by PyAV: frame-exact by presentation time, whatever the order in the file."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.media import mp4_boxes
from nlviz.media.budget import Budget
from nlviz.media.frame_index import FrameIndex, count, decoded, open_video, scan, which
from nlviz.media.frame_to_rgb import FrameToRgb
from nlviz.media.info import MediaInfo
from nlviz.media.sampling import Sampling, check_clip, check_frame, out_of_memory
from nlviz.media.source import Source


def probe(source: Source, budget: Budget) -> MediaInfo:
    """See ``nlviz.media.probe``."""
    frame_index = scan(source, budget) or count(source, budget)
    with open_video(source) as (container, stream):
        width, height = _to_rgb(container, stream, source.name).size
    check_frame(source.name, width, height)
    return _info(source.name, width, height, frame_index)


def read(
    source: Source, sampling: Sampling, budget: Budget, frame_index: FrameIndex | None = None
) -> Clip:
    """See ``nlviz.media.read``; ``frame_index`` is one that ``look_through`` gave."""
    _, _, clip = look_through(source, sampling, budget, frame_index)
    return clip


def look_through(
    source: Source, sampling: Sampling, budget: Budget, frame_index: FrameIndex | None = None
) -> tuple[MediaInfo, FrameIndex, Clip]:
    """What a video holds, which frames it has and when, and some of them."""
    try:
        frame_index = frame_index or scan(source, budget)
        promised = 0 if frame_index is None else len(frame_index.times)
        clip = _clip(source, sampling, frame_index, budget) if frame_index else None
        if frame_index is None or clip is None:
            # No usable times, or the decoder gives other frames than the packets promise.
            frame_index = count(source, budget, promised)
            clip = _clip(source, sampling, frame_index, budget)
    except MemoryError:
        raise out_of_memory(source.name) from None
    if clip is None:
        raise MediaError(f"'{source.name}' is damaged; save or download it again.")
    return _info(source.name, clip.width, clip.height, frame_index), frame_index, clip


def look(source: Source, budget: Budget) -> tuple[MediaInfo, FrameIndex, tuple[str, ...]]:
    """What a video holds, which frames it has and when, and what a reader should know of it.

    Nothing but the first frame is decoded where its packets carry usable times.
    """
    frame_index = scan(source, budget) or count(source, budget)
    with open_video(source) as (container, stream):
        frame = _first(container, stream, source.name)
        to_rgb = FrameToRgb.of(frame, stream)
        notes = dict.fromkeys((*which(container, stream), *to_rgb.notes(frame)))
    width, height = to_rgb.size
    check_frame(source.name, width, height)
    info = _info(source.name, width, height, frame_index)
    return info, frame_index, (*notes, *_cut(source, frame_index))


def play(
    source: Source, frame_index: FrameIndex, indices: tuple[int, ...], budget: Budget
) -> Iterator[NDArray[np.uint8]]:
    """The frames at some rising indices, upright and RGB; ends early where one is lost.

    The first is reached by way of the key frame before it, and so is each that lies behind another
    key frame; the decoder goes on through the others.
    """
    with open_video(source) as (container, stream):
        to_rgb = _to_rgb(container, stream, source.name)
    with open_video(source) as (container, stream):
        pick = _by_time if frame_index.keys else _by_count
        for frame in pick(container, stream, frame_index, indices, budget):
            yield to_rgb.rgb(frame)


def _cut(source: Source, frame_index: FrameIndex) -> tuple[str, ...]:
    """One sentence where the file does not hold all that it should."""
    total = len(frame_index.times)
    if frame_index.missing:
        declared = total + frame_index.missing
        return (f"The file is cut off or damaged: {total} of its {declared} frames are there.",)
    with source.open() as file:
        cut = mp4_boxes.is_cut(file)
    return (f"The file is cut off: the {total} frames that are left of it are read.",) * cut


def _info(name: str, width: int, height: int, frame_index: FrameIndex) -> MediaInfo:
    total = len(frame_index.times)
    if total == 1:
        return MediaInfo(name, width, height, 1, 0.0, 0.0)
    # The last frame is shown as long as the others are in the mean.
    rate = (total - 1) / frame_index.seconds(total - 1)
    return MediaInfo(name, width, height, total, float(total / rate), float(rate))


def _clip(
    source: Source, sampling: Sampling, frame_index: FrameIndex, budget: Budget
) -> Clip | None:
    """The sampled clip; None where a frame of the index does not come out of the decoder."""
    total = len(frame_index.times)
    indices = sampling.indices(total, source.name)
    notes: dict[str, None] = {}
    with open_video(source) as (container, stream):
        to_rgb = _to_rgb(container, stream, source.name)
        width, height = to_rgb.size
        check_clip(source.name, len(indices), width, height)
        notes.update(dict.fromkeys(which(container, stream)))
    pixels: NDArray[np.uint8] = np.empty((len(indices), height, width, 3), np.uint8)
    with open_video(source) as (container, stream):
        pick = _by_time if frame_index.keys else _by_count
        taken = 0
        for frame in pick(container, stream, frame_index, indices, budget):
            budget.share = taken / len(indices)
            pixels[taken] = to_rgb.rgb(frame)
            notes.update(dict.fromkeys(to_rgb.notes(frame)))
            taken += 1
    if taken < len(indices):
        return None
    notes.update(dict.fromkeys(_cut(source, frame_index)))
    return Clip(
        frames=pixels,
        indices=indices,
        timestamps=tuple(float(frame_index.seconds(i)) for i in indices),
        name=source.name,
        total=total,
        path=source.path,
        notes=(*source.notes, *sampling.notes(total), *notes),
    )


def _by_time(
    container: InputContainer,
    stream: VideoStream,
    frame_index: FrameIndex,
    indices: tuple[int, ...],
    budget: Budget,
) -> Iterator[VideoFrame]:
    """The frames with the wanted times, by way of key frames; ends early where one is lost."""
    starts = [shown for shown, _ in frame_index.keys]
    wanted = deque(frame_index.times[i] for i in indices)
    now = frame_index.times[0]
    while wanted:
        key = bisect_right(starts, wanted[0]) - 1
        if key >= 0 and starts[key] > now:
            container.seek(frame_index.keys[key][1], stream=stream)
        for frame in budget.over(decoded(container, stream)):
            if frame.pts is None or frame.pts < wanted[0]:
                continue
            if frame.pts > wanted[0]:
                return
            yield frame
            now = wanted.popleft()
            if not wanted or starts[bisect_right(starts, wanted[0]) - 1] > now:
                break
        else:
            return


def _by_count(
    container: InputContainer,
    stream: VideoStream,
    frame_index: FrameIndex,
    indices: tuple[int, ...],
    budget: Budget,
) -> Iterator[VideoFrame]:
    """The frames at the wanted positions, from the first frame on."""
    wanted = set(indices)
    for index, frame in enumerate(budget.over(decoded(container, stream))):
        if index in wanted:
            yield frame
        if index == indices[-1]:
            return


def _to_rgb(container: InputContainer, stream: VideoStream, name: str) -> FrameToRgb:
    return FrameToRgb.of(_first(container, stream, name), stream)


def _first(container: InputContainer, stream: VideoStream, name: str) -> VideoFrame:
    frame = next(decoded(container, stream), None)
    if frame is None:
        raise MediaError(f"'{name}' has no frame that can be decoded; choose another file.")
    return frame
