"""Provenance: how an export was made, and the command that makes it again."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.command import Run, can_be_asked, command
from nlviz.media.sampling import Sampling
from nlviz.models import zoo
from nlviz.models.input_size import size_for
from nlviz.query import Query, asked
from nlviz.version import __version__


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an export was made; every export holds it.

    Args:
        version: of nlviz.
        model: the network's name.
        weights: checksum of the file that the weights came from, ``"sha256:…"``: a bundled one, the
            checkpoint that was fetched and converted, or your own; None where they came from none.
        clip: the clip's name.
        checksum: ``"sha256:…"`` of the sampled frames' pixels (T, H, W, 3), RGB.
        frames: the sampled source frames.
        total: how many frames the source has.
        source: (width, height) of the clip in pixels.
        input: (width, height) of what the network was given.
        scores: what class scores come from, in a few words; None for a network without classes,
            and where the analysis does not say it.
        queries: what was asked, as ``report`` names it.
        command: what makes it again; None where no command can, as for a clip given as bytes.
    """

    version: str
    model: str
    weights: str | None
    clip: str
    checksum: str
    frames: tuple[int, ...]
    total: int
    source: tuple[int, int]
    input: tuple[int, int]
    scores: str | None
    queries: tuple[dict[str, Any], ...]
    command: str | None

    @classmethod
    def of(
        cls, analysis: Analysis, queries: Sequence[Query] = (), *, command: str | None = None
    ) -> Provenance:
        """The provenance of what is exported of an analysis.

        Args:
            analysis: what is exported.
            queries: what it was asked.
            command: what the user typed; without it the ``links`` command that asks the same.
        """
        clip = analysis.clip
        return cls(
            version=__version__,
            model=analysis.network,
            weights=analysis.weights or _recorded(analysis.network),
            clip=clip.name,
            checksum=checksum(clip),
            frames=tuple(int(i) for i in clip.indices),
            total=int(clip.total),
            source=analysis.view.source,
            input=analysis.view.input,
            scores=analysis.scores_from or None,
            queries=tuple(asked(query) for query in queries),
            command=command or repeated(analysis, queries),
        )

    @property
    def words(self) -> str:
        """All of it in a few lines."""
        frames = ", ".join(map(str, self.frames))
        lines = [
            f"nlviz {self.version}; {self.model}, weights {self.weights or 'of no file'}",
            f"{self.clip}, frames {frames} of {self.total}, {self.checksum}",
            *([f"class scores from {self.scores}"] if self.scores else []),
            *([self.command] if self.command else []),
        ]
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """All of it as a JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


_checksums: dict[int, str] = {}  # id of a living clip's frames → their checksum


def checksum(clip: Clip) -> str:
    """SHA-256 of the sampled frames' pixels, whatever file they came from."""
    frames, key = clip.frames, id(clip.frames)
    known = _checksums.get(key)
    if known is None:
        plain = np.ascontiguousarray(frames)
        known = "sha256:" + hashlib.sha256(plain.data if plain.size else b"").hexdigest()
        _checksums[key] = known  # a clip's frames are read-only
        weakref.finalize(frames, _checksums.pop, key, None)
    return known


def _recorded(model: str) -> str | None:
    """What the zoo knows of a network's weights, for an analysis that does not say it."""
    if model not in zoo.names():
        return None
    known = zoo.record(model)
    return f"sha256:{known.sha256}" if isinstance(known, zoo.Record) else known.digest or None


def repeated(analysis: Analysis, queries: Sequence[Query], *more: str) -> str | None:
    """The ``links`` command that asks the same of the same; None where no command can.

    That is so for a clip given as bytes, a network that is not of the zoo, frames or an input
    size that no option gives, queries that differ in more than their places, and no query.
    """
    clip, view, model = analysis.clip, analysis.view, analysis.network
    sampling = sampling_of(clip)
    if clip.path is None or sampling is None or model not in zoo.names():
        return None
    size = size_for(view.source, view.input, zoo.side(model))
    if size is None or not can_be_asked(queries):
        return None
    return " ".join([*command("links", clip.path, queries, Run(sampling, model, size)), *more])


def sampling_of(clip: Clip) -> Sampling | None:
    """The frame sampling that gives this clip's frames; None if no sampling does."""
    indices = tuple(clip.indices)
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    choices = (Sampling(len(indices), stride, indices[0]) for stride in (None, step) if step > 0)
    return next((s for s in choices if s.indices(clip.total, clip.name) == indices), None)
