"""The figure to export: the pinned links as a film strip, with the viewer's heat and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import (
    Download,
    choose_heat,
    palette_options,
    shade_of,
    shade_options,
    show_command,
)
from nlviz.errors import NlvizError
from nlviz.export import Provenance
from nlviz.heat.colormap import PALETTE
from nlviz.viewer.pins import Pin

if TYPE_CHECKING:
    from nlviz.figures import Figure

_WIDTHS = {17.4: "Two columns, 17.4 cm", 8.4: "One column, 8.4 cm", 28.0: "A slide, 28 cm"}
_DPIS = (300, 600, 150)
_SCREEN = 150
_ALL, _LINKED = "All", "With pins or links"
_MIMES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class _FigureForm:
    """What a paper chooses: centimetres, which frames (None: all), pixels an inch, words or not."""

    width: float
    frames: tuple[int, ...] | None
    dpi: int
    titles: bool

    @property
    def options(self) -> list[str]:
        """As the command spells it."""
        said = [f"--width {self.width:g}cm"]
        if self.frames is not None:
            said.append(f"--only {','.join(map(str, self.frames))}")
        if self.dpi != _DPIS[0]:
            said.append(f"--dpi {self.dpi}")
        return said if self.titles else [*said, "--no-titles"]


def show(context: TabContext) -> None:
    """The choices, the figure, its files, and the command that makes them."""
    if (why := context.why_no_links) is not None:
        st.info(plain(why))
        return
    form = _choose(context)
    pins = _pins(context)
    try:
        figure = _drawn(context, pins, form)
        with st.container(key="figure", border=True):
            st.image(figure.png(dpi=_SCREEN), width="stretch", alt="Film strip of the pinned links")
    except NlvizError as error:
        st.info(plain(str(error)))
        return

    def make(kind: str, made: Provenance) -> bytes:
        signed = figure.signed(made)
        if kind == "png":
            return signed.png(dpi=form.dpi)
        return signed.svg() if kind == "svg" else signed.pdf()

    words = (context.analysis.network, context.block)
    warm = shade_options(context) if shade_of(context).opacity > 0 else []
    options = [*form.options, *warm, *palette_options(pins)]
    downloads = [
        Download(kind, mime, partial(make, kind), "figure", words, options, pins)
        for kind, mime in _MIMES.items()
    ]
    with st.container(horizontal=True):
        for download in downloads:
            download.button(context)
    show_command(context, downloads[0])


def _choose(context: TabContext) -> _FigureForm:
    kept: dict[str, Any] = {"persist_state": "session"}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        width = st.selectbox(
            "Width", _WIDTHS, format_func=_WIDTHS.__getitem__, key="figure-width", width=220, **kept
        )
        which = st.selectbox("Frames", [_ALL, _LINKED], key="figure-frames", width=200, **kept)
        dpi = st.selectbox(
            "PNG", _DPIS, format_func="{} dpi".format, key="figure-dpi", width=130, **kept
        )
        titles = st.toggle("Frame numbers and legend", True, key="figure-words", **kept)
    return _FigureForm(width, None if which == _ALL else _linked(context), dpi, titles)


def _pins(context: TabContext) -> list[Pin]:
    """The pins that have links; where there is heat, the one whose heat it is comes first."""
    pins = [pin for pin, links in context.links.items() if links]
    if len(pins) < 2 or shade_of(context).opacity <= 0:
        return pins
    first = choose_heat(context, "figure-pin")
    return sorted(pins, key=lambda pin: pin is not first)


def _linked(context: TabContext) -> tuple[int, ...]:
    """The frames that a pin lies on or a link ends on."""
    links = [link for links in context.links.values() for link in links]
    ends = [end for link in links for end in (link.source, link.target) if end is not None]
    return tuple(sorted({end.frame for end in ends}))


def _drawn(context: TabContext, pins: Sequence[Pin], form: _FigureForm) -> Figure:
    from nlviz.figures import Heat, Style, film_strip  # brings matplotlib, which need not wait

    heat, shade = None, shade_of(context)
    if shade.opacity > 0 and pins:
        how = (shade.against, shade.curve, shade.colours, shade.opacity, shade.sharpened)
        heat = Heat(context.query(pins[0]), *how)
    colours = tuple(pin.color for pin in pins) or PALETTE
    style = Style(frames=form.frames, colours=colours, titles=form.titles)
    links = [context.links[pin] for pin in pins]
    return film_strip(context.analysis, links, width_cm=form.width, heat=heat, style=style)
