"""Uploads leave Streamlit's memory for the server's disk as soon as they are there."""

from __future__ import annotations

import weakref

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from nlviz.app import startup
from nlviz.app.held import DISK, Held
from nlviz.app.meters import METERS
from nlviz.errors import MediaError

COOKIE = "nlviz_browser"
"""Tells one browser from another, so that a page that is loaded again finds its upload."""

_TAKEN = "nlviz-taken"

_given: weakref.WeakValueDictionary[tuple[str, str], Held] = weakref.WeakValueDictionary()


def given_before(digest: str) -> Held | None:
    """What this very browser gave and the server still holds; None for anybody else's."""
    browser = _browser()
    return None if browser is None else _given.get((browser, digest))


def _browser() -> str | None:
    cookies: dict[str, str] = st.context.cookies.to_dict()
    return cookies.get(COOKIE)


def admit(file: UploadedFile) -> Held:
    """An upload on disk, which stays for as long as somebody refers to it.

    Two of the same content are one. MediaError, and nothing of it is kept, where the server takes
    none, or holds as much as it may: there is always room for one file.
    """
    try:
        if startup.is_demo():
            raise MediaError("This server shows its own clips alone; choose one in the gallery.")
        held = DISK.hold(file.getvalue(), startup.disk_bytes())
        browser = _browser()
        if browser is not None:
            _given[browser, held.digest] = held
        return held
    except MediaError:
        METERS.refused("upload")
        raise
    finally:
        taken: set[str] = st.session_state.setdefault(_TAKEN, set())
        taken.add(file.file_id)
        _empty(file)


def is_taken(file: UploadedFile) -> bool:
    """Whether this visitor's upload was admitted before, or refused.

    Streamlit says once more that a control has changed, with what is left of its file, where the
    page still sends a control that has gone in the meantime.
    """
    return file.file_id in st.session_state.get(_TAKEN, ())


def let_go(file_id: str) -> None:
    """Hold an upload of this visitor no longer."""
    manager, session = _of_streamlit()
    if manager is not None:
        manager.remove_file(session_id=session, file_id=file_id)


def _empty(file: UploadedFile) -> None:
    """Streamlit keeps the name of the file, which its control shows, and nothing of its content.

    Neither in its store nor in what the control gave, which stays for as long as the page does.
    """
    file.seek(0)
    file.truncate()
    manager, session = _of_streamlit()
    if manager is not None and manager.get_files(session, [file.file_id]):
        manager.add_file(session, UploadedFileRec(file.file_id, file.name, file.type, b""))


def _of_streamlit() -> tuple[MemoryUploadedFileManager | None, str]:
    context = get_script_run_ctx(suppress_warning=True)
    manager = None if context is None else context.uploaded_file_mgr
    if context is None or not isinstance(manager, MemoryUploadedFileManager):
        return None, ""
    return manager, context.session_id
