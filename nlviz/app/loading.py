"""What the page shows before the first analysis is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app.markdown import plain
from nlviz.app.tabs import jobs
from nlviz.app.tabs.progress import AT_ONCE
from nlviz.progress import Progress

_BEAT = 0.1  # seconds between two looks at a job


@contextmanager
def working(place: DeltaGenerator) -> Iterator[Progress]:
    """A bar that says what is being done, below grey frames where the clip will be.

    The report that it gives ends a run that was superseded, as every Streamlit call does.
    """
    with place.container():
        skeleton()
        bar = st.progress(0.0)
    try:
        yield lambda fraction, what: _tell(bar, fraction, what)
    finally:
        place.empty()


def wait(job: jobs.Job, place: DeltaGenerator, *, blocks: bool) -> None:
    """For what is soon there; to the end where it ``blocks``, as there is nothing else to show."""
    if not blocks:
        job.wait(AT_ONCE)
        return
    with working(place) as progress:
        while job.runs:
            progress(job.fraction, job.status)
            job.keep_alive()
            job.wait(_BEAT)


def skeleton() -> None:
    """Grey frames where the clip will be."""
    frames = "<i></i>" * 8
    st.html(f'<div class="skeleton" aria-hidden="true"><b></b><div>{frames}</div></div>')


def _tell(bar: DeltaGenerator, fraction: float, what: str) -> None:
    bar.progress(min(max(fraction, 0.0), 1.0), f"{plain(what)} …")
