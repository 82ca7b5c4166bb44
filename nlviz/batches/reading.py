"""What is read of a clip before a network sees it: its checksum, its frames, its masks."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.batches.listing import Entry
from nlviz.batches.options import digest
from nlviz.batches.stores import here, is_address
from nlviz.clip import Clip
from nlviz.errors import MediaError, NlvizError
from nlviz.geometry import Point, Region
from nlviz.media import read
from nlviz.media.folder import images_of
from nlviz.media.mask_objects import MaskObjects
from nlviz.media.masks import read_objects, read_objects_of_frames
from nlviz.media.sampling import Sampling
from nlviz.media.source import Source
from nlviz.media.stream import open_stream

Group = tuple[Entry, ...]
"""Clips that are done together; mostly one."""


KEEPING = "keeping"
"""The stage in which the windows of a clip are written to a temporary folder."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a clip could not be done.

    Args:
        stage: ``"reading"``, ``"asking"``, ``"network"``, ``KEEPING`` of windows, or ``"writing"``
            of pictures of it.
        error: the kind of error.
        why: one sentence.
        traceback: where, of a fault in nlviz; empty for what the user can mend.
    """

    stage: str
    error: str
    why: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException, stage: str) -> Failure:
        """From what was raised."""
        kind = type(error).__name__
        if isinstance(error, NlvizError):
            return cls(stage, kind, _shown(str(error)))
        lines = "".join(traceback.format_exception(error))
        said = f"{kind}: {str(error).strip().partition(chr(10))[0]}".rstrip(": ")
        why = _shown(f"This is a fault in nlviz or in the network ({said}).")
        return cls(stage, kind, why, _shown(lines))


def _shown(text: str) -> str:
    """In signs that a file can hold: names of files may have others."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Windows:
    """How clips are cut into windows, and which frames are sampled, as for ``open_stream``."""

    length: int
    frames: int | None = None
    stride: int | None = None
    start: int = 0


@dataclass(frozen=True, slots=True)
class LongObject:
    """An object of the masks of a long clip.

    Args:
        name: its own.
        place: the point deepest inside it, on the first frame that shows it.
        share: of all pixels of all frames.
    """

    name: str
    place: Point
    share: float


@dataclass(frozen=True, slots=True)
class LongClip:
    """What was read of a clip that is longer than a window; its frames stay where they are.

    Args:
        name: its file's.
        indices: source frame index of each sampled frame.
        total: frames of the source.
        width, height: of a frame, in pixels.
        objects: those of its masks.
    """

    name: str
    indices: tuple[int, ...]
    total: int
    width: int
    height: int
    objects: tuple[LongObject, ...] = ()

    @property
    def black(self) -> Clip:
        """A clip of the same frames, all black, that takes no memory."""
        size = (len(self.indices), self.height, self.width, 3)
        frames = np.broadcast_to(np.zeros(1, np.uint8), size)
        return Clip(frames, self.indices, (0.0,) * len(self.indices), self.name, self.total)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read of one clip.

    Args:
        entry: which.
        work: 24 digits that stand for the clip's content, what is asked of it, the networks and
            the options.
        clips: the frames by each of the samplings; empty where they were not needed.
        long: a clip that is longer than a window, in place of ``clips``; else None.
        objects: the objects of its masks in these frames; empty where no masks are asked.
        failure: why it cannot be read, or None.
    """

    entry: Entry
    work: str = ""
    clips: tuple[Clip, ...] = ()
    long: LongClip | None = None
    objects: tuple[MaskObjects, ...] = ()
    failure: Failure | None = None

    @property
    def part(self) -> str:
        """The name of its part of the table, without an ending."""
        return part_name(self.entry, self.work)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it for a network."""
        return not self.clips and self.long is None

    def without_frames(self) -> Reading:
        """The same, where they are not needed."""
        return replace(self, clips=(), long=None, objects=())


def part_name(entry: Entry, work: str) -> str:
    """``ID-CARRIED-WORK``: where it stands, the list's other columns, and what was done."""
    carried = [[name, str(value)] for name, value in entry.carried]
    return f"{entry.id}-{digest(entry.path, carried)[:8]}-{work}"


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """How each clip of a batch is read; it is sent to the processes that read.

    Args:
        samplings: which frames, for each number of them that some network takes.
        key: what stands for the networks and the options.
        masks: whether the masks are read too.
        parts: names of the parts that are there.
        works: works whose rows are there and can be copied: then no frames are read.
        windows: how clips are cut into windows, in place of the samplings; None for not at all.
    """

    samplings: tuple[Sampling, ...]
    key: str
    masks: bool
    parts: frozenset[str] = frozenset()
    works: frozenset[str] = frozenset()
    windows: Windows | None = None

    def read(self, group: Group) -> tuple[Reading, ...]:
        """What is needed of some clips; none of them raises."""
        with ExitStack() as brought:  # what lies at an address comes here once
            known = [self._work(entry, brought) for entry in group]
            if all(each.failure or self._needs_no_frames(each) for each, _ in known):
                return tuple(each for each, _ in known)
            return tuple(each if each.failure else self._frames(each, path) for each, path in known)

    def _work(self, entry: Entry, brought: ExitStack) -> tuple[Reading, str]:
        """What stands for a clip's work, and the path of its file on this machine."""
        try:
            path = brought.enter_context(here(entry.path))
            content = [checksum(path)]
            if self.masks:
                if entry.masks is None:
                    raise MediaError(
                        f"'{entry.path}' has no masks; give the list a column 'masks', or --masks "
                        "FOLDER."
                    )
                if is_address(entry.masks):
                    raise MediaError(
                        f"'{entry.masks}' is an address; masks are read from a folder of this "
                        "machine."
                    )
                content.append(checksum(entry.masks))
            places = [[isinstance(place, Region), asdict(place)] for place in entry.places]
            return Reading(entry, digest(content, places, self.key)[:24]), path
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            return Reading(entry, failure=Failure.of(error, "reading")), ""

    def _with_objects(self, entry: Entry, long: LongClip) -> LongClip:
        """With the objects of its masks, which are looked through a window's frames at a time."""
        if not self.masks or self.windows is None:
            return long
        whole, count = long.black, len(long.indices)
        places: dict[str, Point] = {}
        sizes: Counter[str] = Counter()
        for start in range(0, count, self.windows.length):
            part = start, min(start + self.windows.length, count)
            found = read_objects_of_frames(str(entry.masks), whole, part=part)
            for number, name in enumerate(found.names, start=1):
                masks = found.labels == number
                sizes[name] += int(masks.sum())
                if name not in places and masks.any():
                    first = int(masks.any(axis=(1, 2)).argmax())
                    places[name] = deepest(masks[first], long.indices[start + first])
        every = count * long.width * long.height
        objects = (LongObject(name, place, sizes[name] / every) for name, place in places.items())
        return replace(long, objects=tuple(objects))

    def _needs_no_frames(self, reading: Reading) -> bool:
        return reading.part in self.parts or reading.work in self.works

    def _frames(self, reading: Reading, path: str) -> Reading:
        entry = reading.entry
        try:
            samplings = self.samplings
            if self.windows is not None:
                long, sampling = _looked_through(path, entry, self.windows)
                if sampling is None:
                    return replace(reading, long=self._with_objects(entry, long))
                samplings = (sampling,)
            clips = [
                read(path, frames=s.frames, stride=s.stride, start=s.start, name=entry.name)
                for s in samplings
            ]
            clips = [replace(clip, path=entry.path) for clip in clips]
            objects = [_objects(entry, clip) for clip in clips] if self.masks else []
            return replace(reading, clips=tuple(clips), objects=tuple(objects))
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            return replace(reading, failure=Failure.of(error, "reading"))


def _looked_through(path: str, entry: Entry, windows: Windows) -> tuple[LongClip, Sampling | None]:
    """A clip in windows; with a sampling to read it by where it is not longer than one."""
    stream = open_stream(
        path,
        frames=windows.frames,
        stride=windows.stride,
        start=windows.start,
        name=entry.name,
    )
    info, count = stream.info, len(stream.indices)
    long = LongClip(entry.name, stream.indices, info.total, info.width, info.height)
    if count > windows.length:
        return long, None
    stride = windows.stride or (1 if windows.frames is None else None)
    return long, Sampling(count, stride, windows.start)


def deepest(mask: NDArray[np.bool_], frame: int) -> Point:
    """The point of a mask, (H, W), that is deepest inside it."""
    inside = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return Point(frame, float(x) + 0.5, float(y) + 0.5)


def checksum(path: str) -> str:
    """SHA-256 of a file, or of a folder's pictures and their names; MediaError."""
    if not os.path.isdir(path):
        with Source.of(path).open() as file:
            whole = hashlib.sha256()
            while some := file.read(1 << 20):
                whole.update(some)
            return whole.hexdigest()
    return digest([[file.name, checksum(str(file))] for file in images_of(Path(path))])


def _objects(entry: Entry, clip: Clip) -> MaskObjects:
    path = str(entry.masks)
    if os.path.isdir(path) or len(clip.frames) > 1:
        return read_objects_of_frames(path, clip)
    return read_objects(path, clip)


def at_once(entries: Sequence[Entry], together: int) -> list[Group]:
    """The list in groups of entries that follow each other, whatever is done of them already."""
    return [tuple(entries[i : i + together]) for i in range(0, len(entries), together)]
