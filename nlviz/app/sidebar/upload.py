"""Giving: the clip that an address or a session file was made of, asked for again."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app.choice import SESSION, UPLOADS, bundled, uploaded
from nlviz.app.sidebar import restore
from nlviz.app.visit import Session
from nlviz.errors import NlvizError
from nlviz.media import probe


def ask(session: Session, key: str) -> None:
    """A place for the awaited clip; a sample that is called so needs only a click."""
    awaited = session.awaited
    if awaited is None:
        return
    for sample in bundled():
        if sample.name == awaited.name:
            st.button(
                f"Open {sample.name}", key=f"{key}-sample", on_click=session.give, args=(sample,)
            )
            return
    session_file = awaited.name.lower().endswith(f".{SESSION}")
    st.file_uploader(
        "Give the file",
        type=[kind for kind in UPLOADS if (kind == SESSION) == session_file],
        key=key,
        on_change=take,
        args=(session, key),
        kwargs={"wanted": True},
    )


def take(session: Session, key: str, *, wanted: bool = False) -> None:
    """Look at an uploaded file next; one that cannot be read changes nothing but a sentence.

    ``wanted`` says that it is given as the clip that is awaited.
    """
    file: UploadedFile | None = st.session_state[key]
    if file is None:
        if session.material is not None and session.material.data is not None:
            session.choose_material(bundled()[0])
        return
    try:
        material = uploaded(file.name, file.getvalue())
        if material.session is None:
            session.infos[material.id] = probe(material.source, name=material.name)
    except NlvizError as error:
        session.fail(str(error))
        return
    if material.session is not None:
        restore.opened(session, material)
    elif wanted or session.material is None:
        session.give(material)
    else:
        session.choose_material(material)
