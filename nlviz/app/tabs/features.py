"""The Features tab: the components of a block's or layer's vectors in three colours."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from nlviz.app.choice import LONGEST_LAYER
from nlviz.app.guard import safely
from nlviz.app.kept import once
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import code_block, commands, waiting
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import Download, file_button
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.multiples import Mosaic, together
from nlviz.app.tabs.progress import job_result
from nlviz.app.visit import visiting
from nlviz.display import begun, one_line
from nlviz.errors import QueryError
from nlviz.export import Provenance
from nlviz.media.jpeg import jpeg
from nlviz.progress import Progress
from nlviz.query import OFS, Of, WhichSide, layer_of, origin

if TYPE_CHECKING:
    from nlviz.features import Basis, Components
    from nlviz.hooks.features import LayerFeatures

_NAMES: dict[Of, str] = {"input": "Input", "theta": "θ", "phi": "φ", "output": "Output"}
_ALL = "All positions"
_SIDES: dict[str, WhichSide] = {"Above the threshold": "above", "Below the threshold": "below"}
_WIDE = 1440  # pixels of the picture, twice what it is shown at
_HELD = "nlviz-basis"
_MIMES = {
    "png": "image/png",
    "mp4": "video/mp4",
    "npz": "application/octet-stream",
    "safetensors": "application/octet-stream",
}


@dataclass(frozen=True, slots=True)
class _Form:
    """What is looked at: a block or layer, which of its vectors, and which positions alone."""

    of_what: str
    of: Of
    side: WhichSide | None
    threshold: float

    def options(self, basis: str | None = None) -> list[str]:
        """As the command spells it, with the file of a held basis, which has its own foreground."""
        layer = layer_of(self.of_what)
        what = ["--block", self.of_what] if layer is None else ["--features", layer]
        said = [shlex.join([*what, "--of", self.of])]
        if basis is not None:
            said.append(f"--basis {basis}")
        elif self.side is not None:
            said.append(f"--foreground {self.side} --threshold {self.threshold:g}")
        return said


def show(context: TabContext) -> None:
    """The choices, the strip in colour once it is there, its files, and the command."""
    st.caption(
        "What a layer computes at each place, as three colours that all frames share: a view of "
        "its features, not a weight of the network."
    )
    if waiting.for_network(context):
        return
    if context.shown.choice.asked is not None:
        st.info("Words are asked of this model, and its layers are not looked at; choose another.")
        return
    form = _choose(context)
    known = context.analysis.affinities.get(form.of_what)
    if known is not None and known.is_derived:
        st.info(
            "A derived block has rows and no features; choose a block of the network, or name a "
            "layer."
        )
        return
    key = ("features", form.of_what, form.of)
    choice = context.shown.choice
    read = once(context.shown, key, _read(context, form))
    features: LayerFeatures | None = job_result(choice, key, read, name="features")
    if features is None:
        return
    basis: Basis | None = st.session_state.get(_HELD)
    key = ("components", form, basis)  # type: ignore[assignment]  # itself: ids come again
    found: tuple[Components, bytes] | None = job_result(
        choice, key, _drawn(context, features, form, basis), name="components"
    )
    if found is not None:
        components, picture = found
        st.image(picture, width="stretch", alt="Frames under their components in colour")
        _over_the_clip(context, components)
        for sentence in components.words:
            st.caption(plain(f"{begun(sentence)}."))
        _files(context, components, form, given=basis is not None)
    _hold(basis, None if found is None else found[0])


def _over_the_clip(context: TabContext, found: Components) -> None:
    """A switch that lays the colours over the frames in the viewer, which is drawn before."""
    over = st.toggle(
        "In the viewer",
        key="features-over",
        persist_state="session",
        help="Over strip and player while nothing is pointed at, and in the exported page; the "
        "viewer's “More” hides them.",
    )
    if not over and context.shown.layer is None:
        return
    layer = None
    if over:
        try:
            layer = found.layer
        except QueryError as error:
            st.info(plain(str(error)))
    visit = visiting()
    shown = visit.shown
    if shown is None or shown.choice != context.shown.choice:
        return
    before, after = (None if each is None else id(each.colours) for each in (shown.layer, layer))
    if before != after:
        visit.amend(shown.with_layer(layer))
        st.rerun()  # its blob is brought by the viewer, which is drawn before the tabs


def _choose(context: TabContext) -> _Form:
    kept: dict[str, Any] = {"persist_state": "session"}
    session = context.shown.choice.material.session is not None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layer = ""
        if not session:
            said = st.text_input(
                "Layer",
                max_chars=LONGEST_LAYER,
                key="features-layer",
                placeholder=origin(context.block)[0],
                help="The path of any layer of the network. Empty for the block in the viewer.",
                width=220,
                **kept,
            )
            layer = one_line(said or "", LONGEST_LAYER).strip()
        ofs: Sequence[Of] = ("theta", "phi") if session else OFS
        ofs = ("output", "input") if layer else ofs
        of = st.selectbox(
            "Of",
            ofs,
            format_func=_NAMES.__getitem__,
            key=f"features-of-{'-'.join(ofs)}",
            width=120,
            **kept,
        )
        side = st.selectbox("Positions", (_ALL, *_SIDES), key="features-side", width=210, **kept)
        threshold = 0.0
        if side != _ALL:
            threshold = st.slider(
                "Threshold",
                -2.0,
                2.0,
                0.0,
                0.1,
                key="features-threshold",
                width=200,
                help="Of the first component, in standard deviations from its mean.",
                **kept,
            )
    what = layer or origin(context.block)[0]
    return _Form(what, of, _SIDES.get(side), threshold)


def _read(context: TabContext, form: _Form) -> Work:
    """The vectors: by one more pass, unless they are θ or φ."""

    def work(progress: Progress) -> LayerFeatures:
        from nlviz.features.layers import NEEDS_A_PASS, features_of

        analysis = context.shown.without_baselines
        if form.of not in NEEDS_A_PASS:
            return features_of(analysis, form.of_what, form.of)
        with one_at_a_time(progress, kind_of("features", context.shown.choice)) as told:
            network = context.shown.network()
            return features_of(analysis, form.of_what, form.of, network, told)

    return work


def _drawn(context: TabContext, features: LayerFeatures, form: _Form, basis: Basis | None) -> Work:
    """The components of what was read, and some frames under them as a JPEG."""

    def work(progress: Progress) -> tuple[Components, bytes]:
        from nlviz.features import Foreground
        from nlviz.features.pca import components, told_of

        progress(0.1, "finding the components")
        foreground = None
        if form.side is not None and basis is None:
            foreground = Foreground(form.side, form.threshold)
        told = told_of(form.of, form.of_what)
        analysis = context.shown.without_baselines
        found = components(analysis, features, told, basis=basis, foreground=foreground)
        progress(0.6, "drawing the frames")
        mosaic = Mosaic.spread(len(analysis.view.frames))
        frames = found.pictures(mosaic.positions, _WIDE // mosaic.columns)
        return found, jpeg(together(frames, mosaic), 88)

    return work


def _files(context: TabContext, found: Components, form: _Form, *, given: bool) -> None:
    """PNG, MP4, the numbers and the basis, and the command for the first of them.

    Where the basis was ``given``, the command takes the file that it is downloaded as.
    """
    words = (context.analysis.network, form.of_what, form.of, "pca")
    named = {
        ending: Download(ending, mime, lambda _: b"", "pca", words).name(context)
        for ending, mime in _MIMES.items()
    }
    options = form.options(named["safetensors"] if given else None)
    line = commands.pca(context.shown.choice, *options, f"-o {named['png']}")
    made = Provenance.of(context.analysis, command=line.replace(" \\\n   ", ""))
    held = context.shown.choice.material.session
    if held is not None:
        made = replace(made, model=held.provenance.model, weights=held.provenance.weights)
    with st.container(horizontal=True):
        for ending, mime in _MIMES.items():
            label = "Basis" if ending == "safetensors" else ending.upper()
            make = partial(content, found, made, ending)
            file_button(label, make, named[ending], mime, key=f"features-{ending}")
    st.caption("Or from the command line:")
    code_block.show(line, "pca")


def content(found: Components, made: Provenance, ending: str) -> bytes:
    """A file of the components: a figure, a film, arrays, or their basis."""
    from nlviz.features import arrays, components_film, components_strip

    if ending == "png":
        return components_strip(found).signed(made).png()
    if ending == "mp4":
        return components_film(found, comment=made.json).mp4()
    if ending == "npz":
        return arrays.components_arrays(found, made, ".npz")
    return found.basis.content()


def _hold(basis: Basis | None, found: Components | None) -> None:
    """Hold the colours for the next clips, or let them go."""
    if basis is not None:
        st.caption(plain(f"The colours held are those of the {basis.of} of {basis.network}."))
        st.button("Let go of the held colours", on_click=safely(_keep), args=(None,))
    elif found is not None:
        st.button(
            "Hold these colours",
            on_click=safely(_keep),
            args=(found.basis,),
            help="The next clips and layers are then drawn with this basis, so that their colours "
            "can be compared; the layer must have as many channels.",
        )


def _keep(basis: Basis | None) -> None:
    st.session_state[_HELD] = basis
