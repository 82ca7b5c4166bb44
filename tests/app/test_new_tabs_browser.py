"""The tabs of the newer questions in a browser: one small page, walked through by a visitor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.app_page import AppPage, settled

pytestmark = pytest.mark.browser

ADDRESS = "?clip=ball.mp4&frames=4&stride=1&size=256&pin=1,338,162&pin=0,100,60"


def _open(visit: AppPage, tab: str, choice: str | None = None) -> None:
    visit.page.get_by_role("tab", name=tab, exact=True).click()
    if choice is not None:
        radio = visit.page.get_by_role("radio", name=choice, exact=True)
        radio.or_(visit.page.get_by_role("button", name=choice, exact=True)).first.click()


def _fits(visit: AppPage) -> None:
    """No page is wider than its window, however narrow that is."""
    wider = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visit.page.evaluate(wider) <= 0


def test_each_tab_shows_what_it_found(open_page: Callable[..., AppPage]) -> None:
    visit = open_page(ADDRESS)
    page = visit.page
    visit.ready(pins=2)
    _open(visit, "Features")
    expect(page.get_by_role("img", name="Frames under their components")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})  # a phone from here on
    _open(visit, "Scan")
    expect(page.locator(".cell.best")).to_have_count(1)
    expect(page.get_by_text("Best by same-object precision")).to_be_visible()
    expect(page.get_by_title("the cosine of")).to_have_count(3)
    page.get_by_role("row", name="nl3").get_by_role("button").click()
    visit.until(lambda s: s["options"]["block"] == "nl3" and settled(s), "block nl3")
    expect(page.get_by_role("button", name="Show nl3 in the viewer")).to_be_visible()
    _fits(visit)
    _open(visit, "Another clip")
    page.get_by_role("combobox", name="Look in").click()
    page.keyboard.type("Grace")
    page.get_by_role("option", name="Grace Hopper").click()
    expect(page.get_by_text("Each row is a distribution over the places of")).to_be_visible()
    expect(page.get_by_role("application")).to_have_count(2)
    _fits(visit)
    _open(visit, "Compare", "All layers")
    page.get_by_role("combobox", name="What to work out").click()
    page.keyboard.type("Relevance")
    page.get_by_role("option", name="Relevance").first.click()
    page.get_by_role("button", name="Work it out").click()
    expect(page.get_by_text("Rank correlation of the two rows")).to_be_visible()
    _fits(visit)
    _open(visit, "Tracking", "All pins")
    expect(page.get_by_text("from one frame: that of the newest pin, 0.")).to_be_visible()
    expect(page.get_by_role("img", name="with the objects tinted")).to_have_count(4)
    _open(visit, "Tracking", "Pins as points")
    expect(page.get_by_role("img", name="with the points")).to_have_count(4)
    expect(page.get_by_text("Least confidence on any frame: Pin 1")).to_be_visible()
    page.get_by_role("radio", name="The whole clip").click()
    page.get_by_role("button", name="Track the whole clip").click()
    page.locator(".waiting").get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Start again")).to_be_visible()
    _fits(visit)
