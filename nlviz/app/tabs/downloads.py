"""Downloads: what an export is called, the command that makes it, and its provenance."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from nlviz.app.markdown import plain
from nlviz.app.tabs import code_block, commands
from nlviz.app.tabs.context import TabContext, choose_pin
from nlviz.export import Provenance
from nlviz.heat.colormap import PALETTE
from nlviz.heat.overlay import Shade
from nlviz.query import Query
from nlviz.viewer.pins import Pin


@dataclass(frozen=True, slots=True)
class Download:
    """One file to take away.

    Args:
        ending: of its name, without the dot.
        mime: its media type.
        make: its content, when it is asked for.
        verb: the command that writes it.
        name_parts: of its name, after the clip's.
        options: of that command, beside what is asked.
        pins: what is asked, in order.
        whole: whether it is of the whole clip in windows.
    """

    ending: str
    mime: str
    make: Callable[[Provenance], bytes]
    verb: str
    name_parts: Sequence[str]
    options: Sequence[str] = ()
    pins: Sequence[Pin] | None = None
    whole: bool = False

    def name(self, context: TabContext) -> str:
        """The clip's name and the other parts, joined by dashes."""
        clip = context.analysis.clip.name
        parts = [clip.rpartition(".")[0] or clip, *self.name_parts]
        stem = "-".join(filter(None, map(_safe, parts)))
        return f"{stem or 'nlviz'}.{self.ending}"

    def command(self, context: TabContext) -> str:
        """The command that writes it, over several lines."""
        places = [pin.point for pin in (context.pins if self.pins is None else self.pins)]
        out = " ".join([*self.options, f"-o {self.name(context)}"])
        choice, options = context.shown.choice, context.options
        return commands.command(
            self.verb, choice, places, options, out, whole=self.whole, recipe=context.recipe
        )

    def provenance(self, context: TabContext) -> Provenance:
        """How it was made; of a session that is open, with the weights of then."""
        line = self.command(context).replace(" \\\n   ", "")
        made = Provenance.of(context.analysis, self.queries(context), command=line)
        held = context.shown.choice.material.session
        if held is None:
            return made
        return replace(made, model=held.provenance.model, weights=held.provenance.weights)

    def queries(self, context: TabContext) -> list[Query]:
        """What is asked."""
        return [context.query(pin) for pin in (context.pins if self.pins is None else self.pins)]

    def button(self, context: TabContext, label: str | None = None) -> None:
        """Download it; it is made when it is asked for."""
        file_button(
            label or self.ending.upper(),
            lambda: self.make(self.provenance(context)),
            self.name(context),
            self.mime,
            key=f"export-{self.ending}-{self.verb}",
        )


def file_button(
    label: str, made: bytes | Callable[[], bytes], name: str, mime: str, *, key: str
) -> None:
    """Download a file that is there, or is made when it is asked for; the page does not run."""
    st.download_button(
        plain(label), data=made, file_name=name, mime=mime, on_click="ignore", key=key
    )


def show_command(context: TabContext, download: Download) -> None:
    """The command that writes a file without a screen."""
    st.caption("Or from the command line:")
    code_block.show(download.command(context), download.verb)


def shade_of(context: TabContext) -> Shade:
    """The viewer's heat, sharpened as it is there; clear where it is switched off."""
    options = context.options
    shade = replace(context.shade, sharpened=options.sharpened)
    return shade if options.heat else replace(shade, opacity=0.0)


def shade_options(context: TabContext) -> list[str]:
    """The viewer's heat as the commands spell it."""
    shade = shade_of(context)
    said = [
        f"--heat {shade.against} --curve {shade.curve}",
        f"--colours {shade.colours} --opacity {shade.opacity:g}",
    ]
    return [*said, "--sharpen"] if shade.sharpened else said


def choose_heat(context: TabContext, key: str) -> Pin:
    """The pin whose heat is drawn; the newest until another is chosen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Heat of", width="content")
        return choose_pin(context, key)


def palette_options(pins: Sequence[Pin]) -> list[str]:
    """The pins' colours as the commands spell them, where they are not the usual ones."""
    colours = [pin.color for pin in pins]
    return [] if tuple(colours) == PALETTE[: len(pins)] else [f"--palette '{','.join(colours)}'"]


def _safe(text: str) -> str:
    """Letters, digits, dots and dashes: no shell and no file system minds them."""
    return re.sub(r"[^\w.]+", "-", text, flags=re.ASCII).strip("-.")
