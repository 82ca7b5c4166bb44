"""Export: what is on screen as a page, a film, numbers or a session, looked at and downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from nlviz import export
from nlviz.errors import NlvizError
from nlviz.links import Query
from nlviz.ui import reproduce, saved
from nlviz.ui.tabs.look import Look

if TYPE_CHECKING:
    from nlviz.film import Film

_FILM = "Film"


@dataclass(frozen=True, slots=True)
class _File:
    """One file to download: its ending, media type and content, and the command's verb."""

    ending: str
    mime: str
    make: Callable[[Look], bytes]
    verb: str = "export"


def show(look: Look) -> None:
    """A choice of kinds; the chosen one is described, and made when it is downloaded."""
    still = len(look.analysis.clip.frames) == 1  # and does not play
    kinds = [kind for kind in _KINDS if not (still and kind == _FILM)]
    kind = st.segmented_control(
        "Kind", kinds, default="Page", required=True, key="export", label_visibility="collapsed"
    )
    about, files = _KINDS[kind]
    st.caption(about)
    if kind == _FILM:
        _preview(look)
    elif kind == "Links":
        st.dataframe(_lines(look), height=220, hide_index=True)
    with st.container(horizontal=True):
        for file in files:
            st.download_button(
                file.ending.upper(),
                data=partial(file.make, look),
                file_name=f"{_stem(look)}.{file.ending}",
                mime=file.mime,
                on_click="ignore",
                key=f"export-{file.ending}",
            )
    st.caption("Or from the command line:")
    st.code(_command(look, files[0]), language=None)


def _preview(look: Look) -> None:
    if not st.button("Preview", key="export-preview"):
        return
    try:
        with st.spinner("Drawing the film"):
            st.video(_film(look).mp4(), loop=True, autoplay=True, muted=True)
    except NlvizError as error:
        st.info(str(error))


def _lines(look: Look) -> list[dict[str, object]]:
    return [
        {
            "pin": look.name(pin),
            "rank": link.rank,
            "weight": link.weight,
            "share": link.share,
            "frame": link.target.frame,
            "x": link.target.x,
            "y": link.target.y,
        }
        for pin, links in look.links.items()
        for link in links
    ]


def _stem(look: Look) -> str:
    clip = look.analysis.clip
    return f"{clip.name.rpartition('.')[0] or clip.name}-{look.block}"


def _command(look: Look, file: _File) -> str:
    points = [pin.point for pin in look.pins]
    out = f"-o {_stem(look).replace(' ', '-')}.{file.ending}"
    return reproduce.command(file.verb, look.shown.choice, points, look.options, out)


def _queries(look: Look) -> list[Query]:
    return [look.query(pin) for pin in look.pins]


def _provenance(look: Look, file: _File) -> export.Provenance:
    line = _command(look, file).replace(" \\\n   ", "")
    return export.Provenance.of(look.analysis, _queries(look), command=line)


def _film(look: Look) -> Film:
    from nlviz.film import play  # brings matplotlib

    told = json.dumps(asdict(_provenance(look, _KINDS[_FILM][1][0])))
    heat = look.options.opacity if look.options.heat else 0.0
    return play(look.analysis, _queries(look), opacity=heat, width=640, comment=told)


def _page(look: Look) -> bytes:
    return export.page(look.analysis, _queries(look), _provenance(look, _PAGE))


def _json(look: Look) -> bytes:
    answers = [links for links in look.links.values() if links]
    told = {**export.report(look.analysis, answers), "provenance": asdict(_provenance(look, _JSON))}
    return json.dumps(told, indent=2, ensure_ascii=False).encode()


def _csv(look: Look) -> bytes:
    answers = [links for links in look.links.values() if links]
    return export.links_csv(answers, _provenance(look, _CSV))


def _npz(look: Look) -> bytes:
    return export.npz(look.analysis, _queries(look), _provenance(look, _NPZ))


def _tensors(look: Look) -> bytes:
    return export.tensors(look.analysis, _queries(look), _provenance(look, _TENSORS))


def _session(look: Look) -> bytes:
    made, queries = _provenance(look, _SESSION), tuple(_queries(look))
    kept = saved.settings(look.pins, look.options)
    return export.save(export.Session(look.analysis, made, queries, kept))


_PAGE = _File("html", "text/html", _page, "html")
_MP4 = _File("mp4", "video/mp4", lambda look: bytes(_film(look).mp4()), "film")
_GIF = _File("gif", "image/gif", lambda look: bytes(_film(look).gif()), "film")
_CSV = _File("csv", "text/csv", _csv)
_JSON = _File("json", "application/json", _json)
_NPZ = _File("npz", "application/octet-stream", _npz)
_TENSORS = _File("safetensors", "application/octet-stream", _tensors)
_SESSION = _File("nlviz", "application/octet-stream", _session)

_KINDS: dict[str, tuple[str, tuple[_File, ...]]] = {
    "Page": (
        "One HTML file with this viewer and every block in it: hover and pin without Python and "
        "without a network, from a folder, a mail or a project page.",
        (_PAGE,),
    ),
    _FILM: ("The clip playing, with the heat and the links that fall on each frame.", (_MP4, _GIF)),
    "Links": ("The links of all pins, one line each.", (_CSV, _JSON)),
    "Arrays": (
        "θ and φ of every block and the row of each pin, with their grids.",
        (_NPZ, _TENSORS),
    ),
    "Session": (
        "The whole analysis with its pins; the command line and the library open it again "
        "without the network.",
        (_SESSION,),
    ),
}
"""What each kind is, and its files."""
