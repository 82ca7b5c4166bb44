"""The visitor's camera, by the browser's fake one: a clip and a snapshot are analysed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support import browser as chromium
from tests.support.app_page import PATIENCE, AppPage, settled

FAKE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
SMALL = "?size=256"


@pytest.fixture(scope="module")
def camera_browser(browser: Browser) -> Iterator[Browser]:
    """A browser whose camera shows a moving test picture, and whose visitor says yes."""
    found = launched(browser, *FAKE)
    yield found
    found.close()


def launched(browser: Browser, *flags: str) -> Browser:
    """Another browser beside that of the tests."""
    kind = browser.browser_type
    path = chromium.find(_PathOf(kind))
    return kind.launch(executable_path=path, args=[*chromium.FLAGS, *flags])


class _PathOf:
    """As much of Playwright as ``find`` asks for: there is one for a process."""

    def __init__(self, kind) -> None:
        self.chromium = kind


def opened(page: AppPage) -> None:
    page.ready()
    page.page.get_by_role("button", name="Record", exact=True).click()
    expect(
        page.page.get_by_text("Your browser asks whether this page may use your camera")
    ).to_be_visible()
    page.page.get_by_role("button", name="Use the camera").click()


def shows(page: AppPage, name: str) -> None:
    heading = page.page.locator("header.heading h2")
    expect(heading).to_contain_text(name, timeout=PATIENCE * 1000)
    page.until(lambda state: bool(state["layout"]) and settled(state), f"{name} on screen")


def test_a_few_seconds_of_the_camera_are_analysed_as_an_upload(camera_browser, address) -> None:
    page = AppPage(camera_browser, f"{address}/{SMALL}")
    opened(page)
    page.page.get_by_role("button", name="Record 5 s").click()
    stop = page.page.get_by_role("button", name=re.compile(r"^Stop \(\d s\)$"))
    expect(stop).to_be_visible()
    page.page.wait_for_timeout(2000)  # two seconds do
    stop.click()
    shows(page, "camera ")
    state = page.state()
    assert 2 <= len(state["layout"]["frames"]) <= 8  # a busy machine's camera gives few
    facts = page.page.locator("header.heading p").first.inner_text()
    assert "1280×720" in facts.replace(" ", "") or "640×480" in facts.replace(" ", ""), facts
    # The light of the camera is off, and the panel is closed.
    expect(page.page.get_by_role("button", name="Use the camera")).to_be_hidden()
    assert page.complaints == []
    page.close()


def test_a_snapshot_is_analysed_as_a_photograph(camera_browser, address) -> None:
    page = AppPage(camera_browser, f"{address}/{SMALL}")
    opened(page)
    page.page.get_by_role("button", name="Snapshot").click()
    shows(page, "snapshot ")
    assert len(page.state()["layout"]["frames"]) == 1
    assert page.complaints == []
    page.close()


def test_a_device_without_a_camera_is_told_so(open_page: Callable[..., AppPage]) -> None:
    page = open_page(SMALL)
    opened(page)
    said = page.page.locator(".said[role=status]")
    expect(said).to_have_text("This device has no camera; upload a file instead.")


def test_a_camera_that_is_refused_is_one_sentence(open_page: Callable[..., AppPage]) -> None:
    page = open_page(SMALL)
    page.ready()
    # As browsers say it: the headless shell cannot be asked at all, and says so.
    page.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = async () => {"
        " throw new DOMException('Permission denied', 'NotAllowedError'); }; }"
    )
    opened(page)
    said = page.page.locator(".said[role=status]")
    expect(said).to_have_text(
        "The camera was refused; allow it for this page in your browser, or upload a file."
    )
    expect(page.page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
