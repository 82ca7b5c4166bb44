"""Files that a visitor gives: a clip or session of their own, or the clip that is awaited."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app import uploads
from nlviz.app.choice import bundled, offered, uploaded
from nlviz.app.endings import SESSION, UPLOADS
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.sidebar import camera, restore, upload_word
from nlviz.app.visit import Opening, Visit
from nlviz.errors import NlvizError

_KEY = "upload"


def offer(visit: Visit) -> None:
    """Take a file of the visitor's own."""
    most = int(st.get_option("server.maxUploadSize"))
    with st.container(gap=None):  # the word takes no room while there is none
        st.file_uploader(
            "Your own clip, photo or session",
            type=list(UPLOADS),
            key=_KEY,
            on_change=safely(take),
            args=(visit, _KEY),
            help=f"At most {most:d} MB. {plain(upload_word.instead())}",
        )
        upload_word.show(most)
    camera.offer(_KEY)


def ask(visit: Visit, key: str) -> None:
    """Ask for the awaited clip; a sample of that name needs only a click."""
    awaited = visit.awaited
    if awaited is None:
        return
    for sample in offered():
        if sample.name == awaited.name:
            st.button(
                f"Open {plain(sample.name)}",
                key=f"{key}-sample",
                on_click=safely(visit.give),
                args=(sample,),
            )
            return
    session_file = awaited.name.lower().endswith(f".{SESSION}")
    st.file_uploader(
        "Upload the file",
        type=[kind for kind in UPLOADS if (kind == SESSION) == session_file],
        key=key,
        on_change=safely(take),
        args=(visit, key),
        kwargs={"wanted": True},
    )


def take(visit: Visit, key: str, *, wanted: bool = False) -> None:
    """Show an uploaded file next; where it cannot be read, only a sentence will say so.

    ``wanted`` says that the visitor gives it as the awaited clip.
    """
    file: UploadedFile | None = st.session_state[key]
    if file is None:
        if visit.material is not None and not visit.material.is_public:
            visit.choose_material(bundled()[0])
        return
    if uploads.is_taken(file):
        return
    try:
        material = uploaded(file.name, uploads.admit(file))
    except NlvizError as error:
        visit.fail(str(error))
        return
    if material.session is not None:
        restore.from_session(visit, material)
    else:
        visit.opening = Opening(material, wanted)
