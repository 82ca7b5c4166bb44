"""Who may come in, where the owner has set up ``st.login``: secrets with a section ``[auth]``."""

from __future__ import annotations

import streamlit as st
from streamlit.errors import StreamlitAuthError, StreamlitSecretNotFoundError

from nlviz.app.guard import safely
from nlviz.app.markdown import plain


def is_passed() -> bool:
    """Whether this visitor has logged in, or need not; else the page asks them to."""
    if not _is_wanted() or st.user.get("is_logged_in"):
        return True
    with st.container(key="login", border=True):
        st.markdown("#### Log in to use nlviz")
        st.markdown("Whoever runs this server wants to know who uses it.")
        st.button("Log in", type="primary", on_click=safely(_log_in))
    return False


def offer_to_leave() -> None:
    """A button to log out, for who has logged in."""
    if _is_wanted() and st.user.get("is_logged_in"):
        st.button("Log out", on_click=safely(st.logout))


def _is_wanted() -> bool:
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:  # no secrets at all
        return False


def _log_in() -> None:
    try:
        st.login()
    except StreamlitAuthError as error:
        st.error(f"Nobody can log in, as the server is not set up for it: {plain(str(error))}")
