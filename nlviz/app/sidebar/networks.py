"""The sidebar's choice of a network: a menu, downloads, and the size of the input."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app import startup
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.markdown import plain
from nlviz.app.sidebar import asked, by_name, layer, own_weights
from nlviz.app.visit import Visit
from nlviz.errors import NetworkError, NlvizError
from nlviz.models import zoo

MODEL = "model"
"""Key of the menu: what is put there before it is drawn is chosen in it."""

SIZES = (256, 320, 416, 512, 640, 800, 960, 1280)


def choose(
    visit: Visit, material: Material, part: ClipPart, place: DeltaGenerator | None = None
) -> Choice:
    """The choice to run; while a network is not downloaded yet, the one before it stays.

    ``place`` on the page says how far the loading of a network by name is.
    """
    with st.container(key="network", gap="xsmall"):
        st.markdown("##### Network")
        read = own_weights.read(visit) or by_name.read(visit, place)
        if read is not None:
            st.session_state[MODEL] = read
            st.rerun()  # the part of the clip, above, depends on the network
        names = _names(visit)
        here = {name: name not in zoo.names() or zoo.is_here(name) for name in names}
        if MODEL in st.session_state:  # sent anew, as its label changes once it is fetched
            st.session_state[MODEL] = st.session_state[MODEL]
        model = st.selectbox(
            "Model",
            names,
            key=MODEL,
            format_func=lambda name: name if here[name] else f"{name} (to fetch)",
            help="Those to fetch were published by other projects; you download each once.",
        )
        chosen = _chosen(visit, material, part, model, here=here[model])
        chosen = replace(chosen, layer=layer.choose(visit, chosen))
        by_name.offer(visit)
        return chosen


def _chosen(visit: Visit, material: Material, part: ClipPart, model: str, *, here: bool) -> Choice:
    """What the menu's network is, and its own controls."""
    if startup.is_user_model(model) or model in visit.named:
        return _user_model(visit, material, part, model)
    if model in visit.own:
        return _own(visit, material, part, model)
    record = zoo.record(model)
    what = "; ".join(filter(None, (record.summary, getattr(record, "conventions", ""))))
    st.caption(plain(f"{what}. {record.short}"))
    published = isinstance(record, zoo.Published)  # blocks of the bundled ones see each frame
    step = max(round(tap.stride[0]) for tap in record.taps.values()) if published else 1
    if 1 < part.frames < 2 * step:
        st.caption(f"One time step of its blocks covers {step:d} frames; choose more frames.")
    if not here:
        _fetch(visit, model)
        own_weights.offer(visit, model)
        return _instead(visit, material, part)
    size = _size(visit, model, SIZES, _usual_size(model))
    if published:
        own_weights.offer(visit, model)
    return Choice(material, part, model, size)


def usual_frames(visit: Visit) -> int:
    """How many frames the network that comes to be shown is given where nobody says."""
    from nlviz.app import running

    names = _names(visit)
    model = st.session_state.get(MODEL)
    model = model if model in names else names[0]
    if model in zoo.names() and not zoo.is_here(model):
        model = _before(visit)
    if model in zoo.bundled():
        return zoo.record(model).frames or ClipPart().frames
    from nlviz.inference import loading

    own = None
    if startup.is_user_model(model) or model in visit.named:
        with suppress(NlvizError):  # ``choose`` says what is wrong with it
            own = running.network(model)
        if own is not None and running.reads_words(own):
            own = None
    return loading.usual_frames(visit.own[model][0] if model in visit.own else model, own)


def _names(visit: Visit) -> tuple[str, ...]:
    """What the menu offers."""
    started = startup.user_model()
    own = (*([started.name] if started else []), *visit.own, *visit.named)
    return (*own, *startup.offered_models())


def _before(visit: Visit) -> str:
    """The network that is on screen, else the first that is offered and here."""
    if visit.shown is not None and visit.shown.choice.material.session is None:
        return visit.shown.choice.model
    return startup.first_model()


def _own(visit: Visit, material: Material, part: ClipPart, name: str) -> Choice:
    """A network with weights of the visitor's own."""
    model, weights = visit.own[name]
    st.caption(
        f"{plain(model)} with your own weights {plain(weights.file)}, {plain(weights.checksum)}; "
        "for you alone, until you leave."
    )
    size = _size(visit, name, SIZES, _usual_size(model))
    own_weights.offer(visit, model)
    return Choice(material, part, model, size, weights)


def _user_model(visit: Visit, material: Material, part: ClipPart, model: str) -> Choice:
    """The network that the app was started with, or one by name; its record may fix the size."""
    from nlviz.app import running

    try:
        loaded = running.network(model)
    except NlvizError as error:
        st.error(plain(str(error)))
        return _instead(visit, material, part)
    if running.reads_words(loaded):
        return _vision_language(visit, material, part, model)
    if startup.is_user_model(model):
        st.caption("The network that the app was started with.")
    if loaded.summary:
        st.caption(plain(loaded.summary))
    usual = loaded.default_size
    if not isinstance(loaded.input.size, int):
        return Choice(material, part, model, usual)
    smaller = (usual << doubled for doubled in range(4) if usual << doubled < SIZES[0])
    sizes = tuple(sorted({*SIZES, usual, *smaller}))
    return Choice(material, part, model, _size(visit, model, sizes, usual))


def _vision_language(visit: Visit, material: Material, part: ClipPart, model: str) -> Choice:
    """A model that is asked in words: until it was, the choice on screen stays."""
    st.caption(
        "It reads the clip and text. Each word is a chip of the viewer: point at one, and the "
        "frames light up where it weighs them."
    )
    said = asked.offer(visit, model)
    if said is None:
        return _instead(visit, material, part)
    info = visit.infos[material.id]
    return Choice(material, part, model, max(info.width, info.height), asked=said)


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


def _fetch(visit: Visit, model: str) -> None:
    """A button that fetches; the next time it resumes a download that was interrupted."""
    record = zoo.published(model)
    if not startup.may_fetch():
        st.caption(
            "Whoever runs this server can bring it here for all: "
            f"`python -m nlviz fetch {plain(model)}`"
        )
        return
    if not st.button("Fetch it", key=f"fetch-{model}", width="stretch"):
        st.caption(f"Licence {plain(record.licence)}. Or: `python -m nlviz fetch {plain(model)}`")
        return
    bar = st.progress(0.0, "Connecting …")
    from nlviz.models.published import fetch  # brings torch

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


def _instead(visit: Visit, material: Material, part: ClipPart) -> Choice:
    """The choice that is on screen, of this material; else the first network that is here."""
    shown, model = visit.shown, _before(visit)
    if shown is not None and shown.choice.model == model:
        return replace(shown.choice, material=material, part=part)
    return Choice(material, part, model, _usual_size(model))


def _usual_size(model: str) -> int:
    return min(SIZES, key=lambda size: abs(size - zoo.record(model).default_size))
