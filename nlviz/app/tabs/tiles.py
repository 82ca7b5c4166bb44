"""The pictures of a comparison: a query's heat in one block each, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.multiples import Mosaic, multiple
from nlviz.app.tabs.picture_grid import Tile
from nlviz.app.tabs.progress import job_result
from nlviz.errors import QueryError
from nlviz.progress import Progress
from nlviz.query import Query
from nlviz.statistics import profile
from nlviz.viewer.pins import Pin


@dataclass(frozen=True, slots=True, eq=False)
class TileRequest:
    """A picture to make: its id and name, and what is asked; of the analysis on screen if None."""

    id: str
    label: str
    query: Query
    analysis: Analysis | None = None

    @property
    def asked(self) -> tuple[object, ...]:
        """What decides the picture; two networks may share a name and not their weights."""
        weights = None if self.analysis is None else self.analysis.weights
        return self.label, self.query, weights


def drawn(
    context: TabContext, pin: Pin, asks: Sequence[TileRequest], *, name: str
) -> list[Tile] | None:
    """A picture for each, or the sentence that says why not; None while they are made."""
    mosaic = Mosaic.of(context.analysis, context.query(pin))

    def work(progress: Progress) -> list[Tile | str]:
        made: list[Tile | str] = []
        for number, each in enumerate(asks):
            progress(number / len(asks), f"drawing {each.label}")
            made.append(_tile(context, pin, each, mosaic))
        return made

    key = (name, context.shade, pin.color, *(each.asked for each in asks))
    found: list[Tile | str] | None = job_result(context.shown.choice, key, work, name=name)
    for sentence in found or ():
        if isinstance(sentence, str):
            st.info(plain(sentence))
    return None if found is None else [tile for tile in found if isinstance(tile, Tile)]


def _tile(context: TabContext, pin: Pin, each: TileRequest, mosaic: Mosaic) -> Tile | str:
    """A picture with its numbers; the sentence instead where the block cannot be asked."""
    analysis = each.analysis or context.analysis
    try:
        numbers = profile(analysis, each.query)
        picture = multiple(analysis, each.query, mosaic, context.shade, pin.color)
    except QueryError as error:
        return f"{each.label}: {error}"
    still = numbers.own_frame is None or len(analysis.view.frames) == 1
    own = "" if still else f"own frame {numbers.own_frame:.0%} · "
    note = f"{own}{numbers.effective:,.0f} of {numbers.positions:,} positions"
    if each.query.rank_by == "contribution":
        note += " · contribution"
    return Tile(each.id, each.label, note, picture)
