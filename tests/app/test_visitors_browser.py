"""Two visitors who work at the same time, in two browsers' windows of one server."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

from nlviz.app.choice import bundled
from nlviz.models import zoo
from tests.support import media_files as make
from tests.support.app_page import PATIENCE, AppPage, settled
from tests.support.app_server import served

Open = Callable[..., AppPage]
SMALL = f"?clip={bundled()[0].name}&size=256&frames=2"


def points(page: AppPage) -> list[tuple[int, int, int]]:
    state = page.until(settled, "answers of Python")
    return [(pin["t"], round(pin["x"]), round(pin["y"])) for pin in state["pins"]]


def test_what_two_visitors_do_in_turns_stays_each_ones_own(open_page: Open) -> None:
    one, other = open_page(SMALL), open_page(f"{SMALL}&reverse=1")
    for page in (one, other):
        page.ready(pins=0)
    one.click(0, 100.0, 100.0)
    other.click(1, 300.0, 200.0)
    one.click(1, 200.0, 150.0)
    other.page.locator(".nlviz").get_by_role("button", name="Clear").click()
    one.until(lambda state: len(state["pins"]) == 2 and settled(state), "two pins")
    other.until(lambda state: state["pins"] == [], "no pins")
    one.page.locator(".nlviz").get_by_role("button", name="Undo").click()
    one.until(lambda state: len(state["pins"]) == 1, "one pin")
    other.page.locator(".nlviz").get_by_role("button", name="Undo").click()
    other.until(lambda state: len(state["pins"]) == 1, "one pin")
    ((t, x, y),) = points(one)
    assert t == 0
    assert abs(x - 100) + abs(y - 100) < 6
    ((t, x, y),) = points(other)
    assert t == 1
    assert abs(x - 300) + abs(y - 200) < 6
    seen = [page.until(settled, "answers")["options"]["reverse"] for page in (one, other)]
    assert seen == [False, True]


def test_clicks_are_answered_while_another_visitor_loads_networks_until_ones_own_is_evicted(
    open_page: Open,
) -> None:
    names = zoo.bundled()
    page = open_page(f"{SMALL}&model={names[0]}&pin=0,60,60")
    page.ready()
    page.page.get_by_role("tab", name="Does it matter?", exact=True).click()
    effects = page.page.get_by_role("table").first
    expect(effects).to_be_visible(timeout=PATIENCE * 1000)
    before = effects.inner_text()
    for number, name in enumerate(names[1:3], start=1):  # the server keeps two networks
        other = open_page(f"{SMALL}&model={name}&pin=0,60,60")
        page.click(number % 2, 60.0 * number, 120.0)
        state = page.until(
            lambda state, pins=number + 1: len(state["pins"]) == pins and settled(state), "a pin"
        )
        assert state["pins"][-1]["exact"]
        other.ready()
    page.page.get_by_role("tab", name="Block", exact=True).click()
    page.page.get_by_role("tab", name="Does it matter?", exact=True).click()
    expect(effects).to_be_visible(timeout=PATIENCE * 1000)
    assert effects.inner_text() == before
    page.page.get_by_role("button", name="Mask them and see").click()  # with the evicted network
    told = re.compile("Masked by affinity, the score of|Whichever keys are masked, the score of")
    expect(page.page.get_by_text(told)).to_be_visible()


def passes(address: str) -> int:
    """How many analyses the server has made."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = re.search(r'^nlviz_stage_total\{stage="analysis"\} (\d+)$', text, re.M)
    return int(found.group(1)) if found else 0


def test_the_walk_of_a_class(open_page: Open, address: str) -> None:
    """Four visitors, one link, two uploads."""
    before = passes(address)
    link = f"?clip={bundled()[2].name}&size=256&frames=2&pin=0,60,60"
    pupils = [open_page(link) for _ in range(4)]
    for pupil in pupils:
        pupil.ready(pins=1)
    for number, pupil in enumerate(pupils):
        pupil.click(1, 40.0 + 50 * number, 90.0)
    for pupil in pupils:
        pupil.until(lambda state: len(state["pins"]) == 2 and settled(state), "two pins")
    one, other, *rest = pupils
    one.upload("mine.gif", make.animation("GIF", 4), "image/gif")
    other.upload("another.gif", make.animation("GIF", 5), "image/gif")
    for pupil, name in ((one, "mine.gif"), (other, "another.gif")):
        heading = pupil.page.locator("header.heading h2")
        expect(heading).to_have_text(name, timeout=PATIENCE * 1000)
        pupil.until(lambda state: bool(state["layout"]) and settled(state), name)
    for number, pupil in enumerate(rest, start=2):
        _, (t, x, _) = points(pupil)
        assert t == 1
        assert abs(x - 40 - 50 * number) < 12
        assert "gif" not in pupil.page.locator("header.heading").inner_text()
    # One pass for the link and one for each upload; one more if the first sample's was on its way.
    assert passes(address) - before <= 4


def test_a_page_outlives_its_server(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        page = AppPage(
            browser, f"{server.address}/?clip={bundled()[2].name}&size=256&frames=2&pin=0,60,60"
        )
        page.ready(pins=1)
        page.click(1, 150.0, 90.0)
        page.until(lambda state: len(state["pins"]) == 2 and settled(state), "two pins")
        page.page.wait_for_url(re.compile(r"pin=.*&pin=\d"), timeout=PATIENCE * 1000)
        before = points(page)
        server.kill()
        server.start()
        page.page.reload()
        page.ready(pins=2)
        assert points(page) == before
        server.kill()
        server.start()  # the page that is open finds it by itself
        while not server.metric('nlviz_stage_total{stage="analysis"}'):
            page.page.wait_for_timeout(500)
        page.page.wait_for_timeout(3000)
        page.click(0, 250.0, 150.0)
        page.until(lambda state: len(state["pins"]) == 3 and settled(state), "three pins")
        page.close()
