"""Stream: the sampled frames of a long source, one after the other, each decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import MediaError
from nlviz.media import folder, images, video
from nlviz.media.budget import Budget
from nlviz.media.info import MediaInfo
from nlviz.media.sampling import Sampling
from nlviz.media.source import Given, Source
from nlviz.progress import Progress

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Sampled frames that are not held: whoever wants them reads them from a place on.

    Args:
        info: size and length of the source.
        indices: source frame index of each sampled frame, rising.
        timestamps: seconds of each sampled frame in the source.
        path: the path as it was given; None for bytes.
        notes: one sentence for each thing a reader should know of the input.
        play: the upright RGB frames at some rising source frame indices, decoded as they are asked
            for; it ends early where the file is damaged.
        files: where its content lies, for who must tell it from another.
    """

    info: MediaInfo
    indices: tuple[int, ...]
    timestamps: tuple[float, ...]
    path: str | None
    notes: tuple[str, ...]
    play: Callable[[Sequence[int], Budget], Iterator[Pixels]]
    files: tuple[Source, ...]

    def frames(self, start: int, stop: int, progress: Progress | None = None) -> Iterator[Pixels]:
        """The sampled frames at positions from ``start`` up to ``stop``, (H, W, 3) uint8 RGB each.

        Decoding begins at the key frame before the first one, and goes on where it stopped as long
        as somebody asks for the next. The bounds on what may be decoded of a file hold from one
        sampled frame to the next.

        Raises:
            MediaError: a frame that cannot be decoded, or takes too long.
        """
        budget = Budget(self.info.name, progress)
        size = (self.info.height, self.info.width, 3)
        read = start
        with budget.kept():
            for pixels in self.play(self.indices[start:stop], budget):
                if pixels.shape != size:
                    break
                read += 1
                yield pixels
                budget.renew()
        if read < stop:
            raise MediaError(
                f"'{self.info.name}' is damaged: frame {self.indices[read]} cannot be decoded; "
                "save it again as H.264 MP4, or ask for the part before."
            )


def open_stream(
    source: Given,
    *,
    frames: int | None = None,
    stride: int | None = None,
    start: int = 0,
    name: str | None = None,
    progress: Progress | None = None,
) -> Stream:
    """A video, an animation or a folder of images, looked through and ready to be read.

    Args:
        source: as for ``nlviz.read``.
        frames: how many frames to sample, at least 1; all to the end if None.
        stride: source frames from one to the next; None for every frame, or, where ``frames`` says
            how many, to spread these evenly to the end.
        start: source frame index of the first one, from 0.
        name: what to call it; needed for bytes and for files without a name.
        progress: as for ``nlviz.read``.

    Raises:
        MediaError: the source cannot be read, takes too long to look through, or has no frame
            ``start``.
    """
    given = Sampling(frames=frames or 1, stride=stride, start=start)

    def chosen(info: MediaInfo) -> tuple[int, ...]:
        whole = Sampling(info.total, stride or 1, start)
        return (whole if frames is None else given).indices(info.total, info.name)

    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        return _of_folder(Path(source), name, chosen)
    origin = Source.of(source, name)
    with Budget(origin.name, progress).kept() as budget:
        of = _of_images if images.knows(origin) else _of_video
        return of(origin, budget, chosen)


def _of_video(
    source: Source, budget: Budget, chosen: Callable[[MediaInfo], tuple[int, ...]]
) -> Stream:
    info, frame_index, notes = video.look(source, budget)
    indices = chosen(info)

    def play(wanted: Sequence[int], budget: Budget) -> Iterator[Pixels]:
        return video.play(source, frame_index, tuple(wanted), budget)

    times = tuple(float(frame_index.seconds(i)) for i in indices)
    return Stream(info, indices, times, source.path, (*source.notes, *notes), play, (source,))


def _of_images(
    source: Source, budget: Budget, chosen: Callable[[MediaInfo], tuple[int, ...]]
) -> Stream:
    info, begins = images.times(source, budget)
    indices = chosen(info)

    def play(wanted: Sequence[int], budget: Budget) -> Iterator[Pixels]:
        return images.play(source, wanted, budget)

    times = tuple(begins[i] for i in indices)
    return Stream(info, indices, times, source.path, source.notes, play, (source,))


def _of_folder(
    home: Path, name: str | None, chosen: Callable[[MediaInfo], tuple[int, ...]]
) -> Stream:
    info = folder.probe(home, name)
    files = folder.images_of(home)
    indices = chosen(info)

    def play(wanted: Sequence[int], budget: Budget) -> Iterator[Pixels]:
        for i in wanted:
            yield images.read(Source.of(files[i]), Sampling(frames=1), budget).frames[0]

    clock = (folder.CLOCK,) if len(files) > 1 else ()
    times = tuple(i / folder.RATE for i in indices)
    read = tuple(Source.of(files[i]) for i in indices)
    return Stream(info, indices, times, str(home), clock, play, read)
