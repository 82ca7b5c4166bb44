"""The whole clip in a browser: it is chosen, told, run in windows, filmed and tracked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from playwright.sync_api import expect

from tests.support.app_page import PATIENCE, AppPage

pytestmark = pytest.mark.browser

ADDRESS = "?clip=ball.mp4&frames=8&stride=5&start=10&size=96&pin=20,338,162"


def test_the_whole_clip_is_filmed_and_tracked(open_page: Callable[..., AppPage]) -> None:
    visit = open_page(ADDRESS)
    page = visit.page
    visit.ready()
    page.get_by_role("tab", name="Tracking").click()
    expect(page.get_by_role("img", name="with the object tinted")).to_have_count(8)
    page.get_by_role("radio", name="The whole clip").click()
    expect(page.get_by_text("12 frames in 2 windows:")).to_be_visible()
    page.get_by_role("button", name="Track the whole clip").click()
    expect(page.locator(".tracked figure")).to_have_count(8)
    expect(page.get_by_text("Each window is tracked as a clip of its own.")).to_be_visible()
    with page.expect_download(timeout=1000 * PATIENCE) as waiting:
        page.get_by_role("button", name="Masks (ZIP)").click()
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as archive:
        assert len(archive.namelist()) == 12
    page.get_by_role("tab", name="Export").click()
    page.get_by_role("radio", name="Film", exact=True).click()
    page.get_by_role("radio", name="The whole clip").click()
    page.get_by_role("button", name="Make the film").click()
    expect(page.get_by_label("The film")).to_be_visible()
    with page.expect_download(timeout=1000 * PATIENCE) as waiting:
        page.get_by_role("button", name="MP4", exact=True).click()
    with av.open(io.BytesIO(Path(waiting.value.path()).read_bytes())) as file:
        assert len(list(file.decode(video=0))) == 12
    expect(page.locator("code").filter(has_text="--window 8").first).to_be_visible()
