"""What is read of a clip before a network sees it: its checksum, its frames, its masks."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nlviz.batches.listing import Entry
from nlviz.batches.options import digest
from nlviz.batches.stores import brought, is_address
from nlviz.clip import Clip
from nlviz.errors import MediaError, NlvizError
from nlviz.geometry import Region
from nlviz.media import read
from nlviz.media.folder import images_of
from nlviz.media.mask_objects import MaskObjects
from nlviz.media.masks import read_objects, read_objects_of_frames
from nlviz.media.sampling import Sampling
from nlviz.media.source import Source

Group = tuple[Entry, ...]
"""Clips that are done together; mostly one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a clip could not be done.

    Args:
        stage: ``"reading"``, ``"network"`` or ``"writing"`` of pictures of it.
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


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read of one clip.

    Args:
        entry: which.
        work: 24 digits that stand for the clip's content, what is asked of it, the networks and
            the options.
        clips: the frames by each of the samplings; empty where they were not needed.
        objects: the objects of its masks in these frames; empty where no masks are asked.
        failure: why it cannot be read, or None.
    """

    entry: Entry
    work: str = ""
    clips: tuple[Clip, ...] = ()
    objects: tuple[MaskObjects, ...] = ()
    failure: Failure | None = None

    @property
    def part(self) -> str:
        """The name of its part of the table, without an ending."""
        return part_name(self.entry, self.work)

    def without_frames(self) -> Reading:
        """The same, where they are not needed."""
        return replace(self, clips=(), objects=())


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
    """

    samplings: tuple[Sampling, ...]
    key: str
    masks: bool
    parts: frozenset[str] = frozenset()
    works: frozenset[str] = frozenset()

    def read(self, group: Group) -> tuple[Reading, ...]:
        """What is needed of some clips; none of them raises."""
        known = [self._work(entry) for entry in group]
        if all(each.failure or self._needs_no_frames(each) for each in known):
            return tuple(known)
        return tuple(each if each.failure else self._frames(each) for each in known)

    def _work(self, entry: Entry) -> Reading:
        try:
            with _here(entry.path) as path:
                content = [checksum(path)]
            if self.masks:
                if entry.masks is None:
                    raise MediaError(
                        f"'{entry.path}' has no masks; give the list a column 'masks', or --masks "
                        "FOLDER."
                    )
                content.append(checksum(entry.masks))
            places = [[isinstance(place, Region), asdict(place)] for place in entry.places]
            return Reading(entry, digest(content, places, self.key)[:24])
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            return Reading(entry, failure=Failure.of(error, "reading"))

    def _needs_no_frames(self, reading: Reading) -> bool:
        return reading.part in self.parts or reading.work in self.works

    def _frames(self, reading: Reading) -> Reading:
        entry = reading.entry
        try:
            with _here(entry.path) as path:
                clips = [
                    read(path, frames=s.frames, stride=s.stride, start=s.start, name=entry.name)
                    for s in self.samplings
                ]
            clips = [replace(clip, path=entry.path) for clip in clips]
            objects = [_objects(entry, clip) for clip in clips] if self.masks else []
            return replace(reading, clips=tuple(clips), objects=tuple(objects))
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            return replace(reading, failure=Failure.of(error, "reading"))


@contextmanager
def _here(path: str) -> Iterator[str]:
    """A path of this machine with what lies at a path or an address."""
    if is_address(path):
        with brought(path) as local:
            yield local
    else:
        yield path


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
