"""One server of the app for all browser tests of a process, and a visitor of their own for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from nlviz.app import store
from nlviz.app.choice import bundled
from tests.support.app_page import PATIENCE, AppPage, serve

expect.set_options(timeout=PATIENCE * 1000)
HERE = re.compile(r"(http|ws)://127\.0\.0\.1:|data:|blob:")


@pytest.fixture
def own_store(monkeypatch: pytest.MonkeyPatch) -> store.Store:
    """A store of the test's own in place of the server's, which is empty."""
    here = store.Store(500 << 20)
    monkeypatch.setattr(store, "shared", lambda: here)
    return here


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app") / "log.txt"


@pytest.fixture(scope="session")
def address(log: Path) -> Iterator[str]:
    with serve(log) as address:
        yield address


@pytest.fixture
def open_page(browser: Browser, address: str, log: Path) -> Iterator[Callable[..., AppPage]]:
    """Each call is a new visitor; at the end nobody complained or looked elsewhere.

    A call takes a whole address or its query, and what ``Browser.new_context`` takes.
    """
    told = log.stat().st_size
    pages: list[AppPage] = []

    def open_one(query: str = "", **context: Any) -> AppPage:
        pages.append(AppPage(browser, query if "://" in query else f"{address}/{query}", **context))
        return pages[-1]

    yield open_one
    asked = [url for page in pages for url in page.addresses]
    complaints = [complaint for page in pages for complaint in page.complaints]
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in asked if not HERE.match(url)] == []
    assert "Traceback" not in log.read_bytes()[told:].decode(errors="replace")


@pytest.fixture
def visit(open_page: Callable[..., AppPage]) -> AppPage:
    """A new visitor who sees the first clip."""
    page = open_page()
    page.ready()
    page.loaded()
    return page


@pytest.fixture
def small_visit(open_page: Callable[..., AppPage]) -> AppPage:
    """A new visitor who sees the first clip at 256 pixels, where the network takes an eighth."""
    first = bundled()[0]
    page = open_page(
        f"?clip={first.name}&size=256&pin={first.at.frame},{first.at.x:g},{first.at.y:g}"
    )
    page.ready()
    page.page.get_by_role("tab").first.wait_for(timeout=PATIENCE * 1000)
    return page
