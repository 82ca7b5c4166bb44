"""The field that takes a network by name, and the loading of what was put into it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app import named, running, startup
from nlviz.app.guard import safely
from nlviz.app.loading import wait
from nlviz.app.tabs import jobs
from nlviz.app.tabs.progress import AT_ONCE, tell
from nlviz.app.visit import Visit
from nlviz.display import one_line
from nlviz.inference.by_name.spec import is_by_name, nearest_spec
from nlviz.models import zoo
from nlviz.progress import Progress

_TURNS = "nlviz-by-name"  # how many were given: each time the field is a new one, and empty


def offer(visit: Visit) -> None:
    """The field; without one where this server has nothing to offer."""
    offered, free = named.offered(), named.may_type()
    if not offered and not free:
        return
    turn = st.session_state.get(_TURNS, 0)
    key = f"by-name-{turn}"
    st.selectbox(
        "Another network by name",
        offered,
        index=None,
        key=key,
        accept_new_options=free,
        placeholder="timm:…, hf:… or torchhub:…" if free else "Choose one",
        on_change=safely(_take),
        args=(visit, key),
        help="Any network of timm, Hugging Face or torch.hub; those that are on this machine are "
        "offered. What it takes comes from its own configuration."
        if free
        else "What whoever runs this server allows and has on this machine.",
    )


def _take(visit: Visit, key: str) -> None:
    said = st.session_state[key]
    if said is None:
        return
    spec = one_line(str(said), named.LONGEST)
    st.session_state[_TURNS] = st.session_state.get(_TURNS, 0) + 1
    if not is_by_name(spec):
        visit.fail(
            nearest_spec(spec, zoo.names())
            or f"'{spec}' names no network; write timm:NAME, hf:ORG/NAME or torchhub:REPO:ENTRY."
        )
        return
    visit.problem = visit.failed = None
    visit.naming = spec


def read(visit: Visit, place: DeltaGenerator | None = None) -> str | None:
    """Go on with what was named; what the menu calls it, once it is loaded.

    ``place`` on the page says how far that is where there is nothing else to see.
    """
    spec = visit.naming
    if spec is None:
        return None
    here, about = jobs.current(), ("by name", spec)
    job = here.ask(about, spec, lambda progress: _load(spec, progress), urgent=True)
    if place is None:
        job.wait(AT_ONCE)
    else:
        wait(job, place, blocks=visit.shown is None)
    if job.runs:
        tell(job, about, spec, name="by-name", scope="app")
        return None
    here.forget(about, spec)
    visit.naming = None
    if job.result is None:
        if not job.stopped:
            _fail(visit, job.problem or "This could not be loaded; the server's log says why.")
        return None
    visit.named = tuple(dict.fromkeys((*visit.named, spec)))
    return spec


def _fail(visit: Visit, why: str) -> None:
    """What an address named is a remark, which stays when the usual network is shown instead."""
    if visit.restoring:
        visit.remarks += (f"{why} {startup.first_model()} is shown.",)
    else:
        visit.fail(why)


def _load(spec: str, progress: Progress) -> bool:
    running.load_by_name(spec, progress)
    named.remember(spec)
    return True
