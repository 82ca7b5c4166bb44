"""The real app on a free port, and a page of it: what a person does and what the canvas drew."""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    WebSocket,
    sync_playwright,
)

from tests.support.browser import launch
from tests.support.server import free_port, serving

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0  # seconds; a loaded machine may need them, a quiet one does not
WORD_COMES = 500  # ms

# The component lives in a shadow root; its debugging face hangs on the card's parent.
_FIND = """
    globalThis.nlvizRoot = () => {
        if (globalThis.nlvizFound?.isConnected) return globalThis.nlvizFound.parentNode;
        for (const node of document.querySelectorAll('*')) {
            const card = node.shadowRoot?.querySelector('.nlviz');
            if (card) { globalThis.nlvizFound = card; return card.parentNode; }
        }
        return null;
    };
"""


@contextmanager
def serve(log: Path) -> Iterator[str]:
    """``streamlit run app.py`` as a visitor would; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with serving(command, ROOT, port, log) as address:
        yield address


class AppPage:
    """One visitor."""

    def __init__(self, browser: Browser, address: str, **context: Any) -> None:
        viewport = {"width": 1280, "height": 900}
        self.context = browser.new_context(**{"viewport": viewport, **context})
        self.context.add_init_script(_FIND)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.sent = 0  # messages to Python
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)
        self.page.on("websocket", self._opened)
        self.page.goto(address)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        self.addresses.append(request.url)

    def _opened(self, socket: WebSocket) -> None:
        self.addresses.append(socket.url)
        socket.on("framesent", self._said)

    def _said(self, _: object) -> None:
        self.sent += 1

    def state(self) -> dict[str, Any] | None:
        """What the viewer says that it shows; None before it is there."""
        state: dict[str, Any] | None = self.page.evaluate("() => nlvizRoot()?.nlviz?.state()")
        return state

    def until(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The state once it is as wanted."""
        end = time.monotonic() + PATIENCE
        state = None
        while time.monotonic() < end:
            state = self.state()
            if state and wanted(state):
                return state
            self.page.wait_for_timeout(30)
        raise AssertionError(f"never: {what}; last seen {state}")

    def ready(self, pins: int = 1) -> dict[str, Any]:
        """The state once frames, links and that many exact pins are there."""

        def wanted(state: dict[str, Any]) -> bool:
            drawn = state["layout"] and state["drawn"]["frames"] == len(state["layout"]["frames"])
            return bool(drawn and len(state["pins"]) == pins and settled(state))

        return self.until(wanted, f"{pins} exact pins")

    def loaded(self) -> None:
        """Return once the network is there, and the first sample's fresh analysis with it.

        The word in the corner says that it is not; it comes with the tabs.
        """
        self.page.get_by_role("tab").first.wait_for(timeout=PATIENCE * 1000)
        self.page.wait_for_timeout(WORD_COMES)
        self.page.locator(".word").wait_for(state="detached", timeout=PATIENCE * 1000)

    def at(self, t: int, x: float, y: float) -> tuple[float, float]:
        """CSS pixels of a place of the clip, scrolled into view."""
        point = self.page.evaluate(
            "place => { const root = nlvizRoot();"
            " root.querySelector('.nlviz-stage').scrollIntoView({block: 'nearest'});"
            " return root.nlviz.toClient(place); }",
            {"t": t, "x": x, "y": y},
        )
        return point["x"], point["y"]

    def hover(self, t: int, x: float, y: float) -> dict[str, Any]:
        self.page.mouse.move(*self.at(t, x, y))
        return self.until(lambda s: bool(s["place"] and s["place"]["hovered"]), "a hovered place")

    def click(self, t: int, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(t, x, y))

    def leave(self) -> None:
        self.page.mouse.move(1, 1)

    def pixels(self, layer: str) -> NDArray[np.uint8]:
        """(height, width, 4) RGBA of one canvas: "frames", "heat" or "ink"."""
        width, height, text = self.page.evaluate(
            """layer => {
                const canvas = nlvizRoot().querySelector(`.nlviz-${layer}`);
                const { width, height } = canvas;
                const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
                let text = "";
                for (let i = 0; i < data.length; i += 32768)
                    text += String.fromCharCode(...data.subarray(i, i + 32768));
                return [width, height, btoa(text)];
            }""",
            layer,
        )
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    def upload(self, name: str, content: bytes, kind: str) -> None:
        file = {"name": name, "mimeType": kind, "buffer": content}
        self.page.locator("input[type=file]").set_input_files(files=file)

    def close(self) -> None:
        self.context.close()


@contextmanager
def visiting(query: str = "", pins: int = 1, **context: Any) -> Iterator[AppPage]:
    """The app as a new visitor finds it, with a server and a browser of its own.

    ``query`` is that of its address, and ``pins`` how many it opens with; ``context`` goes to
    ``Browser.new_context``.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "server.log") as address,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        page = AppPage(browser, f"{address}/{query}", **context)
        page.ready(pins)
        if pins:
            page.loaded()
        yield page
        page.close()
        browser.close()


def settled(state: dict[str, Any]) -> bool:
    """Whether Python has answered for every pin."""
    return all(pin["exact"] and not pin["pending"] for pin in state["pins"])
