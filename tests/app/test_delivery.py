"""What a run has drawn reaches the page, and a click its run, where Streamlit would lose them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner.script_cache import ScriptCache

from nlviz.app import delivery
from tests.support.page_tree import PageTree

# As the app's page: tabs that come with the first pin, in a fragment of their own.
SCRIPT = """
import time
from pathlib import Path, PurePosixPath

import streamlit as st

count = st.session_state["count"] = st.session_state.get("count", -1) + 1

@st.fragment
def tab():
    st.markdown("tab")

@st.fragment
def viewer():
    drawn = st.session_state["drawn"] = st.session_state.get("drawn", -1) + 1
    st.markdown(f"viewer {drawn}")
    st.button("click", key="click", on_click=clicked)
    if drawn:
        with st.tabs(["one", "other"])[0]:
            tab()

def clicked():
    st.session_state["clicks"] = st.session_state.get("clicks", 0) + 1

viewer()
while Path(__file__).with_name("hold").exists():
    time.sleep(0.005)
st.markdown(f"end {count}")
"""


class Page:
    """A session, as Streamlit holds one for each page, and the page at its other end."""

    def __init__(self, folder: Path) -> None:
        script = folder / "script.py"
        script.write_text(SCRIPT)
        self.session = AppSession(
            ScriptData(str(script), is_hello=False),
            MemoryUploadedFileManager("/upload"),
            ScriptCache(),
            message_enqueued_callback=None,
            user_info={},
        )
        self.tree = PageTree()
        self.viewer = self.button = ""

    def ask(self, fragment: str = "", *, click: bool = False) -> None:
        state = ClientState(fragment_id=fragment)
        state.widget_states.SetInParent()
        if click:
            state.widget_states.widgets.add(id=self.button, trigger_value=True)
        self.session.request_rerun(state)

    async def ends(self) -> None:
        """Until no run is left, and its messages were taken in."""
        while self.session._scriptrunner is not None:
            await asyncio.sleep(0.005)

    def hear(self) -> list[str]:
        """What the page shows once all that was queued has reached it."""
        for message in self.session.flush_browser_queue():
            self.viewer = self.viewer or message.delta.fragment_id
            self.button = message.delta.new_element.button.id or self.button
            self.tree.hear(message)
        return self.tree.texts


@pytest.fixture(autouse=True)
def runtime() -> Iterator[None]:
    delivery.mend()
    mock = MagicMock(spec=Runtime)
    mock.bidi_component_registry = BidiComponentManager()
    before, Runtime._instance = Runtime._instance, mock
    yield
    Runtime._instance = before


def run(act: Callable[[Page], Coroutine[None, None, None]], folder: Path) -> None:
    async def acted() -> None:
        page = Page(folder)
        page.ask()
        await page.ends()
        assert page.hear() == ["viewer 0", "end 0"]
        await act(page)
        page.session.shutdown()

    # In a thread of its own: a browser of another test may have left this one in an event loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(acted())).result()


def test_two_clicks_at_once_bring_the_tabs_that_the_first_opens(tmp_path):
    async def act(page: Page) -> None:
        page.ask(page.viewer)
        page.ask(page.viewer)  # before anything of the first was sent
        await page.ends()
        page.ask(page.viewer)
        await page.ends()
        texts = page.hear()
        assert texts[1:] == ["tab", "end 0"]
        assert int(texts[0].split()[1]) >= 2

    run(act, tmp_path)


def test_a_click_as_a_run_ends_loses_nothing_of_that_run(tmp_path):
    async def act(page: Page) -> None:
        page.ask()
        page.session._scriptrunner._script_thread.join()  # it ends; nothing was taken in yet
        page.ask(page.viewer)
        await page.ends()
        assert page.hear() == ["viewer 2", "tab", "end 1"]

    run(act, tmp_path)


def test_a_click_that_waits_for_a_run_is_heard_once_by_the_run_that_takes_its_place(tmp_path):
    hold = tmp_path / "hold"

    async def act(page: Page) -> None:
        hold.touch()
        page.ask()
        while page.hear()[0] != "viewer 1":  # the run is in the middle
            await asyncio.sleep(0.005)
        page.ask(page.viewer, click=True)
        page.ask()
        hold.unlink()
        await page.ends()
        assert page.session.session_state["clicks"] == 1
        assert page.hear()[-1] == "end 2"

    run(act, tmp_path)


def test_a_file_that_was_made_at_a_click_stays_until_the_browser_has_fetched_it(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: now[0]))
    manager = MediaFileManager(MemoryMediaFileStorage("/media"))
    asked = manager.add_deferred(lambda: b"a page", "text/html", "1.0", "page.html")
    file = PurePosixPath(manager.execute_deferred(asked)).stem
    for _ in range(5):  # runs of other visitors end
        manager.remove_orphaned_files()
    assert manager.read_file(file).content == b"a page"
    now[0] = 61.0
    for _ in range(2):
        manager.remove_orphaned_files()
    assert manager.read_file(file) is None
