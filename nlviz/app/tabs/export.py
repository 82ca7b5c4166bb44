"""Export: what is on screen as a figure, a film, a page, numbers or a session, to take away."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import streamlit as st

from nlviz import export
from nlviz.app.markdown import plain
from nlviz.app.tabs import figure, film, progress
from nlviz.app.tabs.context import Look
from nlviz.app.tabs.downloads import File, show_command
from nlviz.export import Provenance
from nlviz.viewer import settings

_SEEN = "nlviz-page"
_TALL = 720  # CSS pixels of the preview


def show(look: Look) -> None:
    """A choice of kinds, what the chosen one is, and how it will look."""
    kind = st.segmented_control(
        "Kind",
        list(_KINDS),
        default=next(iter(_KINDS)),
        required=True,
        key="export",
        persist_state="session",
        label_visibility="collapsed",
    )
    about, draw = _KINDS[kind]
    st.caption(about)
    draw(look)


def _page(look: Look) -> None:
    def make(made: Provenance) -> bytes:
        queries = [look.query(pin) for pin in look.pins]
        kept = settings.settings(look.pins, look.options)
        return export.page(look.analysis, queries, made, settings=kept)

    file = File("html", "text/html", make, "html", (look.analysis.network,))
    _holds(look, 4 / 3)
    key = (_SEEN, file.command(look))
    if st.session_state.get(_SEEN) != key:
        st.button("Preview", on_click=_see, args=(key,))
    else:
        told = file.provenance(look)
        made = progress.result(look.shown.choice, key, lambda report: make(told), name="page")
        if made is not None:
            st.iframe(made.decode(), width="stretch", height=_TALL, alt="The page")
    _offer(look, file)


def _see(key: tuple[str, str]) -> None:
    st.session_state[_SEEN] = key


def _links(look: Look) -> None:
    answers = [links for links in look.links.values() if links]

    def table(made: Provenance) -> bytes:
        return export.links_csv(answers, made)

    def report(made: Provenance) -> bytes:
        told = {**export.report(look.analysis, answers), "provenance": asdict(made)}
        return json.dumps(told, indent=2, ensure_ascii=False).encode()

    st.dataframe(_lines(look), height=220, hide_index=True)
    words = (look.analysis.network, look.block, "links")
    _offer(
        look,
        File("csv", "text/csv", table, "export", words),
        File("json", "application/json", report, "export", words),
    )


def _arrays(look: Look) -> None:
    queries = [look.query(pin) for pin in look.pins]
    st.dataframe(_shapes(look), hide_index=True)
    words = (look.analysis.network,)
    binary = "application/octet-stream"
    _offer(
        look,
        File("npz", binary, lambda made: export.npz(look.analysis, queries, made), "export", words),
        File(
            "safetensors",
            binary,
            lambda made: export.tensors(look.analysis, queries, made),
            "export",
            words,
        ),
    )


def _session(look: Look) -> None:
    def make(made: Provenance) -> bytes:
        queries = tuple(look.query(pin) for pin in look.pins)
        kept = settings.settings(look.pins, look.options)
        return export.save(export.Session(look.analysis, made, queries, kept))

    _holds(look, 2.0)
    _offer(
        look, File("nlviz", "application/octet-stream", make, "export", (look.analysis.network,))
    )


def _offer(look: Look, *files: File) -> None:
    """The files to download, and the command for the first."""
    with st.container(horizontal=True):
        for file in files:
            file.button(look)
    show_command(look, files[0])


def _holds(look: Look, factor: float) -> None:
    """What will be in the file, and about how large it is; ``factor``: for a byte of the viewer."""
    clip, size = look.analysis.clip, sum(map(len, look.shown.blobs)) * factor / 1e6
    frames = "1 image" if clip.is_image else f"{len(clip.frames)} frames"
    blocks, pins = ", ".join(look.analysis.blocks), ", ".join(map(look.name, look.pins))
    st.markdown(f"{frames} · {plain(blocks)} · {plain(pins)} · about {max(size, 0.1):.2g} MB")


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


def _shapes(look: Look) -> list[dict[str, object]]:
    """The arrays of each block."""
    told: list[dict[str, object]] = []
    for block in look.analysis.blocks:
        affinity = look.analysis.affinity(block)
        grids = [affinity.query_grid, affinity.key_grid]
        queries, keys = (" × ".join(map(str, grid.shape)) for grid in grids)
        told.append(
            {
                "block": block,
                "θ": " × ".join(map(str, affinity.theta.shape)),
                "φ": " × ".join(map(str, affinity.phi.shape)),
                "queries (frames × rows × columns)": queries,
                "keys": keys,
            }
        )
    return told


_KINDS: dict[str, tuple[str, Callable[[Look], None]]] = {
    "Figure": (
        "A film strip of the pinned links for a paper, with the heat as the viewer shows it.",
        figure.show,
    ),
    "Film": (
        "The clip playing with the heat and the links that fall on each frame, or a query on its "
        "way from link to link.",
        film.show,
    ),
    "Page": (
        "One HTML file with this viewer and every block in it: hover and pin without Python and "
        "without a network, from a folder, a mail or a project page.",
        _page,
    ),
    "Links": ("The links of all pins, one line each.", _links),
    "Arrays": (
        "θ and φ of every block and the row of each pin, with their grids.",
        _arrays,
    ),
    "Session": (
        "The whole analysis with its pins and options. This page, the command line and the library "
        "open it again without the network.",
        _session,
    ),
}
"""What each kind is, and what draws it."""
