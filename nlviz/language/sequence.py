"""What stands where in the sequence of a decoder: words with their text, cells with their place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nlviz.display import listed
from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point, View

Part = Literal["question", "answer", "template"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the question or of the answer, and the slots of the sequence that it fills.

    Args:
        name: its text; of several with the same text the second is "dog 2".
        text: as it was written.
        part: whose word it is; ``"template"`` for what the model's own form puts around.
        slots: where its pieces stand in the sequence, in order.
    """

    name: str
    text: str
    part: Part
    slots: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MixedSequence:
    """The slots of one sequence: cells of the clip, words, and what the template adds.

    Args:
        length: M, how many slots there are.
        slots: (cells,) where each cell of the grid stands, in row-major order.
        grid: the cells, in source pixels and sampled frames; frames that the model merges are one
            time step.
        view: the clip's frames.
        words: in order of the sequence; everything that is neither a cell nor one of them is
            template.
    """

    length: int
    slots: NDArray[np.intp]
    grid: Grid
    view: View
    words: tuple[Word, ...]

    @cached_property
    def template(self) -> NDArray[np.intp]:
        """The slots that are neither cells nor words."""
        there = np.ones(self.length, np.bool_)
        there[self.slots] = False
        for word in self.words:
            there[list(word.slots)] = False
        return np.flatnonzero(there)

    def word(self, name: str | int) -> Word:
        """A word by its name, or by its number among ``words``.

        Raises:
            QueryError: there is none; says which are near.
        """
        if isinstance(name, int):
            if not -len(self.words) <= name < len(self.words):
                raise QueryError(f"There is no word {name}; choose 0 to {len(self.words) - 1}.")
            return self.words[name]
        named = {word.name: word for word in reversed(self.words)}
        low = {word.name.lower(): word for word in reversed(self.words)}
        found = named.get(name) or low.get(name.lower())
        if found is None:
            near = difflib.get_close_matches(name, named, 3) or [w.name for w in self.words][:12]
            raise QueryError(
                f"{name!r} is no word of the question or the answer; {listed(near)} is."
            )
        return found

    def slot(self, place: Point | Cell) -> int:
        """Where a cell, or the cell at a point of the clip, stands; QueryError outside."""
        cell = self.view.cell(place, self.grid) if isinstance(place, Point) else place
        return int(self.slots[self.grid.index(cell)])
