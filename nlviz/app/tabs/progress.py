"""The progress of a background job: how far it is, a button that stops it, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import streamlit as st

from nlviz.app.choice import Choice
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.tabs import jobs

TAB = "open-tab"
"""Key of the fragment that a tab is drawn in."""

AT_ONCE = 0.2
"""Seconds: what is done in these needs no progress."""

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "nlviz_waiting",
    html="""<div class="waiting"><p role="status"></p>
<div role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"><i></i></div>
<button type="button">Stop</button></div>
""",
    css=(_HERE / "progress.css").read_text(encoding="utf-8"),
    js=(_HERE / "progress.js").read_text(encoding="utf-8"),
)


def job_result(about: Choice, key: Hashable, work: jobs.Work, *, name: str) -> Any:
    """What a background job gives, or None while it is not there and the page says why.

    The tab is drawn again when the job is done; until then only the progress is. ``name`` tells
    two such places of one page apart.
    """
    here = jobs.current()
    if here.urgent:
        st.caption("This waits until the viewer has what it asked for.")
        return None
    job = here.ask(about, key, work)
    job.wait(AT_ONCE)
    if job.gave:
        return job.result
    tell(job, about, key, name=name, scope=TAB)
    return None


def tell(job: jobs.Job, about: Hashable, key: Hashable, *, name: str, scope: str) -> None:
    """How far a job is, or why it gives nothing; ``scope`` is drawn again when it ends.

    It is for a job that had given nothing when it was looked at. One that ends meanwhile is told as
    running, for only then is ``scope`` drawn again with what it gives.
    """
    if job.done and job.failed:
        st.error("This could not be computed; the server's log says why.", icon="⚠️")
    elif job.done and job.problem is not None:
        st.info(plain(job.problem))
    elif job.stopped:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Stopped, as nobody was looking." if job.alone else "Stopped.")
            again = "Go on" if job.alone else "Start again"
            forget = jobs.current().forget
            st.button(again, key=f"again-{name}", on_click=safely(forget), args=(about, key))
    else:
        _progress(job, name, scope)


@st.fragment
def _progress(job: jobs.Job, name: str, scope: str) -> None:
    """Reruns alone: charts and pictures around it are not drawn at each look."""
    _mount(
        key=f"waiting-{name}",
        # The beat makes each answer a new one: the page asks again after each.
        data={"fraction": job.fraction, "status": job.status, "beat": time.monotonic()},
        on_tick_change=safely(lambda: _look(job, scope)),
        on_stop_change=safely(lambda: _stop(job, scope)),
    )


def _look(job: jobs.Job, scope: str) -> None:
    job.keep_alive()
    if not job.runs:
        st.rerun(scope)


def _stop(job: jobs.Job, scope: str) -> None:
    job.stop()
    st.rerun(scope)
