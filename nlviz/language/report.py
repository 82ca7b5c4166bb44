"""What each word weighs, as JSON text and as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlviz.language.answered import PROVEN, TEMPLATE, Words
from nlviz.provenance import Provenance

HEAD = (
    *("word", "part", "kind", "weighed", "step", "frames", "row", "col"),
    *("x0", "y0", "x1", "y1", "weight"),
)
"""The columns of ``table``."""


def report(
    words: Words,
    names: Sequence[str] = (),
    *,
    layer: int | None = None,
    head: int | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Everything that is known of some words, ready for JSON.

    Args:
        words: what was read.
        names: of the words; those of the answer if none.
        layer, head: one of each; None for the mean over all.
        command: what makes it again.

    Returns:
        ``words`` has for each its weights on the places, [T'][H'][W'], on each time step and on
        each word; they sum to 1 with those of the template.

    Raises:
        QueryError: no such word, layer or head.
    """
    sequence, view = words.sequence, words.sequence.view
    told = []
    for name in _named(words, names):
        word = sequence.word(name)
        row = words.row(name, layer=layer, head=head)
        told.append(
            {
                "word": word.name,
                "part": word.part,
                "slots": list(word.slots),
                "on_clip": float(row.sum()),
                "steps": [float(each) for each in row.sum(axis=(1, 2))],
                "places": row.tolist(),
                "words": dict(words.of_words(name, layer=layer, head=head)),
            }
        )
    grid = sequence.grid
    frames = [[view.frames[i] for i in view.positions(t, grid)] for t in range(grid.t)]
    made = Provenance.of(words.analysis(()), command=command)
    return {
        "provenance": json.loads(made.json),
        "question": words.question,
        "answer": words.answer,
        "row": "of the slot before each word" if words.predicting else "of each word's own slots",
        "layer": layer,
        "head": head,
        "layers": len(words.layers),
        "heads": words.layers[0].heads,
        "fidelity": max(words.fidelity),
        "places_by": PROVEN,
        "grid": {"steps": grid.t, "rows": grid.rows, "cols": grid.cols, "frames": frames},
        "words": told,
    }


def table(
    words: Words, names: Sequence[str] = (), *, layer: int | None = None, head: int | None = None
) -> str:
    """The same as CSV: for each word a line for each place, each word and the template.

    Arguments and errors as for ``report``; columns as in ``HEAD``, x and y in source pixels.
    """
    sequence, view, grid = words.sequence, words.sequence.view, words.sequence.grid
    content = io.StringIO()
    write = csv.writer(content, lineterminator="\n").writerow
    write(HEAD)
    for name in _named(words, names):
        word = sequence.word(name)
        row = words.row(name, layer=layer, head=head)
        for at in np.ndindex(grid.shape):
            cell = grid.cell(int(np.ravel_multi_index(at, grid.shape)))
            box = view.footprint(cell, grid)
            place = f"{cell.t},{cell.row},{cell.col}"
            frames = " ".join(map(str, box.frames))
            edges = (f"{edge:g}" for edge in (box.x0, box.y0, box.x1, box.y1))
            write(
                [
                    *(_text(word.name), word.part, "place", place, cell.t, frames),
                    *(cell.row, cell.col, *edges, f"{row[at]:.9g}"),
                ]
            )
        for other, weight in words.of_words(name, layer=layer, head=head).items():
            kind = "template" if other == TEMPLATE else "word"
            write([_text(word.name), word.part, kind, _text(other), *[""] * 8, f"{weight:.9g}"])
    return content.getvalue()


def _named(words: Words, names: Sequence[str]) -> Sequence[str]:
    return names or [word.name for word in words.words if word.part == "answer"]


def _text(name: str) -> str:
    """A word as a cell of a table, which no program takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
