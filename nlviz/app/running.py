"""The networks that the app runs: loaded once for all visitors, and one at a time."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from nlviz.app import startup
from nlviz.models import zoo
from nlviz.progress import Progress

_PATIENCE = 0.1  # seconds between two checks whether the visitor has chosen something else


@st.cache_resource(show_spinner=False, max_entries=2)
def network(name: str) -> Any:
    """A loaded network, shared by all visitors; NetworkError if it cannot be loaded."""
    # A file is run for its owner alone, who named it at the start: never for what an address names.
    loaded = startup.load(name) if startup.is_user_model(name) else zoo.load(name)
    # Torch's half a million objects live as long as the server: no collection need walk them.
    gc.collect()
    gc.freeze()
    return loaded


@st.cache_resource(show_spinner=False)
def _inference_lock() -> threading.Lock:
    return threading.Lock()


@contextmanager
def one_at_a_time(progress: Progress) -> Iterator[None]:
    """Hold this to run a network; ``progress`` is told while somebody else does."""
    lock = _inference_lock()
    while not lock.acquire(timeout=_PATIENCE):
        progress(0.05, "Waiting for another computation to end")
    try:
        yield
    finally:
        lock.release()
