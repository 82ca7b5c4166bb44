"""Staging: what the viewer needs of an analysis, wherever it lives outside the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlviz.analysis import Analysis
from nlviz.errors import ExportError
from nlviz.query import Query
from nlviz.viewer import blobs as payload
from nlviz.viewer import messages
from nlviz.viewer import settings as saved
from nlviz.viewer.pins import MOST, Pins


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """Blobs and what the viewer opens with.

    Args:
        blobs: the clip's, then each block's.
        tags: theirs.
        pins: one for each query.
        options: those that were kept, else those of the first query.
    """

    blobs: tuple[bytes, ...]
    tags: tuple[str, ...]
    pins: Pins
    options: messages.Options

    @classmethod
    def of(
        cls,
        analysis: Analysis,
        queries: Sequence[Query],
        settings: Mapping[str, Any] | None = None,
    ) -> Staged:
        """The whole analysis with a pin for each query; ExportError for more than eight.

        ``settings`` are those of a session: options, and the pins' names and colours.
        """
        if len(queries) > MOST:
            raise ExportError(f"The viewer opens with at most {MOST} pins; got {len(queries)}.")
        blobs = [payload.clip_blob(analysis.clip)]
        tags = [payload.tag(blobs[0])]
        for block in analysis.blocks:
            blobs.append(payload.block_blob(analysis, block, tags[0]))
            tags.append(payload.tag(blobs[-1]))
        pins, _ = saved.pins(queries, settings or {})
        options = saved.options(queries, settings or {}).fitting(analysis)
        return cls(tuple(blobs), tuple(tags), pins, options)

    def tag(self, analysis: Analysis, block: str) -> str:
        """What the page calls a block."""
        return self.tags[1 + analysis.blocks.index(block)]

    def constants(self, analysis: Analysis, block: str) -> bytes:
        """The blob that "who looks here" and a scale of the whole block need."""
        return payload.constants_blob(analysis, block, self.tag(analysis, block))

    def sizes(self, analysis: Analysis, block: str) -> bytes:
        """The blob that a ranking by contribution needs."""
        return payload.sizes_blob(analysis, block, self.tag(analysis, block))

    def scene(self, analysis: Analysis, pins: Pins, options: messages.Options) -> dict[str, Any]:
        """What the viewer shows, the links of each pin exact."""
        links = {pin: messages.answer(analysis, pin, options) for pin in pins.shown}
        return messages.scene(analysis, self.tags, links, options, rank=bool(analysis.sizes))
