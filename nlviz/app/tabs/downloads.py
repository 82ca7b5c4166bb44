"""Files: what an export is called, the command that makes it, and how it was made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from nlviz.app.tabs import commands
from nlviz.app.tabs.context import Look, choose_pin
from nlviz.export import Provenance
from nlviz.heat.overlay import Shade
from nlviz.query import Query
from nlviz.viewer.pins import COLOURS, Pin


@dataclass(frozen=True, slots=True)
class File:
    """One file to take away.

    Args:
        ending: of its name, without the dot.
        mime: its media type.
        make: its content, when it is asked for.
        verb: the command that writes it.
        words: of its name, beside the clip's.
        options: of that command, beside what is asked.
        pins: what is asked, in order.
    """

    ending: str
    mime: str
    make: Callable[[Provenance], bytes]
    verb: str
    words: Sequence[str]
    options: Sequence[str] = ()
    pins: Sequence[Pin] | None = None

    def name(self, look: Look) -> str:
        """Made of the clip's name and the words."""
        clip = look.analysis.clip.name
        words = [clip.rpartition(".")[0] or clip, *self.words]
        stem = "-".join(filter(None, map(_plain, words)))
        return f"{stem or 'nlviz'}.{self.ending}"

    def command(self, look: Look) -> str:
        """The command that writes it, over several lines."""
        places = [pin.point for pin in (look.pins if self.pins is None else self.pins)]
        out = " ".join([*self.options, f"-o {self.name(look)}"])
        return commands.command(self.verb, look.shown.choice, places, look.options, out)

    def provenance(self, look: Look) -> Provenance:
        """How it was made; of a session that is open, with the weights of then."""
        line = self.command(look).replace(" \\\n   ", "")
        made = Provenance.of(look.analysis, self.queries(look), command=line)
        held = look.shown.choice.material.session
        if held is None:
            return made
        return replace(made, model=held.provenance.model, weights=held.provenance.weights)

    def queries(self, look: Look) -> list[Query]:
        """What is asked."""
        return [look.query(pin) for pin in (look.pins if self.pins is None else self.pins)]

    def button(self, look: Look, label: str | None = None) -> None:
        """Download it; it is made when it is asked for."""
        st.download_button(
            label or self.ending.upper(),
            data=lambda: self.make(self.provenance(look)),
            file_name=self.name(look),
            mime=self.mime,
            on_click="ignore",
            key=f"export-{self.ending}-{self.verb}",
        )


def show_command(look: Look, file: File) -> None:
    """The command that writes a file without a screen."""
    st.caption("Or from the command line:")
    st.code(file.command(look), language=None)


def shade_of(look: Look) -> Shade:
    """The viewer's heat; clear where it is switched off."""
    return look.shade if look.options.heat else replace(look.shade, opacity=0.0)


def shade_options(look: Look) -> list[str]:
    """The viewer's heat as the commands spell it."""
    shade = shade_of(look)
    return [
        f"--heat {shade.against} --curve {shade.curve}",
        f"--colours {shade.colours} --opacity {shade.opacity:g}",
    ]


def choose_heat(look: Look, key: str) -> Pin:
    """The pin whose heat is drawn; the newest until another is chosen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Heat of", width="content")
        return choose_pin(look, key)


def palette_options(pins: Sequence[Pin]) -> list[str]:
    """The pins' colours as the commands spell them, where they are not the usual ones."""
    colours = [pin.color for pin in pins]
    return [] if tuple(colours) == COLOURS[: len(pins)] else [f"--palette '{','.join(colours)}'"]


def _plain(words: str) -> str:
    """Letters, digits, dots and dashes: no shell and no file system minds them."""
    return re.sub(r"[^\w.]+", "-", words, flags=re.ASCII).strip("-.")
