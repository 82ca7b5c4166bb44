"""The sidebar's choice of a network: a menu, downloads, and the size of the input."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from nlviz.app import startup
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.visit import Visit
from nlviz.errors import NetworkError, NlvizError

MODEL = "model"
"""Key of the menu: what is put there before it is drawn is chosen in it."""

CHECKPOINTS = ("pkl", "pyth", "pth", "pt", "safetensors")
_MOST_MB = 1000  # ResNet-101 with ten blocks and its optimizer

SIZES = (256, 320, 416, 512, 640, 800, 960, 1280)


def choose(visit: Visit, material: Material, part: ClipPart) -> Choice:
    """The choice to run; while a network is not downloaded yet, the one before it stays."""
    from nlviz.models import zoo  # brings torch: the gallery above need not wait for it

    with st.container(key="network", gap="xsmall"):
        st.markdown("##### Network")
        started = startup.user_model()
        names = (started.name, *zoo.names()) if started else zoo.names()
        here = {name: startup.is_user_model(name) or zoo.is_here(name) for name in names}
        if MODEL in st.session_state:  # sent anew, as its label changes once it is fetched
            st.session_state[MODEL] = st.session_state[MODEL]
        model = st.selectbox(
            "Model",
            names,
            key=MODEL,
            format_func=lambda name: name if here[name] else f"{name} (to fetch)",
            help="Those to fetch were published by other projects; you download each once.",
        )
        if startup.is_user_model(model):
            return _user_model(visit, material, part, model)
        record = zoo.record(model)
        what = "; ".join(filter(None, (record.summary, getattr(record, "conventions", ""))))
        st.caption(plain(f"{what}. {record.short}"))
        step = max(round(tap.stride[0]) for tap in zoo.record(model).taps.values())
        if 1 < part.frames < 2 * step:
            st.caption(f"One time step of its blocks covers {step:d} frames; choose more frames.")
        if not here[model]:
            _offer(visit, model)
            return _instead(visit, material, part)
        return Choice(material, part, model, _size(visit, model, SIZES, _usual_size(model)))


def _user_model(visit: Visit, material: Material, part: ClipPart, model: str) -> Choice:
    """The network that the app was started with; its record may fix the size of the input."""
    from nlviz.app.running import network

    st.caption("The network that the app was started with.")
    try:
        loaded = network(model)
    except NlvizError as error:
        st.error(plain(str(error)))
        return _instead(visit, material, part)
    usual = loaded.default_size
    if not isinstance(loaded.input.size, int):
        return Choice(material, part, model, usual)
    smaller = (usual << doubled for doubled in range(4) if usual << doubled < SIZES[0])
    sizes = tuple(sorted({*SIZES, usual, *smaller}))
    return Choice(material, part, model, _size(visit, model, sizes, usual))


def _size(visit: Visit, model: str, sizes: tuple[int, ...], usual: int) -> int:
    before = visit.sizes.get(model, usual)
    return st.select_slider(
        "Input size",
        sizes,
        before if before in sizes else usual,
        key=f"size-{model}",
        format_func=lambda size: f"{size} px",
        help="The longer side of the network's input. Larger shows finer detail; time and "
        "memory grow with its square.",
    )


def _offer(visit: Visit, model: str) -> None:
    """A button that fetches; the next time it resumes a download that was interrupted."""
    from nlviz.models import zoo
    from nlviz.models.published import fetch

    record = zoo.published(model)
    if not startup.may_fetch():
        st.caption(
            "Whoever runs this server can bring it here for all: "
            f"`python -m nlviz fetch {plain(model)}`"
        )
        return
    wanted = st.button("Fetch it", key=f"fetch-{model}", width="stretch")
    if not wanted:
        st.caption(f"Licence {plain(record.licence)}. Or: `python -m nlviz fetch {plain(model)}`")
    st.file_uploader(
        "Or upload its checkpoint",
        type=list(CHECKPOINTS),
        key=f"give-{model}",
        on_change=safely(_take),
        args=(visit, model),
        max_upload_size=_MOST_MB,
        help=f"{plain(record.url.rpartition('/')[2])}, if you have it already. nlviz runs nothing "
        "that is in it.",
    )
    if not wanted:
        return
    bar = st.progress(0.0, "Connecting …")

    def tell(done: int, total: int | None) -> None:
        share = done / total if total else 0.0
        of = f" of {total / 1e6:.0f}" if total else ""
        bar.progress(min(share, 1.0), f"{done / 1e6:.0f}{of} MB")

    try:
        fetch.fetch(record, progress=tell)
    except NetworkError as error:
        bar.empty()
        visit.fail(str(error))
    else:
        visit.problem = visit.failed = None
        st.rerun()


def _take(visit: Visit, model: str) -> None:
    """Check and keep an uploaded checkpoint as a download is."""
    from nlviz.models import zoo
    from nlviz.models.published import fetch

    given = st.session_state[f"give-{model}"]
    if given is None or not startup.may_fetch():
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / Path(given.name).name
        file.write_bytes(given.getbuffer())
        try:
            fetch.fetch(zoo.published(model), source=file)
        except NetworkError as error:
            visit.fail(str(error))
        else:
            visit.problem = visit.failed = None


def _instead(visit: Visit, material: Material, part: ClipPart) -> Choice:
    """The network that is on screen, else the first bundled one."""
    from nlviz.models import zoo

    if visit.shown is not None:
        return Choice(material, part, visit.shown.choice.model, visit.shown.choice.size)
    first = zoo.bundled()[0]
    return Choice(material, part, first, _usual_size(first))


def _usual_size(model: str) -> int:
    from nlviz.models import zoo

    return min(SIZES, key=lambda size: abs(size - zoo.record(model).default_size))
