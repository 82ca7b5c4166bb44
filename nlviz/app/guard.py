"""Log an unexpected error with its traceback, and show one calm sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import streamlit as st

from nlviz.app.meters import METERS

_SORRY = (
    "Something went wrong in the app itself; the server's log says what. "
    "Reload the page or choose another clip."
)

logger = logging.getLogger("nlviz")


@contextmanager
def guarded() -> Iterator[None]:
    """Keep an unexpected error from the page; Streamlit's own signals pass through."""
    try:
        yield
    except Exception:
        logger.exception("the app failed")
        METERS.error()
        st.error(_SORRY, icon="⚠️")


@contextmanager
def logged() -> Iterator[None]:
    """Log an unexpected error of what runs ahead: whoever needs it comes to it again."""
    try:
        yield
    except Exception:
        logger.exception("the app failed ahead of a visitor")
        METERS.error()


def safely(callback: Callable[..., None]) -> Callable[..., None]:
    """What a control does, for Streamlit calls it before anything is drawn, outside ``guarded``.

    An error is logged, and a sentence says so on the page.
    """

    @wraps(callback)
    def called(*args: Any, **named: Any) -> None:
        with guarded():
            callback(*args, **named)

    return called
