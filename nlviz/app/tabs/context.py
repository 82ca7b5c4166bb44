"""What a tab is given: the analysis on screen, the pins with their links, and the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app.markdown import plain
from nlviz.app.shown import Shown
from nlviz.ask.links import linkable_row
from nlviz.errors import QueryError
from nlviz.experiments.recipe import Recipe
from nlviz.heat.overlay import Shade
from nlviz.query import Link, Query
from nlviz.viewer.messages import query_of
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pin

VIEWER_FRAGMENT = "viewer-and-tabs"
"""Key of the fragment that reruns alone after a click: the viewer and its tabs."""

_ON_PAPER = {"#FFFFFF": "#8C96A5"}  # a white pin, where there is no frame behind it


@dataclass(frozen=True, slots=True, eq=False)
class TabContext:
    """What is looked at; ``options.block`` is a block that the analysis has."""

    shown: Shown
    links: Mapping[Pin, tuple[Link, ...]]
    options: Options

    @property
    def analysis(self) -> Analysis:
        """The analysis on screen."""
        return self.shown.analysis

    @property
    def stem(self) -> str:
        """The clip's name without its ending, for names of files."""
        return self.analysis.clip.name.rpartition(".")[0] or "clip"

    @property
    def block(self) -> str:
        """The block that the viewer shows."""
        return self.options.block or self.analysis.default_block

    @property
    def recipe(self) -> Recipe | None:
        """How the block that the viewer shows was derived; None for any other."""
        if not self.analysis.affinity(self.block).is_derived:
            return None
        return Recipe.of(self.block, self.analysis.network_blocks)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """In the order in which the viewer names them."""
        return tuple(self.links)

    @property
    def shade(self) -> Shade:
        """How the viewer shows weights as colours; cell by cell, as in every small picture."""
        options = self.options
        against = options.scale if options.rank_by == "affinity" else "row"
        return Shade(options.opacity, options.colours, against, options.curve)

    @property
    def why_no_links(self) -> str | None:
        """A sentence on why no pin has a link, that of the newest pin; None where one has."""
        if any(self.links.values()):
            return None
        return self._refused(self.pins[-1]) or "The links of the pins are still being worked out."

    @property
    def askable(self) -> tuple[Pin, ...]:
        """The pins that have links, or will once they are worked out: a command can ask these."""
        return tuple(pin for pin, found in self.links.items() if found or not self._refused(pin))

    def _refused(self, pin: Pin) -> str:
        """Why a pin can have no link; empty where it can."""
        try:
            linkable_row(self.analysis, self.query(pin))
        except QueryError as why:
            return str(why)
        return ""

    def query(self, pin: Pin, block: str | None = None) -> Query:
        """What a pin asks, of another block if one is named."""
        options = self.options if block is None else replace(self.options, block=block)
        return query_of(self.analysis, pin, options)

    def name(self, pin: Pin) -> str:
        """What the visitor calls a pin."""
        return pin.name or f"Pin {self.pins.index(pin) + 1}"


def ink(pin: Pin) -> str:
    """A pin's colour where it is drawn on the page instead of on a frame."""
    return _ON_PAPER.get(pin.color, pin.color)


def choose_pin(context: TabContext, key: str) -> Pin:
    """The pin that a tab is about: the newest until another is chosen; no menu for one pin."""
    if len(context.pins) == 1:
        return context.pins[0]
    ids = {pin.id: pin for pin in context.pins}
    chosen = st.segmented_control(
        "Pin",
        list(ids),
        default=context.pins[-1].id,
        required=True,
        format_func=lambda id: plain(context.name(ids[id])),
        key="-".join((key, *ids)),  # a new pin is the one to be looked at
        label_visibility="collapsed",
    )
    return ids[chosen]
