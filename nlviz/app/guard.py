"""Log an unexpected error with its traceback, and show one calm sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

logger = logging.getLogger("nlviz")


@contextmanager
def guarded() -> Iterator[None]:
    """Keep an unexpected error from the page; Streamlit's own signals pass through."""
    try:
        yield
    except Exception:
        logger.exception("the app failed")
        st.error(
            "Something went wrong in the app itself; the server's log says what. "
            "Reload the page or choose another clip.",
            icon="⚠️",
        )
