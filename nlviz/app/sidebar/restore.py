"""Arrival: what an address, or a session file that is opened, brings before the visitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nlviz.app import startup
from nlviz.app.address import query_string
from nlviz.app.choice import Material, Part, bundled
from nlviz.app.sidebar.networks import MODEL, SIZES
from nlviz.app.visit import Awaited, Session
from nlviz.provenance import sampling_of
from nlviz.viewer import settings
from nlviz.viewer.pins import Pins

if TYPE_CHECKING:
    from nlviz.app.address.query_string import Address

_AWAITED = "awaited"


def arrive(session: Session, said: Mapping[str, Sequence[str]]) -> None:
    """Begin a new session as the address says; what cannot be is told in a sentence."""
    asked, problems = query_string.read(said)
    session.asked, session.remarks = True, problems
    session.options = asked.options
    if asked.digest:
        session.material = None
        session.keep(_AWAITED, _pins(asked))
        session.awaited = Awaited(asked.clip, asked.digest, asked.part, _AWAITED)
    elif asked.clip:
        _bundled(session, asked)
    _network(session, asked)


def opened(session: Session, material: Material) -> None:
    """Put a session file before the visitor, with the pins and options that it keeps."""
    if material.session is None:
        return
    held = material.session
    analysis = held.analysis
    session.choose_material(material)
    session.asked = True
    if session.awaited is not None and session.awaited.digest == material.digest:
        session.keep(material.id, session.kept_pins(session.awaited.pins))  # as the address says
        session.remarks = ()
    else:
        session.options = settings.options(held.queries, held.settings)
        pins, session.remarks = settings.pins(held.queries, held.settings)
        session.keep(material.id, pins)
    sampling = sampling_of(analysis.clip)
    part = Part() if sampling is None else Part(sampling.start, sampling.frames, sampling.stride)
    made = held.provenance
    session.awaited = Awaited(made.clip, made.checksum, part, material.id)
    if made.model in _models():
        st.session_state[MODEL] = made.model
        session.sizes[made.model] = max(made.input)


def _bundled(session: Session, asked: Address) -> None:
    named = [each for each in bundled() if each.name == asked.clip]
    if not named:
        names = ", ".join(each.name for each in bundled())
        session.remarks += (
            f"There is no sample '{asked.clip:.60}'; choose one of {names}, or give your own file.",
        )
        return
    material = named[0]
    session.material = material
    session.parts[material.id] = asked.part
    if asked.pins is not None:
        session.keep(material.id, _pins(asked))


def _pins(asked: Address) -> Pins:
    return Pins.of(asked.pins or ())


def _network(session: Session, asked: Address) -> None:
    from nlviz.models import zoo

    model = asked.model
    if model and model not in _models():
        usual = zoo.bundled()[0]
        session.remarks += (
            f"There is no network '{model:.60}' here; {usual} is shown. A network of one's own is "
            "given when the app is started, with --model.",
        )
        return
    if model:
        st.session_state[MODEL] = model
        if not startup.is_own(model) and not zoo.is_here(model):
            session.remarks += (f"{model} is to be fetched first, in the sidebar.",)
    if asked.size is None:
        return
    nearest = min(SIZES, key=lambda size: abs(size - (asked.size or size)))
    size = asked.size if startup.is_own(model) else nearest
    session.sizes[model or _models()[0]] = size
    if size != asked.size:
        session.remarks += (f"An input of {asked.size} px is not offered; {size} px is shown.",)


def _models() -> tuple[str, ...]:
    from nlviz.models import zoo

    mine = startup.given()
    return (mine.name, *zoo.names()) if mine else zoo.names()
