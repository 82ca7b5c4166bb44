"""Who may come in, where the owner has set up ``st.login``: secrets with a section ``[auth]``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit import runtime
from streamlit.errors import StreamlitAuthError, StreamlitSecretNotFoundError

from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.uploads import COOKIE
from nlviz.errors import NlvizError

FAILED = "login=failed"
"""What the page's address says where a visitor comes back without having logged in."""

_MOST, _LONGEST = 256, 4000  # addresses that wait for their visitors, and the signs of one

_COOKIE = b"_streamlit_user="

_asked: dict[str, dict[str, list[str]]] = {}
_lock = threading.Lock()


def check() -> None:
    """NlvizError where there are secrets that cannot be read: they may be those of the login."""
    _is_wanted()


def is_passed() -> bool:
    """Whether this visitor has logged in, or need not; else the page asks them to."""
    failed = "login" in st.query_params
    if failed:
        del st.query_params["login"]
        _go_on()  # with what was asked, for the next try
    try:
        wanted = _is_wanted()
    except NlvizError:
        st.error("Nobody can come in until the owner of this server has mended its secrets.")
        return False
    if not wanted:
        return True
    if st.user.get("is_logged_in"):
        _go_on()
        return True
    if failed:
        st.error(
            "You are not logged in: the login was given up, or its provider does not answer or "
            "does not know this server. Try again, or tell whoever runs the server."
        )
    with st.container(key="login", border=True):
        st.markdown("#### Log in to use nlviz")
        st.markdown("Whoever runs this server wants to know who uses it.")
        st.button("Log in", type="primary", on_click=safely(_log_in))
    return False


def offer_to_leave() -> None:
    """A button to log out, for who has logged in."""
    if _is_wanted() and st.user.get("is_logged_in"):
        st.button("Log out", on_click=safely(st.logout))


def is_outside(session: str) -> bool:
    """Whether a session is of somebody who would have to log in first."""
    try:
        if not _is_wanted():
            return False
    except NlvizError:
        return True
    found = runtime.get_instance()._session_mgr.get_active_session_info(session)
    return found is None or not found.session._user_info.get("is_logged_in")


def way_back(
    path: str, query: str, status: int, headers: Sequence[tuple[bytes, bytes]]
) -> str | None:
    """Where a visitor goes whose login failed; None for any other answer of the server's.

    Args:
        path, query: what the browser asked for.
        status, headers: what Streamlit answers: an error, or a way to the page without a login.
    """
    if path.endswith("/auth/login"):
        return f"{path.removesuffix('auth/login')}?{FAILED}" if status >= 400 else None
    said = {each.partition("=")[0] for each in query.split("&")}
    if not path.endswith("/oauth2callback") or not said & {"code", "error"}:
        return None  # who has logged out comes by here too
    cookies = [value for name, value in headers if name == b"set-cookie"]
    is_in = any(each.startswith(_COOKIE) and b"Max-Age=0" not in each for each in cookies)
    return None if is_in else f"{path.removesuffix('oauth2callback')}?{FAILED}"


def _is_wanted() -> bool:
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError as error:
        if any(Path(file).exists() for file in st.get_option("secrets.files")):
            raise NlvizError(f"{str(error).rstrip('.')}; mend that file.") from None
        return False  # no secrets at all


def _log_in() -> None:
    _keep_address()
    try:
        st.login()
    except StreamlitAuthError as error:
        st.error(f"Nobody can log in, as the server is not set up for it: {plain(str(error))}")


def _keep_address() -> None:
    """Keep what the page's address asks: the provider sends the visitor back without it."""
    browser = _browser()
    asked = {name: st.query_params.get_all(name) for name in st.query_params}
    if browser is None or sum(len(value) for each in asked.values() for value in each) > _LONGEST:
        return
    with _lock:
        _asked.pop(browser, None)
        while len(_asked) >= _MOST:
            del _asked[next(iter(_asked))]
        _asked[browser] = asked


def _go_on() -> None:
    """Give the address back its words."""
    browser = _browser()
    with _lock:
        asked = _asked.pop(browser, None) if browser else None
    if asked and not st.query_params:
        st.query_params.from_dict(asked)


def _browser() -> str | None:
    cookies: dict[str, str] = st.context.cookies.to_dict()
    return cookies.get(COOKIE)
