"""The menu of the server's own files, which are opened without an upload."""

from __future__ import annotations

import streamlit as st

from nlviz.app import media_folder, startup
from nlviz.app.choice import served
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.sidebar import restore
from nlviz.app.visit import Opening, Visit
from nlviz.errors import NlvizError

_KEY = "server-file"


def offer(visit: Visit) -> None:
    """A menu of the folder that the app was started with, if there is one."""
    if startup.media() is None:
        return
    names, more = media_folder.names()
    st.selectbox(
        "A file of this server",
        names,
        index=None,
        key=_KEY,
        format_func=plain,
        placeholder="Choose one" if not more else "Choose one, or type its name",
        accept_new_options=more,
        on_change=safely(_take),
        args=(visit,),
        help="Clips, pictures and sessions in the folder that this server was started with; of any "
        "size, as nothing is uploaded."
        + (f" The first {len(names):d} are listed; type the name of another." if more else ""),
    )


def _take(visit: Visit) -> None:
    name = st.session_state[_KEY]
    st.session_state[_KEY] = None  # so that the same can be chosen again after another clip
    if not name:
        return
    try:
        material = served(str(name))
    except NlvizError as error:
        visit.fail(str(error))
        return
    if material.session is not None:
        restore.from_session(visit, material)
    else:
        visit.opening = Opening(material, wanted=False)
