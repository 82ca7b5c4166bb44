"""The harness as a page: the viewer alone, with a host as small as can be."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from nlviz.viewer import bundle
from tests.support import blobs

HARNESS = Path(__file__).with_name("harness.html")


class Viewer:
    """A page with one viewer in it, and what a person does with it."""

    def __init__(
        self,
        browser: Browser,
        *,
        width: int = 1280,
        height: int = 800,
        before: str = "",
        **context: Any,
    ) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **context)
        self.context.add_init_script(before)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        html = HARNESS.read_text(encoding="utf-8")
        html = html.replace("/*STYLE*/", bundle.style()).replace("/*LIBRARY*/", bundle.library())
        self.page.set_content(html)
        self.page.wait_for_function("() => globalThis.host !== undefined")

    def put(self, blob: bytes) -> str | None:
        tag: str | None = self.page.evaluate("text => host.put(text)", blobs.text(blob))
        return tag

    def show(self, **data: Any) -> None:
        self.page.evaluate("data => host.show(data)", data)
        self.frame()

    def frame(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def state(self) -> dict[str, Any]:
        self.frame()
        state: dict[str, Any] = self.page.evaluate("() => root.nlviz.state()")
        return state

    def at(self, t: int, x: float, y: float) -> tuple[float, float]:
        point = self.page.evaluate("place => root.nlviz.toClient(place)", {"t": t, "x": x, "y": y})
        return point["x"], point["y"]

    def hover(self, t: int, x: float, y: float) -> dict[str, Any]:
        self.page.mouse.move(*self.at(t, x, y))
        return self.state()

    def click(self, t: int, x: float, y: float) -> dict[str, Any]:
        self.page.mouse.click(*self.at(t, x, y))
        return self.state()

    def leave(self) -> dict[str, Any]:
        self.page.mouse.move(2, 2)
        return self.state()

    def settle(self) -> dict[str, Any]:
        """The state once the host has answered."""
        self.page.wait_for_timeout(80)
        return self.state()

    def pixels(self, layer: str, t: int) -> NDArray[np.uint8]:
        """(n, 4) RGBA of one canvas ("frames", "heat" or "ink") over frame t, row by row."""
        text = self.page.evaluate(
            """([layer, t]) => {
                const canvas = document.querySelector(`.nlviz-${layer}`);
                const { x, y, w, h } = root.nlviz.state().layout.frames[t];
                const r = devicePixelRatio;
                const { data } = canvas.getContext("2d").getImageData(x * r, y * r, w * r, h * r);
                return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
            }""",
            [layer, t],
        )
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 4)

    def acts(self) -> list[dict[str, Any]]:
        acts: list[dict[str, Any]] = self.page.evaluate("() => host.acts")
        return acts

    def close(self) -> None:
        self.context.close()


def loaded(
    browser: Browser,
    *blocks: blobs.Block,
    clip: bytes | None = None,
    options: Any = None,
    **kwargs: Any,
) -> Viewer:
    """A viewer that shows a clip and some blocks."""
    view = Viewer(browser, **kwargs)
    tag = view.put(clip if clip is not None else blobs.clip())
    tags = [view.put(block.blob()) for block in blocks]
    view.show(clip=tag, blocks=tags, **({"options": options} if options else {}))
    return view


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Viewer]]:
    """Opens viewers, closes them after the test, and fails it if a page threw anything."""
    opened: list[Viewer] = []

    def open_one(*blocks: blobs.Block, **kwargs: Any) -> Viewer:
        opened.append(loaded(browser, *blocks, **kwargs))
        return opened[-1]

    yield open_one
    errors = [error for view in opened for error in view.errors]
    for view in opened:
        view.close()
    assert errors == []
