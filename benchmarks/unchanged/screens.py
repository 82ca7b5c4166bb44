"""What a visitor sees in headless Chromium: the app of a checkout, and pages that it exported.

The app is asked as a visitor would ask it: the first clip is analysed, one pixel is clicked, each
tab is opened. A picture is taken once two in a row are the same. The address that stands in the
bar after the click is kept too, so that another checkout can open it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, Playwright

from benchmarks.unchanged import files
from benchmarks.unchanged.commands import ONE_THREAD, environment
from tests.support.app_page import AppPage
from tests.support.browser import FLAGS, find

Fact = tuple[str, Any]

THEMES = ("light", "dark")
WIDTHS = (1280, 1920, 390)
CLICK = (2, 200.0, 150.0)
IN_THE_BAR = "app, address: in the bar"
_PATIENCE = 120.0  # seconds
# The same pixels every time: tiles are drawn whole, glyphs and rounded corners likewise.
_DETERMINED = (
    "--disable-partial-raster",
    "--disable-lcd-text",
    "--disable-font-subpixel-positioning",
    "--disable-skia-runtime-opts",
    "--disable-threaded-animation",
    "--disable-threaded-scrolling",
    "--disable-checker-imaging",
    "--disable-image-animation-resync",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)
_STILL = "* { transition: none !important; animation: none !important; }"
# Tiles that were drawn while something moved keep its rounding; drawn anew they do not.
_DRAW_ANEW = """
    async () => {
        const next = (done) => requestAnimationFrame(() => requestAnimationFrame(done));
        const style = document.documentElement.style;
        style.visibility = "hidden";
        await new Promise(next);
        style.visibility = "";
        await new Promise(next);
    }
"""
_AT_REST = """
    () => {
        const app = document.querySelector("[data-testid=stApp]");
        const works = "progress, [role=progressbar], [data-testid=stSpinner]";
        return !document.querySelector(works) && app?.dataset.testScriptState === "notRunning";
    }
"""
_DRAWN = """
    () => {
        const state = document.getElementById("viewer").nlviz?.state();
        return state?.cell && state.drawn.frames === state.layout.frames.length;
    }
"""


def launched(playwright: Playwright) -> Browser:
    """A browser that draws the same thing twice alike."""
    flags = [*FLAGS, *_DETERMINED]
    return playwright.chromium.launch(executable_path=find(playwright), args=flags)


@contextmanager
def serve(checkout: Path, log: Path) -> Iterator[str]:
    """``streamlit run app.py`` in a checkout; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(
            command, cwd=checkout, env=environment(checkout) | ONE_THREAD, stdout=said, stderr=said
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address)
            yield address
        finally:
            server.terminate()
            server.wait()


def _wait_for(address: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address + "/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the app's server did not start")


def steady(page: Page, picture: Path) -> np.ndarray:
    """The window's pixels once they stay; kept as PNG too."""
    page.evaluate(_DRAW_ANEW)
    for step in (3, 2):  # what the mouse is over shows itself only after it has moved
        page.mouse.move(page.viewport_size["width"] - step, page.viewport_size["height"] - step)
    before, end = b"", time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        page.wait_for_timeout(500)
        now = page.screenshot(animations="disabled")
        if now == before:
            picture.write_bytes(now)
            return cv2.imdecode(np.frombuffer(now, np.uint8), cv2.IMREAD_COLOR)
        before = now
    raise RuntimeError(f"{picture.name} never stayed the same")


def of_app(checkout: Path, browser: Browser, folder: Path, asked: str | None) -> Iterator[Fact]:
    """Pictures of the app, what its viewer says, and what an address opens with.

    ``asked`` is the address's query; None for the app's own after the click.
    """
    folder.mkdir(exist_ok=True)
    with serve(checkout, folder / "server.log") as address:
        for theme in THEMES:
            for width in WIDTHS:
                page = _visit(browser, address, theme, width)
                name = f"app, {width} {theme}"
                yield f"{name}: pixels", steady(page.page, folder / f"{name}.png")
                if width == WIDTHS[0]:
                    yield from _said(page, "app, viewer", theme)
                    query = page.page.evaluate("() => location.search")
                    yield f"{IN_THE_BAR}, {theme}", query
                    asked = asked or query
                    yield from _tabs(page, theme, folder)
                page.close()
        page = AppPage(browser, f"{address}/{asked}")
        yield from _said(page, "app, opened by an address of before", "light")
        page.close()


def _visit(browser: Browser, address: str, theme: str, width: int) -> AppPage:
    """A new visitor, one click later."""
    size = {"width": width, "height": 1000}
    page = AppPage(browser, address, viewport=size, color_scheme=theme)
    page.page.add_style_tag(content=_STILL)
    page.ready()
    page.click(*CLICK)
    page.leave()
    page.ready(pins=2)
    page.page.wait_for_function("() => location.search.includes('pin=')")
    page.page.wait_for_function(_AT_REST, timeout=_PATIENCE * 1000)
    return page


def _said(page: AppPage, thing: str, which: str) -> Iterator[Fact]:
    state = page.ready(pins=2)
    pins = [{name: pin[name] for name in pin if name != "id"} for pin in state["pins"]]
    for name, value in (("pins", pins), ("links", state["links"]), ("options", state["options"])):
        yield f"{thing}: {name}, {which}", json.dumps(value)


def _tabs(page: AppPage, theme: str, folder: Path) -> Iterator[Fact]:
    """Each tab, opened in a window that is high enough for all of it."""
    page.page.set_viewport_size({"width": WIDTHS[0], "height": 2200})
    for tab in page.page.get_by_role("tab").all():
        word = tab.inner_text()
        tab.click()
        page.leave()
        page.page.wait_for_timeout(1000)
        page.page.wait_for_function(_AT_REST, timeout=_PATIENCE * 1000)
        name = f"tab {word.strip('?')}, {theme}"
        yield f"{name}: pixels", steady(page.page, folder / f"{name}.png")


def of_page(html: Path, browser: Browser, folder: Path) -> Iterator[Fact]:
    """Pictures of an exported page, and what its viewer says."""
    folder.mkdir(exist_ok=True)
    plain = folder / html.name
    plain.write_text(files.plain_program(html.read_text(encoding="utf-8")), encoding="utf-8")
    for theme in THEMES:
        context = browser.new_context(
            viewport={"width": WIDTHS[0], "height": 1000}, color_scheme=theme, offline=True
        )
        page = context.new_page()
        page.goto(plain.resolve().as_uri())
        page.wait_for_function(_DRAWN)
        page.locator("summary").click()
        name = f"page, {WIDTHS[0]} {theme}"
        yield f"{name}: pixels", steady(page, folder / f"{name}.png")
        links = page.evaluate("() => document.getElementById('viewer').nlviz.state().links")
        yield f"page, viewer: links, {theme}", json.dumps(links)
        context.close()
