"""A clip as one network saw it: the record that every view, figure and file asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz import hosts
from nlviz.about import About, about, fidelity_in_words
from nlviz.affinity import Affinity
from nlviz.clip import Clip
from nlviz.display import image, table
from nlviz.errors import CaptureError, QueryError
from nlviz.geometry import View
from nlviz.models.score_windows import ScoreWindows
from nlviz.query import Query, layer_of, similarity_of

JOINED = "joined by nlviz from windows that the network saw one by one"
"""What a block of several windows is, after its kind; sessions keep it, too."""

DERIVED = "derived by nlviz from several layers, not a weight of the network"
"""What a block that no layer of the network has is, after its kind; sessions keep it, too."""

_THUMBNAIL = 240  # pixels of its longer side


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class the network sees in the clip, and its softmax score from 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """A clip as one network saw it; immutable.

    Args:
        clip: the frames that were analysed.
        view: how they became the network's input.
        network: the network's name.
        affinities: block name → Affinity, from input to output.
        fidelity: block name → relative error of the y recomputed from the captured affinity
            against the y that the block really put out; about 1e-6 where the capture is right; None
            where it was not measured, as of a baseline.
        prediction: the network's top classes, best first; empty for a network without classes.
        refused: block name → why it was found but not understood, and so is not among the others.
        kinds: block name → what it is, in a few words.
        places: block name → how it is known where its queries and keys lie, in a few words.
        sizes: block name → (M,) ‖W_z g_j‖ of each key, where ``with_sizes`` has measured it.
        weights: checksum of the file that the network's weights came from, as ``"sha256:…"``;
            None where they came from none, or it is not known.
        score_windows: the square windows that ``prediction`` comes from; None where it comes from
            the same pass as the affinities.
    """

    clip: Clip
    view: View
    network: str
    affinities: Mapping[str, Affinity]
    fidelity: Mapping[str, float | None]
    prediction: tuple[Prediction, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    weights: str | None = None
    score_windows: ScoreWindows | None = None

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the captured blocks, from input to output."""
        return tuple(self.affinities)

    @property
    def network_blocks(self) -> tuple[str, ...]:
        """Those that the network computes: no similarity of features, and none that is derived."""
        own = (name for name, each in self.affinities.items() if not each.is_derived)
        return tuple(name for name in own if layer_of(name) is None)

    @property
    def default_block(self) -> str:
        """The last block that can be asked from places of the clip; the last of all if none can.

        Behind it may stand one that only learned vectors ask, as an attention pool or a decoder,
        and those that are derived.
        """
        own = {name: each for name, each in self.affinities.items() if not each.is_derived}
        asked = [name for name, each in own.items() if each.has_query.any()]
        return (asked or self.blocks)[-1]

    @property
    def derived(self) -> tuple[str, ...]:
        """The names of the blocks that are no layer's own, as a rollout."""
        return tuple(name for name, each in self.affinities.items() if each.is_derived)

    @property
    def is_joined(self) -> bool:
        """Whether rows go over windows of a long clip that the network never saw together."""
        return any(kind.endswith(JOINED) for kind in self.kinds.values())

    @property
    def facts(self) -> tuple[str, ...]:
        """In a few words: the clip's size, its length, the network, and what it sees.

        That is at most three classes, and what their scores come from.
        """
        clip = self.clip
        length = "image" if clip.is_image else f"{len(clip.frames)} of {clip.total} frames"
        seen = (f"{each.label.split(',')[0]} {each.score:.0%}" for each in self.prediction[:3])
        scores = (f"class scores from {self.scores_from}",) if self.prediction else ()
        return (f"{clip.width} × {clip.height}", length, self.network, *seen, *scores)

    @property
    def scores_from(self) -> str:
        """What the scores of ``prediction`` come from, in a few words; empty without classes."""
        if not self.prediction:
            return ""
        if self.score_windows is None:
            return "the pass that is drawn"
        return self.score_windows.words(self.clip.width, self.clip.height)

    def affinity(self, block: str) -> Affinity:
        """The affinity of one block; QueryError naming the blocks there are for an unknown one."""
        if block not in self.affinities:
            raise QueryError(
                f"Block {block!r} is not captured; choose one of {', '.join(self.blocks)}."
            )
        return self.affinities[block]

    def check_similarities(self, layers: Sequence[str]) -> None:
        """CaptureError where the features of a layer that was named gave no similarity.

        Args:
            layers: paths, as ``nlviz.analyse`` takes them as ``features``.
        """
        for layer in layers:
            block = similarity_of(layer)
            if block not in self.affinities:
                raise CaptureError(self.refused.get(block, f"Layer {layer!r} did not run."))

    def about(self, block: str) -> About:
        """What can honestly be said about one block; QueryError for an unknown one."""
        affinity, kind = self.affinity(block), self.kinds.get(block, "non-local block")
        return about(
            block, kind, affinity, self.view, self.fidelity[block], self.places.get(block, "")
        )

    def _repr_html_(self) -> str:
        """In a notebook: a frame, what was seen in it, and the blocks."""
        from nlviz.media.jpeg import data_address, shrunk  # a notebook's, not each analysis'

        clip = self.clip
        rows = [
            (
                name,
                about.function,
                *each.grids_in_words,
                fidelity_in_words(about.fidelity),
            )
            for name, each in self.affinities.items()
            for about in [self.about(name)]
        ]
        head = ("block", "function", "queries", "keys", "fidelity")
        frame = shrunk(clip.frames[len(clip.frames) // 2], _THUMBNAIL, _THUMBNAIL)
        picture = image(data_address(frame, 95), clip.name)
        return picture + table(head, rows, " · ".join((clip.name, *self.facts)))

    def show(
        self,
        queries: Sequence[Query] = (),
        settings: Mapping[str, Any] | None = None,
        *,
        layer: hosts.Layer | None = None,
    ) -> hosts.Widget:
        """The viewer in a Jupyter notebook: hover and pin there, and read the pins in Python.

        Args:
            queries: the pins it opens with, at most eight; the first one's block, head, direction,
                k, ranking and exclusion are those of the whole view.
            settings: of the viewer, as a ``Session`` holds them; its own if None.
            layer: colours over the frames while nothing is pointed at, as ``Components.layer``
                gives them.

        Returns:
            a widget; its ``queries``, ``pins`` and ``links`` are what is pinned now, and
            ``widget.observe(told, "queries")`` tells of each change.

        Raises:
            ExportError: anywidget is not installed, or more than eight queries.
            QueryError: a query that cannot be answered.
        """
        return hosts.show(self, queries, settings, layer)
