"""``Words``: what each word of a question and an answer weighs, and what a place is weighed by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Point
from nlviz.groups import NO_KEY, NO_QUERY, Groups
from nlviz.language.layer import Array, LayerWeights
from nlviz.language.sequence import MixedSequence, Word
from nlviz.progress import Progress

TEMPLATE = "template"
"""The name of all slots together that are neither cells nor words."""

MEAN = "mean of all layers"
"""The block of ``Words.analysis`` that is the mean over layers and heads."""

PROVEN = "colours of the clip that the slots spell"
"""How it is known where the picture slots lie."""

_LEAST = 1e-30  # the weight whose logarithm stands for none


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """What a vision-language model weighs at each word of a question and an answer.

    One pass over the clip, the question and the answer. A word that the model reads at several
    slots counts as the mean of their rows, and as the sum of its slots where it is weighed. A
    row sums to 1 over cells, words and the template.

    Args:
        clip: the frames.
        network: the model's name.
        question: what was asked.
        answer: what was answered, as it was given.
        sequence: what stands where.
        asked: (n,) the slots whose θ is held, rising.
        layers: of the decoder, in order.
        fidelity: of each layer, as of ``Capture``.
        predicting: a row is that of the slot before a word, from which the model predicts it; else
            that of the word's own slots.
    """

    clip: Clip
    network: str
    question: str
    answer: str
    sequence: MixedSequence
    asked: NDArray[np.intp]
    layers: tuple[LayerWeights, ...]
    fidelity: tuple[float, ...]
    predicting: bool = False

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of the question, then of the answer."""
        return self.sequence.words

    @property
    def nbytes(self) -> int:
        """What the layers hold, in bytes."""
        return sum(layer.nbytes for layer in self.layers)

    def weights(
        self, place: str | int | Point | Cell, *, layer: int | None = None, head: int | None = None
    ) -> Array:
        """(M,) the row of a word, or of a place that was asked for, over the whole sequence.

        Args:
            place: a word by its name or number; a point or cell among those that ``words`` was
                given.
            layer: one layer, from 0; None for the mean over all.
            head: one head; None for the mean over all.

        Raises:
            QueryError: no such word, layer or head, or a place whose θ is not held.
        """
        which = self._which(place)
        chosen = self._chosen(layer)
        total = chosen[0].rows(which, head).mean(axis=0)
        for each in chosen[1:]:
            total += each.rows(which, head).mean(axis=0)
        row: Array = total / np.float32(len(chosen))
        return row

    def row(
        self, place: str | int | Point | Cell, *, layer: int | None = None, head: int | None = None
    ) -> Array:
        """(T', H', W') what a word weighs each place; sums to the clip's share of the row."""
        weights = self.weights(place, layer=layer, head=head)[self.sequence.slots]
        return weights.reshape(self.sequence.grid.shape)

    def of_words(
        self, place: str | int | Point | Cell, *, layer: int | None = None, head: int | None = None
    ) -> Mapping[str, float]:
        """What a word, or a place, weighs each word, and ``TEMPLATE`` all the rest."""
        weights = self.weights(place, layer=layer, head=head)
        found = {word.name: float(weights[list(word.slots)].sum()) for word in self.words}
        found[TEMPLATE] = float(weights[self.sequence.template].sum())
        return MappingProxyType(found)

    def weighing(
        self, place: Point | Cell | str | int, *, layer: int | None = None, head: int | None = None
    ) -> Mapping[str, float]:
        """What each word weighs a place or another word: the column, word by word.

        Raises:
            QueryError: as ``weights``, or a place outside the clip.
        """
        if isinstance(place, (Point, Cell)):
            slots = [self.sequence.slot(place)]
        else:
            slots = list(self.sequence.word(place).slots)
        chosen = self._chosen(layer)
        which = np.arange(len(self.asked))
        column = sum(each.rows(which, head)[:, slots].sum(axis=1) for each in chosen) / len(chosen)
        at = {word.name: self._which(word.name) for word in self.words}
        return MappingProxyType({name: float(np.mean(column[i])) for name, i in at.items()})

    def analysis(
        self,
        layers: Sequence[int | None] = (None,),
        *,
        head: int | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        """Rows of words as an ``Analysis``: a block for each layer, whose queries are the words.

        Every figure, film and page draws it; the words are its tokens, the answer's first. φ of
        such a block is the logarithm of each word's row, so that its softmax is that row.

        Args:
            layers: which; None is the mean over all, ``MEAN``.
            head: one head; None for the mean.
            progress: called before each layer; what it raises ends the work.
        """
        affinities = {}
        for number, layer in enumerate(layers):
            named = self._named(layer, head)
            if progress is not None:
                progress(number / len(layers), f"drawing {named}")
            affinities[named] = self._affinity(layer, head)
        worst = max(self.fidelity)
        return Analysis(
            clip=self.clip,
            view=self.sequence.view,
            network=self.network,
            affinities=MappingProxyType(affinities),
            fidelity=MappingProxyType(
                {
                    self._named(layer, head): worst if layer is None else self.fidelity[layer]
                    for layer in layers
                }
            ),
            prediction=(),
            kinds=MappingProxyType(dict.fromkeys(affinities, "words over a clip")),
            places=MappingProxyType(dict.fromkeys(affinities, PROVEN)),
            refused=MappingProxyType({}),
        )

    def _affinity(self, layer: int | None, head: int | None) -> Affinity:
        cells, n = len(self.sequence.slots), len(self.words)
        words = sorted(self.words, key=lambda word: word.part)  # the answer's are shown first
        rows = np.empty((n, cells + n + 1), np.float32)
        for i, word in enumerate(words):
            weights = self.weights(word.name, layer=layer, head=head)
            rows[i, :cells] = weights[self.sequence.slots]
            rows[i, cells : cells + n] = [weights[list(w.slots)].sum() for w in words]
            rows[i, -1] = weights[self.sequence.template].sum()
        theta = np.zeros((n, cells + n + 1), np.float32)
        theta[:, cells : cells + n] = np.eye(n)
        query = np.full(cells + n + 1, NO_QUERY)
        query[cells : cells + n] = 0
        key = np.zeros(cells + n + 1)
        key[rows.max(axis=0) <= _LEAST] = NO_KEY
        grid = self.sequence.grid
        return Affinity(
            "embedded_gaussian",
            theta,
            np.log(np.maximum(rows, _LEAST)),
            grid,
            grid,
            reach=(Groups(query.astype(np.int32), key.astype(np.int32)),),
            tokens=(*(word.name for word in words), TEMPLATE),
        )

    def _named(self, layer: int | None, head: int | None) -> str:
        name = MEAN if layer is None else f"layer {layer}"
        return name if head is None else f"{name}, head {head}"

    def _chosen(self, layer: int | None) -> tuple[LayerWeights, ...]:
        if layer is None:
            return self.layers
        if not 0 <= layer < len(self.layers):
            raise QueryError(
                f"Layer {layer} does not exist; choose 0 to {len(self.layers) - 1}, or none for "
                "the mean of all."
            )
        return (self.layers[layer],)

    def _which(self, place: str | int | Point | Cell) -> NDArray[np.intp]:
        """Which of the held queries a word, or a place, stands for."""
        if isinstance(place, (Point, Cell)):
            slots = np.array([self.sequence.slot(place)])
        else:
            slots = np.array(self.sequence.word(place).slots) - int(self.predicting)
        which = np.searchsorted(self.asked, slots)
        if (self.asked[np.minimum(which, len(self.asked) - 1)] != slots).any():
            raise QueryError(
                f"{place} was not asked, so what it weighs is not held; give it to words(…, "
                "places=[…])."
            )
        return which
