"""Restore what an address or a session file says: clip, frames, network, options and pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nlviz.app import startup
from nlviz.app.address import query_string
from nlviz.app.choice import ClipPart, Material, bundled
from nlviz.app.sidebar.networks import MODEL, SIZES
from nlviz.app.visit import Awaited, Visit
from nlviz.provenance import sampling_of
from nlviz.viewer import settings
from nlviz.viewer.pins import Pins

if TYPE_CHECKING:
    from nlviz.app.address.query_string import Address

_AWAITED = "awaited"


def from_address(visit: Visit, said: Mapping[str, Sequence[str]]) -> None:
    """Begin a new visit as the address says; a remark for each thing that cannot be shown."""
    asked, problems = query_string.read(said)
    visit.restoring, visit.remarks = True, problems
    visit.options = asked.options
    if asked.digest:
        visit.material = None
        visit.keep(_AWAITED, _pins(asked))
        visit.awaited = Awaited(asked.clip, asked.digest, asked.part, _AWAITED)
    elif asked.clip:
        _bundled(visit, asked)
    _network(visit, asked)


def from_session(visit: Visit, material: Material) -> None:
    """Put a session file before the visitor, with the pins and options that it keeps."""
    if material.session is None:
        return
    held = material.session
    analysis = held.analysis
    visit.choose_material(material)
    visit.restoring = True
    if visit.awaited is not None and visit.awaited.digest == material.digest:
        visit.keep(material.id, visit.kept_pins(visit.awaited.pins))  # as the address says
        visit.remarks = ()
    else:
        visit.options = settings.options(held.queries, held.settings)
        pins, visit.remarks = settings.pins(held.queries, held.settings)
        visit.keep(material.id, pins)
    sampling = sampling_of(analysis.clip)
    part = (
        ClipPart()
        if sampling is None
        else ClipPart(sampling.start, sampling.frames, sampling.stride)
    )
    made = held.provenance
    visit.awaited = Awaited(made.clip, made.checksum, part, material.id)
    if made.model in _models():
        st.session_state[MODEL] = made.model
        visit.sizes[made.model] = max(made.input)


def _bundled(visit: Visit, asked: Address) -> None:
    named = [each for each in bundled() if each.name == asked.clip]
    if not named:
        names = ", ".join(each.name for each in bundled())
        visit.remarks += (
            f"There is no sample '{asked.clip:.60}'; choose one of {names}, or give your own file.",
        )
        return
    material = named[0]
    visit.material = material
    visit.parts[material.id] = asked.part
    if asked.pins is not None:
        visit.keep(material.id, _pins(asked))


def _pins(asked: Address) -> Pins:
    return Pins.of(asked.pins or ())


def _network(visit: Visit, asked: Address) -> None:
    from nlviz.models import zoo

    model = asked.model
    if model and model not in _models():
        usual = zoo.bundled()[0]
        visit.remarks += (
            f"There is no network '{model:.60}' here; {usual} is shown. A network of one's own is "
            "given when the app is started, with --model.",
        )
        return
    if model:
        st.session_state[MODEL] = model
        if not startup.is_user_model(model) and not zoo.is_here(model):
            visit.remarks += (f"{model} is to be fetched first, in the sidebar.",)
    if asked.size is None:
        return
    nearest = min(SIZES, key=lambda size: abs(size - (asked.size or size)))
    size = asked.size if startup.is_user_model(model) else nearest
    visit.sizes[model or _models()[0]] = size
    if size != asked.size:
        visit.remarks += (f"An input of {asked.size} px is not offered; {size} px is shown.",)


def _models() -> tuple[str, ...]:
    from nlviz.models import zoo

    started = startup.user_model()
    return (started.name, *zoo.names()) if started else zoo.names()
