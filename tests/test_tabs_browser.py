"""The tabs below the viewer in a real browser: what each shows at once, and what comes after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.app_page import PATIENCE, AppPage, serve
from tests.browser import browser  # noqa: F401, a fixture

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tabs") / "log.txt"


@pytest.fixture(scope="module")
def address(log: Path) -> Iterator[str]:
    with serve(log) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str, log: Path) -> Iterator[AppPage]:  # noqa: F811
    page = AppPage(browser, address)
    page.ready()
    yield page
    complaints = page.complaints
    page.close()
    assert complaints == []
    assert "Traceback" not in log.read_text()


def open_tab(visit: AppPage, name: str) -> None:
    visit.page.get_by_role("tab", name=name, exact=True).click()


def test_the_profile_comes_at_once_and_the_blocks_averages_after_it(visit: AppPage) -> None:
    open_tab(visit, "Profile")
    table = visit.page.get_by_role("table")
    expect(table.get_by_role("row", name="Pin 1")).to_be_visible()
    expect(table.get_by_role("row", name="queries")).to_be_visible()
    expect(visit.page.get_by_text("Block nl5 looks")).to_be_visible()
    expect(visit.page.get_by_role("progressbar", name="Progress")).to_have_count(0)
    expect(visit.page.locator(".scatterlayer path.js-line")).to_have_count(4)
