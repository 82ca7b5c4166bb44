"""axe-core finds nothing serious on the page or in its tabs, in the light theme and the dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import expect

from nlviz.app.choice import offered
from nlviz.app.stage.tab_row import TABS
from tests.support.app_page import AppPage

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, open_page: Callable[..., AppPage]) -> AppPage:
    """So tall that all of the sidebar is on screen: axe judges only colours that can be seen."""
    tall = {"width": 1280, "height": 1700}
    opened = open_page(color_scheme=request.param, viewport=tall)
    opened.ready()
    opened.page.evaluate(AXE)
    return opened


def violations(page: AppPage, within: str = "html") -> Iterator[str]:
    """A line for each serious violation; in the dark theme of colours, which alone it changes."""
    dark = page.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    only = ", runOnly: ['color-contrast']" if dark else ""
    found: dict[str, Any] = page.page.evaluate(
        f"axe.run('{within}', {{resultTypes: ['violations']{only}}})"
    )
    for rule in found["violations"]:
        if rule["impact"] in GRAVE:
            for node in rule["nodes"]:
                why = [check["message"] for check in node["any"]]
                yield f"{rule['id']}: {node['html'][:200]} {why}"


def test_the_page_and_its_tabs_can_be_read_by_everybody(page: AppPage) -> None:
    expect(page.page.get_by_role("button", name="Got it")).to_be_visible()
    found = list(violations(page))
    for name in TABS:
        page.page.get_by_role("tab", name=name, exact=True).click()
        expect(page.page.get_by_role("tabpanel")).to_be_visible()
        found += [f"{name}: {each}" for each in violations(page, "[role=tabpanel]")]
    assert found == []


def test_axe_sees_a_contrast_that_is_too_low(page: AppPage) -> None:
    page.page.evaluate("document.querySelector('.heading p').style.opacity = 0.3")
    assert any("color-contrast" in each for each in violations(page))


@pytest.mark.parametrize("width", [1280, 1920])
def test_titles_in_the_gallery_have_the_same_room(
    width: int, open_page: Callable[..., AppPage]
) -> None:
    page = open_page(viewport={"width": width, "height": 900})
    page.ready()
    titles = page.page.locator('[class*="st-key-tile-"] button p').filter(visible=True)
    expect(titles).to_have_count(len(offered()))
    sizes = titles.evaluate_all(
        "titles => titles.map(title => [title.clientHeight, title.scrollHeight])"
    )
    assert len({room for room, _ in sizes}) == 1
    assert all(height <= room for room, height in sizes)
