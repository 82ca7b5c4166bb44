"""Restore what an address or a session file says: clip, frames, network, options and pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nlviz.app import media_folder, named, startup, uploads
from nlviz.app.address import reading
from nlviz.app.choice import ClipPart, Material, offered, sample, served, uploaded
from nlviz.app.sidebar.networks import MODEL, SIZES
from nlviz.app.visit import Awaited, Opening, Visit
from nlviz.errors import MediaError, NlvizError
from nlviz.inference.by_name.spec import is_by_name
from nlviz.models import zoo
from nlviz.provenance import sampling_of
from nlviz.viewer import settings
from nlviz.viewer.pins import Pins

if TYPE_CHECKING:
    from nlviz.app.address.query_string import Address

_AWAITED = "awaited"


def from_address(visit: Visit, said: Mapping[str, Sequence[str]]) -> None:
    """Begin a new visit as the address says; a remark for each thing that cannot be shown."""
    address, problems = reading.read(said)
    visit.restoring, visit.remarks = True, problems
    visit.options = address.options
    if address.digest and startup.is_demo():
        visit.remarks += (
            f"The address is of a file '{address.clip:.60}', and this server shows its own clips "
            "alone.",
        )
    elif address.digest:
        visit.material = None
        visit.keep(_AWAITED, _pins(address))
        visit.awaited = Awaited(address.clip, address.digest, address.part, _AWAITED)
        held = uploads.given_before(address.digest)
        if held is not None:  # the page was loaded again
            visit.opening = Opening(uploaded(address.clip, held), wanted=True)
    elif address.clip:
        _sample(visit, address, of_frames="frames" in said)
    if visit.material is None or visit.material.session is None:
        _network(visit, address)


def from_session(visit: Visit, material: Material, said: Pins | None = None) -> None:
    """Show a session file, with the pins and options that it keeps.

    Or with the pins that an address ``said``, and its options, which the visit has by then.
    """
    if material.session is None:
        return
    held = material.session
    analysis = held.analysis
    visit.choose_material(material)
    visit.restoring = True
    if visit.awaited is not None and visit.awaited.digest == material.digest:
        said = visit.kept_pins(visit.awaited.pins)
        visit.remarks = ()
    if said is not None:
        visit.keep(material.id, said)
    else:
        visit.options = settings.options(held.queries, held.settings)
        pins, visit.remarks = settings.pins(held.queries, held.settings)
        visit.keep(material.id, pins)
    sampling = sampling_of(analysis.clip)
    part = ClipPart()
    if sampling is not None:
        part = ClipPart(sampling.start, sampling.frames, sampling.stride)
    made = held.provenance
    visit.awaited = Awaited(made.clip, made.checksum, part, material.id)
    _, own = visit.own.get(made.model, ("", None))
    if made.model in _models() or (own is not None and own.checksum == made.weights):
        st.session_state[MODEL] = made.model
        visit.sizes[made.model] = max(made.input)


def _sample(visit: Visit, address: Address, *, of_frames: bool) -> None:
    """Show a sample; ``of_frames``: the address says how many frames of it."""
    try:
        material = _named(address.clip)
    except NlvizError as error:
        visit.remarks += (str(error),)
        return
    if material.session is not None:
        from_session(visit, material, None if address.pins is None else _pins(address))
        return
    visit.material = material
    visit.parts[material.id] = address.part
    if not of_frames:
        visit.usual_frames[material.id] = address.part.frames
    if address.pins is not None:
        visit.keep(material.id, _pins(address))


def _named(name: str) -> Material:
    """A sample, or a file of the server's folder."""
    if name.startswith(media_folder.PREFIX):
        return served(name.removeprefix(media_folder.PREFIX))
    if startup.is_demo() and name not in {each.name for each in offered()}:
        raise MediaError(f"This server does not show '{name:.60}'; choose a clip in the gallery.")
    return sample(name)


def _pins(address: Address) -> Pins:
    return Pins.of(address.pins or ())


def _network(visit: Visit, address: Address) -> None:
    model = address.model
    if is_by_name(model) and not startup.is_user_model(model):
        _by_name(visit, address)
        return
    if model and model not in _models():
        usual, known = startup.first_model(), model.partition(" (")[0]
        visit.remarks += (
            f"The weights of '{model:.60}' are with who gave them; {usual} is shown. To see it, "
            f"choose {known} in the sidebar and upload them."
            if known in startup.offered_models()
            else f"The network '{model:.60}' is not available here; {usual} is shown. To use your "
            "own network, start the app with --model.",
        )
        return
    if model:
        st.session_state[MODEL] = model
        if not startup.is_user_model(model) and not zoo.is_here(model):
            visit.remarks += (f"Download {model} first, in the sidebar.",)
    visit.layers[model or _models()[0]] = address.layer
    if address.size is None:
        return
    nearest = min(SIZES, key=lambda size: abs(size - (address.size or size)))
    size = address.size if startup.is_user_model(model) else nearest
    visit.sizes[model or _models()[0]] = size
    if size != address.size:
        visit.remarks += (f"An input of {address.size} px is not offered; {size} px is shown.",)


def _by_name(visit: Visit, address: Address) -> None:
    """The sidebar loads it, or says why not."""
    model = address.model
    if not named.may_load(model):
        visit.remarks += (
            f"This server does not offer the network '{model:.60}'; {startup.first_model()} is "
            "shown.",
        )
        return
    visit.naming = model
    visit.layers[model] = address.layer
    if address.size is not None:
        visit.sizes[model] = address.size
    if address.asked is not None:
        visit.asked[model] = address.asked


def _models() -> tuple[str, ...]:
    started = startup.user_model()
    offered = startup.offered_models()
    return (started.name, *offered) if started else offered
