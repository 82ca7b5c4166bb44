"""The Export tab: what is on screen as a figure, a film, a page, numbers or a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import streamlit as st

from nlviz import export
from nlviz.app.markdown import plain
from nlviz.app.tabs import figure, film, waiting
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import Download, show_command
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.wanted import is_wanted
from nlviz.ask.rows import row_of
from nlviz.errors import QueryError
from nlviz.export import Provenance
from nlviz.progress import Progress, silent
from nlviz.viewer import settings
from nlviz.viewer.pins import Pin

_TALL = 720  # CSS pixels of the preview
# Weights that a page goes over, in some 5 s of one core: above, it says how far it is.
_LONG = 1_000_000_000


def show(context: TabContext) -> None:
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
    st.caption(plain(about))
    if waiting.for_network(context):  # what is taken away has all digits
        return
    draw(context)


def _page(context: TabContext) -> None:
    layer = context.shown.layer if context.options.components else None

    def make(made: Provenance, progress: Progress = silent) -> bytes:
        queries = [context.query(pin) for pin in context.pins]
        kept = settings.settings(context.pins, context.options)
        return export.page(
            context.analysis, queries, made, settings=kept, layer=layer, progress=progress
        )

    file = Download("html", "text/html", make, "html", (context.analysis.network,))
    _holds(context, 4 / 3)
    if layer is not None:
        st.caption(
            "The colours over the frames are in the page. The command leaves them out; "
            "`--components` lays those of its block over the frames."
        )
    key = ("page", file.command(context), layer)  # itself: an id may be another's later
    takes_long = _weights(context) > _LONG
    made: bytes | None = None
    if is_wanted("Make the page" if takes_long else "Preview", key, name="page"):
        told = file.provenance(context)
        made = job_result(context.shown.choice, key, partial(make, told), name="page")
    if made is not None:
        content = made
        st.iframe(content.decode(), width="stretch", height=_TALL, alt="The page")
        file = replace(file, make=lambda _: content)
    if takes_long and made is None:  # what is made at a click on its download tells nothing
        show_command(context, file)
    else:
        _offer(context, file)


def _weights(context: TabContext) -> int:
    """How many weights a page goes over, for the scale of whole blocks and who looks where."""
    each = context.analysis.affinities.values()
    return sum(one.theta.shape[1] * one.phi.shape[1] for one in each)


def _links(context: TabContext) -> None:
    if (why := context.why_no_links) is not None:
        st.info(plain(why))
        return
    answers = [links for links in context.links.values() if links]

    def table(made: Provenance) -> bytes:
        return export.links_csv(answers, made)

    def report(made: Provenance) -> bytes:
        told = {**export.report(context.analysis, answers), "provenance": asdict(made)}
        return json.dumps(told, indent=2, ensure_ascii=False).encode()

    st.dataframe(_lines(context), height=220, hide_index=True)
    words = (context.analysis.network, context.block, "links")
    pins = [pin for pin, links in context.links.items() if links]
    _offer(
        context,
        Download("csv", "text/csv", table, "export", words, pins=pins),
        Download("json", "application/json", report, "export", words, pins=pins),
    )


def _arrays(context: TabContext) -> None:
    pins = [pin for pin in context.pins if _has_row(context, pin)]
    queries = [context.query(pin) for pin in pins]
    st.dataframe(_shapes(context), hide_index=True)

    def file(ending: str, make: Callable[..., bytes]) -> Download:
        return Download(
            ending,
            "application/octet-stream",
            lambda made: make(context.analysis, queries, made),
            "export",
            (context.analysis.network,),
            pins=pins,
        )

    _offer(context, file("npz", export.npz), file("safetensors", export.tensors))


def _has_row(context: TabContext, pin: Pin) -> bool:
    """Whether the block has a query, in reverse a key, at a pin."""
    try:
        row_of(context.analysis, context.query(pin))
    except QueryError:
        return False
    return True


def _session(context: TabContext) -> None:
    def make(made: Provenance) -> bytes:
        queries = tuple(context.query(pin) for pin in context.pins)
        kept = settings.settings(context.pins, context.options)
        return export.save(export.Session(context.analysis, made, queries, kept))

    _holds(context, 2.0)
    _offer(
        context,
        Download("nlviz", "application/octet-stream", make, "export", (context.analysis.network,)),
    )


def _offer(context: TabContext, *files: Download) -> None:
    """The files to download, and the command for the first."""
    with st.container(horizontal=True):
        for file in files:
            file.button(context)
    show_command(context, files[0])


def _holds(context: TabContext, factor: float) -> None:
    """What will be in the file, and about how large it is; ``factor``: for a byte of the viewer."""
    clip, size = context.analysis.clip, sum(map(len, context.shown.blobs)) * factor / 1e6
    frames = "1 image" if clip.is_image else f"{len(clip.frames)} frames"
    blocks, pins = ", ".join(context.analysis.blocks), ", ".join(map(context.name, context.pins))
    st.markdown(
        f"{plain(frames)} · {plain(blocks)} · {plain(pins)} · about {max(size, 0.1):.2g} MB"
    )


def _lines(context: TabContext) -> list[dict[str, object]]:
    return [
        {"pin": context.name(pin), **link.record}
        for pin, links in context.links.items()
        for link in links
    ]


def _shapes(context: TabContext) -> list[dict[str, object]]:
    """The arrays of each block."""
    told: list[dict[str, object]] = []
    for block in context.analysis.blocks:
        affinity = context.analysis.affinity(block)
        queries, keys = affinity.grids_in_words
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


_KINDS: dict[str, tuple[str, Callable[[TabContext], None]]] = {
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
