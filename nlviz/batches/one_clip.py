"""The work of one clip: what was read of it goes through the networks and becomes its files.

This is the one way from frames to rows, here and on a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlviz.analysis import Analysis
from nlviz.batches.drawing import files_of, slug
from nlviz.batches.long_clips import measured
from nlviz.batches.measuring import Asked, Measuring, asked_of, asked_of_windows
from nlviz.batches.options import BatchOptions
from nlviz.batches.reading import KEEPING, Failure, LongClip, Reading
from nlviz.batches.table import Columns
from nlviz.errors import ExportError, MediaError, QueryError
from nlviz.inference.forward import analyse
from nlviz.inference.together import analyse_together


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A network of a batch, and which of a reading's clips it sees."""

    network: Any
    clip: int


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What is to be done with every clip.

    Args:
        options: the options.
        ask: what is asked in all, see ``BatchOptions.ask``.
        networks: the networks.
        columns: of the table.
    """

    options: BatchOptions
    ask: tuple[str, ...]
    networks: tuple[Loaded, ...]
    columns: Columns

    def on(self, readings: Sequence[Reading]) -> list[Done]:
        """What becomes of some clips; none of them raises, but for a stop from outside."""
        done = [Making(reading, self) for reading in readings]
        for loaded in self.networks:
            left = [each for each in done if each.reading.clips and not each.failure]
            for alike in _of_one_shape(left, loaded.clip):
                _see(alike, loaded, self.options)
            for each in done:
                if each.reading.long is not None and not each.failure:
                    _see_windows(each, each.reading.long, loaded)
        return [each.done() for each in done]


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What became of one clip: its part of the table and its files, or why there are none."""

    reading: Reading
    rows: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: Failure | None = None


class Making:
    """One clip on its way to its part of the table."""

    def __init__(self, reading: Reading, work: Work) -> None:
        self.reading, self._work = reading, work
        self.failure = reading.failure
        self._rows: list[dict[str, Any]] = []
        self._files: dict[str, bytes] = {}

    def asked(self, clip: int) -> list[Asked]:
        """What is asked of one of the clips, or of the windows."""
        places = (*self._work.options.at, *self.reading.entry.places)
        if self.reading.long is not None:
            return asked_of_windows(self.reading.long, places, self._work.ask)
        objects = self.reading.objects[clip] if self.reading.objects else None
        return asked_of(self.reading.clips[clip], places, objects, self._work.ask)

    def check(self, clip: int) -> None:
        """QueryError for a place that the clip does not have, or where nothing is asked of it."""
        if not self.asked(clip) and "blocks" not in self._work.ask:
            raise QueryError(
                "Nothing is asked of this clip: the list has no place for it, or its masks show no "
                "object on the sampled frames."
            )

    def see(self, analysis: Analysis, loaded: Loaded) -> None:
        """Take what one network says."""
        options = self._work.options
        measuring = Measuring(
            analysis, loaded.network, self.asked(loaded.clip), options, self._work.ask
        )
        self._rows += measuring.rows()
        entry = self.reading.entry
        stem = f"{slug(Path(entry.name).stem)}-{entry.id}"
        self._files |= dict(files_of(measuring, options, stem))

    def see_windows(self, clip: LongClip, loaded: Loaded) -> None:
        """Take what one network says of a clip in windows, which run here."""
        work, asked = self._work, self.asked(loaded.clip)
        rows, files = measured(
            self.reading.entry, clip, loaded.network, asked, work.options, work.ask
        )
        self._rows += rows
        self._files |= files

    def done(self) -> Done:
        """The files, or why there are none."""
        if self.failure:
            return Done(self.reading, failure=self.failure)
        if self.reading.is_empty:
            return Done(self.reading)
        try:
            part = self._work.columns.part(self.reading.entry, self._rows)
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            return Done(self.reading, failure=Failure.of(error, "writing"))
        return Done(self.reading, part, self._files)


def _of_one_shape(made: Sequence[Making], clip: int) -> list[list[Making]]:
    """Clips that can go through a network together."""
    shapes: dict[tuple[int, ...], list[Making]] = {}
    for each in made:
        shapes.setdefault(each.reading.clips[clip].frames.shape, []).append(each)
    return list(shapes.values())


def _see(made: Sequence[Making], loaded: Loaded, options: BatchOptions) -> None:
    """Run one network on clips of one shape; whoever fails has failed alone."""
    asked = []
    for each in made:
        try:
            each.check(loaded.clip)  # a wrong place is told before the long work
            asked.append(each)
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            each.failure = Failure.of(error, "asking")
    try:
        analyses = _analyses(asked, loaded, options)
    except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
        if len(asked) == 1:
            asked[0].failure = Failure.of(error, "network")
        else:
            for each in asked:
                _see([each], loaded, options)
        return
    for each, analysis in zip(asked, analyses, strict=True):
        try:
            each.see(analysis, loaded)
        except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
            each.failure = Failure.of(error, "network")


def _see_windows(made: Making, clip: LongClip, loaded: Loaded) -> None:
    """Run one network on a clip in windows."""
    try:
        made.check(loaded.clip)
    except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
        made.failure = Failure.of(error, "asking")
        return
    try:
        made.see_windows(clip, loaded)
    except MediaError as error:  # its frames are read as the windows come to them
        made.failure = Failure.of(error, "reading")
    except ExportError as error:  # no room for its windows
        made.failure = Failure.of(error, KEEPING)
    except Exception as error:  # noqa: BLE001 (a bad clip costs its own row)
        made.failure = Failure.of(error, "network")


def _analyses(made: Sequence[Making], loaded: Loaded, options: BatchOptions) -> Sequence[Analysis]:
    clips = [each.reading.clips[loaded.clip] for each in made]
    if len(clips) == 1:
        return [analyse(clips[0], loaded.network, size=options.size, features=options.features)]
    if not clips:
        return []
    return analyse_together(clips, loaded.network, size=options.size, features=options.features)
