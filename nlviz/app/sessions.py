"""Streamlit's sessions: one for each page that is open, by an id of its own."""

from __future__ import annotations

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx


def own() -> str | None:
    """The session whose page is drawn in this thread; None outside of a server."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context is not None and runtime.exists() else None


def is_connected(session: str) -> bool:
    """Whether its page is there, if only behind a hidden tab."""
    return runtime.exists() and runtime.get_instance().is_active_session(session)
