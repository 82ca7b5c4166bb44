"""The film to export: the clip playing with its links, or a query that follows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from nlviz.app import whole_clip
from nlviz.app.held import HeldFolder
from nlviz.app.markdown import plain
from nlviz.app.tabs import whole
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import (
    Download,
    choose_heat,
    palette_options,
    shade_of,
    shade_options,
    show_command,
)
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.wanted import is_wanted
from nlviz.export import Provenance
from nlviz.geometry import Point
from nlviz.progress import Progress, part_of
from nlviz.viewer.pins import Pin

_PLAY, _FOLLOW = "The clip plays", "The query follows its heaviest links"
_WIDTHS = (640, 960, 1280)
_RATES = {_PLAY: (4, 2, 8, 12), _FOLLOW: (12, 8, 24)}
_HOPS = 5
_SHOWN = 640  # CSS pixels across, on the page
_MIMES = {"mp4": "video/mp4", "gif": "image/gif"}


@dataclass(frozen=True, slots=True)
class _FilmForm:
    """What film: its kind, its format, its width in pixels and its pictures a second."""

    what: str
    ending: str
    width: int
    rate: int

    @property
    def options(self) -> list[str]:
        """As the command spells it."""
        follow = [f"--follow {_HOPS}"] if self.what == _FOLLOW else []
        return [f"--width {self.width} --fps {self.rate}", *follow]


def show(context: TabContext) -> None:
    """The choices, the film while and once it is made, its file, and the command for it."""
    if (why := context.why_no_links) is not None:
        st.info(plain(why))
        return
    form = _choose(still=len(context.analysis.clip.frames) == 1)
    told = whole.choose(context, "film-frames") if form.what == _PLAY else None
    pins = _pins(context, form.what)
    if not pins:
        st.info("A query that follows links starts at a point with links; pin one.")
        return
    words = (context.analysis.network, context.block, "follow" if form.what == _FOLLOW else "")
    options = [*form.options, *shade_options(context), *palette_options(pins)]
    made: list[bytes] = []
    download = Download(
        form.ending,
        _MIMES[form.ending],
        lambda _: made[0],
        "film",
        words,
        options,
        pins,
        whole=told is not None,
    )
    key = ("film", download.command(context))
    work: Work | None = None
    if told is not None:
        folder = whole.wanted(context, told, "Make the film", key, name="film")
        if folder is not None:
            work = _work_of_whole(context, pins, form, download.provenance(context), folder)
    elif is_wanted("Make the film", key, name="film", type="primary"):
        work = _work(context, pins, form, download.provenance(context))
    if work is not None:
        result = job_result(context.shown.choice, key, work, name="film")
        if result is not None:
            made.append(result)
            _play(result, form.ending)
            download.button(context)
    show_command(context, download)


def _choose(*, still: bool) -> _FilmForm:
    """The choices; an image cannot play."""
    kept: dict[str, Any] = {"persist_state": "session"}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kinds = [_FOLLOW] if still else [_PLAY, _FOLLOW]
        what = st.selectbox("Film", kinds, key=f"film-{len(kinds)}", width=300, **kept)
        ending = st.selectbox(
            "Format", list(_MIMES), format_func=str.upper, key="film-format", width=110, **kept
        )
        width = st.selectbox(
            "Width", _WIDTHS, format_func="{} px".format, key="film-width", width=130, **kept
        )
        rates = _RATES[what]
        rate = st.selectbox(
            "Speed", rates, format_func="{} frames/s".format, key=f"film-{what}", width=150, **kept
        )
    return _FilmForm(what, ending, width, rate)


def _play(made: bytes, ending: str) -> None:
    if ending == "gif":
        st.image(made, alt="The film", width=_SHOWN)
    else:
        st.video(made, loop=True, autoplay=True, muted=True, alt="The film", width=_SHOWN)


def _pins(context: TabContext, what: str) -> list[Pin]:
    """All pins that have links, the one whose heat is shown first; one point where it moves."""
    pins = [pin for pin, links in context.links.items() if links]
    if what == _FOLLOW:
        pins = [pin for pin in pins if isinstance(pin.point, Point)]
    if len(pins) < 2:
        return pins
    first = choose_heat(context, "film-pin")
    ordered = sorted(pins, key=lambda pin: pin is not first)
    return ordered[:1] if what == _FOLLOW else ordered


def _how(
    context: TabContext, pins: Sequence[Pin], form: _FilmForm, made: Provenance
) -> dict[str, Any]:
    return {
        "width": form.width,
        "rate": form.rate,
        "shade": shade_of(context),
        "palette": tuple(pin.color for pin in pins),
        "comment": made.json,
    }


def _work_of_whole(
    context: TabContext,
    pins: Sequence[Pin],
    form: _FilmForm,
    made: Provenance,
    folder: HeldFolder,
) -> Work:
    queries = [context.query(pin) for pin in pins]
    how = _how(context, pins, form, made)
    sizes = whole.by_contribution(context)

    def work(progress: Progress) -> bytes:
        running, drawing = part_of(progress, 0.0, 0.7), part_of(progress, 0.7, 1.0)
        with whole_clip.run_through(context.shown, folder, running, sizes=sizes) as long:
            from nlviz.windows import play_windows

            film = play_windows(long, queries, **how)
            return film.gif(drawing) if form.ending == "gif" else film.mp4(drawing)

    return work


def _work(context: TabContext, pins: Sequence[Pin], form: _FilmForm, made: Provenance) -> Work:
    queries = [context.query(pin) for pin in pins]
    how = _how(context, pins, form, made)

    def work(progress: Progress) -> bytes:
        from nlviz.film import follow, play  # brings matplotlib

        if form.what == _FOLLOW:
            film = follow(context.analysis, queries[0], _HOPS, **how)
        else:
            film = play(context.analysis, queries, **how)
        return film.gif(progress) if form.ending == "gif" else film.mp4(progress)

    return work
