"""The sidebar's network: those there are, those to be fetched first, and the size of the input."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from nlviz.app import startup
from nlviz.app.choice import Choice, Material, Part
from nlviz.app.markdown import plain
from nlviz.app.visit import Session
from nlviz.errors import NetworkError, NlvizError

MODEL = "model"
"""Key of the menu: what is put there before it is drawn is chosen in it."""

CHECKPOINTS = ("pkl", "pyth", "pth", "pt", "safetensors")
_MOST_MB = 1000  # ResNet-101 with ten blocks and its optimizer

SIZES = (256, 320, 416, 512, 640, 800, 960, 1280)


def choose(session: Session, material: Material, part: Part) -> Choice:
    """What is to be run; while a network is not here yet, the one before it stays."""
    from nlviz.models import zoo  # brings torch: the gallery above need not wait for it

    with st.container(key="network", gap="xsmall"):
        st.markdown("##### Network")
        mine = startup.given()
        names = (mine.name, *zoo.names()) if mine else zoo.names()
        here = {name: startup.is_own(name) or zoo.is_here(name) for name in names}
        if MODEL in st.session_state:  # sent anew, as its label changes once it is fetched
            st.session_state[MODEL] = st.session_state[MODEL]
        model = st.selectbox(
            "Model",
            names,
            key=MODEL,
            format_func=lambda name: name if here[name] else f"{name} (to fetch)",
            help="Those to fetch were published by other projects; each is downloaded once.",
        )
        if startup.is_own(model):
            return _own(session, material, part, model)
        record = zoo.record(model)
        what = "; ".join(filter(None, (record.summary, getattr(record, "conventions", ""))))
        st.caption(f"{what}. {record.short}")
        step = max(round(tap.stride[0]) for tap in zoo.record(model).taps.values())
        if 1 < part.frames < 2 * step:
            st.caption(f"One time step of its blocks stands for {step} frames; take more of them.")
        if not here[model]:
            _offer(session, model)
            return _instead(session, material, part)
        return Choice(material, part, model, _size(session, model, SIZES, _usual_size(model)))


def _own(session: Session, material: Material, part: Part, model: str) -> Choice:
    """The network that the app was started with; its record may fix the size of the input."""
    from nlviz.app.shown import network

    st.caption("The network that the app was started with.")
    try:
        loaded = network(model)
    except NlvizError as error:
        st.error(plain(str(error)))
        return _instead(session, material, part)
    usual = loaded.default_size
    if not isinstance(loaded.input.size, int):
        return Choice(material, part, model, usual)
    sizes = tuple(sorted({*SIZES, usual}))
    return Choice(material, part, model, _size(session, model, sizes, usual))


def _size(session: Session, model: str, sizes: tuple[int, ...], usual: int) -> int:
    before = session.sizes.get(model, usual)
    return st.select_slider(
        "Input size",
        sizes,
        before if before in sizes else usual,
        key=f"size-{model}",
        format_func=lambda size: f"{size} px",
        help="The longer side of what the network is given. Larger sees finer; it takes "
        "time and memory with the square of it.",
    )


def _offer(session: Session, model: str) -> None:
    """A button that fetches; a download that is left goes on from there the next time."""
    from nlviz.models import zoo
    from nlviz.models.published import fetch

    record = zoo.published(model)
    wanted = st.button("Fetch it", key=f"fetch-{model}", width="stretch")
    if not wanted:
        st.caption(f"Licence {record.licence}. Or: `python -m nlviz fetch {model}`")
    st.file_uploader(
        "Or give its checkpoint",
        type=list(CHECKPOINTS),
        key=f"give-{model}",
        on_change=_take,
        args=(session, model),
        max_upload_size=_MOST_MB,
        help=f"{record.url.rpartition('/')[2]}, where it is on your machine already. Nothing in "
        "it is run.",
    )
    if not wanted:
        return
    bar = st.progress(0.0, "Asking for it …")

    def tell(done: int, total: int | None) -> None:
        share = done / total if total else 0.0
        of = f" of {total / 1e6:.0f}" if total else ""
        bar.progress(min(share, 1.0), f"{done / 1e6:.0f}{of} MB")

    try:
        fetch.fetch(record, progress=tell)
    except NetworkError as error:
        bar.empty()
        session.fail(str(error))
    else:
        session.problem = session.failed = None
        st.rerun()


def _take(session: Session, model: str) -> None:
    """What the visitor gave in place of a download, checked and kept like one."""
    from nlviz.models import zoo
    from nlviz.models.published import fetch

    given = st.session_state[f"give-{model}"]
    if given is None:
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / Path(given.name).name
        file.write_bytes(given.getbuffer())
        try:
            fetch.fetch(zoo.published(model), source=file)
        except NetworkError as error:
            session.fail(str(error))
        else:
            session.problem = session.failed = None


def _instead(session: Session, material: Material, part: Part) -> Choice:
    """The network that is on screen, else the first bundled one."""
    from nlviz.models import zoo

    if session.shown is not None:
        return Choice(material, part, session.shown.choice.model, session.shown.choice.size)
    first = zoo.bundled()[0]
    return Choice(material, part, first, _usual_size(first))


def _usual_size(model: str) -> int:
    from nlviz.models import zoo

    return min(SIZES, key=lambda size: abs(size - zoo.record(model).default_size))
