"""The second clip or photo: a sample, a file of the server, or a visitor's own."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app import media_folder, startup, uploads
from nlviz.app.choice import Material, offered, served, uploaded
from nlviz.app.endings import CLIPS, SESSION
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.errors import NlvizError

_CHOSEN = "nlviz-another-clip"
_PROBLEM = "nlviz-another-clip-problem"
_MENU, _UPLOAD = "another-clip-menu", "another-clip-upload"


def choose() -> Material | None:
    """The clip that was chosen last, in the menu or by an upload; None until then."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Look in",
            list(_menu()),
            index=None,
            key=_MENU,
            format_func=plain,
            placeholder="Choose a clip or photo",
            on_change=safely(_chosen),
            width=320,
        )
        if not startup.is_demo():
            st.file_uploader(
                "Or in one of your own",
                type=list(CLIPS),
                key=_UPLOAD,
                on_change=safely(_given),
                width=360,
            )
    problem: str | None = st.session_state.get(_PROBLEM)
    if problem is not None:
        st.info(plain(problem))
    material: Material | None = st.session_state.get(_CHOSEN)
    return material


def _menu() -> dict[str, Material | None]:
    """What it is called → the sample; None for a file of the server's folder, by its name."""
    samples: dict[str, Material | None] = {each.title: each for each in offered()}
    names, _ = media_folder.names()
    return samples | {name: None for name in names if not name.lower().endswith(f".{SESSION}")}


def _chosen() -> None:
    name: str | None = st.session_state[_MENU]
    if name is not None:
        _keep(lambda: _menu().get(name) or served(name))


def _given() -> None:
    file: UploadedFile | None = st.session_state[_UPLOAD]
    if file is None:  # it was taken away, and so its file goes too
        st.session_state.pop(_CHOSEN, None)
    elif not uploads.is_taken(file):
        _keep(lambda: uploaded(file.name, uploads.admit(file)))


def _keep(found: Callable[[], Material]) -> None:
    st.session_state[_PROBLEM] = None
    try:
        st.session_state[_CHOSEN] = found()
    except NlvizError as error:
        st.session_state[_PROBLEM] = str(error)
