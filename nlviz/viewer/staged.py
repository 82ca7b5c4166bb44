"""Staged: an analysis as the viewer needs it, in whichever of its homes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlviz.analysis import Analysis
from nlviz.errors import ExportError
from nlviz.progress import Progress, silent
from nlviz.query import Query
from nlviz.viewer import settings as saved
from nlviz.viewer.blobs import block_blob, clip_blob, constants_blob, sizes_blob, tag
from nlviz.viewer.messages import Can, Scene, links_of
from nlviz.viewer.options import Options
from nlviz.viewer.pins import MOST, Pins


def packed(analysis: Analysis) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """The clip's blob, then each block's; and what the page calls them."""
    clip = clip_blob(analysis.clip)
    blocks = [block_blob(analysis, block, tag(clip)) for block in analysis.blocks]
    blobs = (clip, *blocks)
    return blobs, tuple(map(tag, blobs))


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
    options: Options

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
        blobs, tags = packed(analysis)
        pins, _ = saved.pins(queries, settings or {})
        options = saved.options(queries, settings or {}).fitting(analysis)
        return cls(blobs, tags, pins, options)

    def tag(self, analysis: Analysis, block: str) -> str:
        """What the page calls a block."""
        return self.tags[1 + analysis.blocks.index(block)]

    def constants(self, analysis: Analysis, block: str, progress: Progress = silent) -> bytes:
        """The blob that "who looks here" and a scale of the whole block need."""
        return constants_blob(analysis, block, self.tag(analysis, block), progress)

    def sizes(self, analysis: Analysis, block: str) -> bytes:
        """The blob that a ranking by contribution needs."""
        return sizes_blob(analysis, block, self.tag(analysis, block))

    def scene(self, analysis: Analysis, *, components: str | None = None) -> Scene:
        """What the viewer opens with, the links of each pin exact; ``components`` is a tag."""
        links = {pin: links_of(analysis, pin, self.options) for pin in self.pins.shown}
        can = Can(rank=bool(analysis.sizes))
        return Scene.of(analysis, self.tags, links, self.options, can=can, components=components)
