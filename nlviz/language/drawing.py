"""Words over the frames of a clip, a strip for each."""

from __future__ import annotations

from collections.abc import Sequence

from nlviz.ask.links import top_links
from nlviz.figures import Figure, Heat, Panel, film_strips
from nlviz.language.answered import Words
from nlviz.query import Query

_MOST = 6  # strips of a figure, where nobody says which words


def word_strips(
    words: Words,
    names: Sequence[str] = (),
    *,
    layer: int | None = None,
    head: int | None = None,
    k: int = 5,
    width_cm: float = 17.4,
    columns: int | None = None,
) -> Figure:
    """The frames under the weight of each word, heaviest places marked, a strip for a word.

    Args:
        words: what was read.
        names: of the words; if none the first six of the answer that have a letter or digit.
        layer, head: one of each; None for the mean over all.
        k: how many of the heaviest places are marked.
        width_cm, columns: as for ``film_strip``.

    Raises:
        QueryError: no such word, layer or head.
        FigureError: a layout that cannot be drawn.
    """
    written = [w.name for w in words.words if w.part == "answer"]
    spoken = [name for name in written if any(sign.isalnum() for sign in name)]
    chosen = [words.sequence.word(name).name for name in names or (spoken or written)[:_MOST]]
    analysis = words.analysis((layer,), head=head)
    queries = [Query(name, analysis.blocks[0], k, "none") for name in chosen]
    panels = [Panel(analysis, [top_links(analysis, query)], Heat(query)) for query in queries]
    return film_strips(panels, width_cm=width_cm, columns=columns)
