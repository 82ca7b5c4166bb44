"""What the server holds of its visitors' uploads, which is bounded over all of them."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app import startup, store
from nlviz.errors import MediaError


def admit(file: UploadedFile) -> bytes:
    """The content of an upload, which stays for as long as its visitor has it.

    MediaError, and nothing of it is kept, where the server holds more than it may: as much as it
    keeps of results, and always room for one file.
    """
    most = max(startup.keep_bytes() or store.usual(), _largest())
    held = _held()
    if held > most and held > file.size:
        let_go(file.file_id)
        raise MediaError(
            f"This server holds {held / 1e6:,.0f} MB of its visitors' files and takes no more now; "
            "try again when somebody has left, or give a smaller file."
        )
    return file.getvalue()


def let_go(file_id: str) -> None:
    """Hold an upload of this visitor no longer."""
    context = get_script_run_ctx(suppress_warning=True)
    manager = None if context is None else context.uploaded_file_mgr
    if context is not None and isinstance(manager, MemoryUploadedFileManager):
        manager.remove_file(session_id=context.session_id, file_id=file_id)


def _held() -> int:
    context = get_script_run_ctx(suppress_warning=True)
    manager = None if context is None else context.uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    return sum(each.byte_length for stats in manager.get_stats().values() for each in stats)


def _largest() -> int:
    return int(st.get_option("server.maxUploadSize") or 0) << 20
