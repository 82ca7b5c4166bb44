"""What is on screen opened elsewhere: from its address, and from its session file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from nlviz import Point, Prediction, Query, export
from nlviz.app.choice import bundled
from nlviz.app.stage.tab_row import TABS
from tests.app.test_page_browser import moving_square, video
from tests.support import make
from tests.support.app_page import PATIENCE, AppPage, settled
from tests.support.server import free_port

FIRST = bundled()[0]
Open = Callable[..., AppPage]


def pins_of(state: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("name", "color", "t", "x", "y", "region", "token")
    return [tuple(pin[name] for name in names) for pin in state["pins"]]


def alert(page: AppPage) -> str:
    card = page.page.get_by_test_id("stAlert")
    expect(card).to_be_visible()
    return card.inner_text()


def test_an_address_opens_with_its_pins_and_options_and_says_what_is_not_there(
    open_page: Open,
) -> None:
    page = open_page(
        "?clip=fish.mp4&frames=4&stride=5&start=2&model=nl-lite0&size=320&block=nl4&k=7&curve=root"
        "&reverse=1&view=player&pin=7,137,209&pin=12,100,50,200.5,150~left+fin&hues=30"
        "&pin=7,9999,1&pin=8,1,1&block=nl9&size=333"
    )
    state = page.ready(pins=2)
    # The page sorts the layout's frames by clip, so their number says which were taken.
    assert len(state["pins"]) == 2
    options = state["options"]
    assert (options["k"], options["curve"], options["reverse"]) == (7, "root", True)
    said = alert(page)
    assert "x=9999" in said
    assert "Frame 8 was not sampled; choose one of 2, 7, 12, 17" in said
    assert "no block 'nl9'" in said
    assert "333 px is not offered; 320 px is shown" in said
    assert options["block"] == "nl5"
    one, two = state["pins"]
    assert (one["t"], one["x"], one["y"]) == (1, 137, 209)
    assert (two["t"], two["name"], two["region"][2]) == (2, "left fin", [200.5, 150])
    expect(page.page.get_by_label("Frames", exact=True)).to_have_value("4")


def test_a_copied_address_shows_the_same_elsewhere_and_the_history_does_not_grow(
    open_page: Open,
) -> None:
    here = open_page("?size=256", permissions=["clipboard-read", "clipboard-write"])
    here.ready()
    steps = here.page.evaluate("history.length")
    sent = here.sent
    here.click(1, 80.0, 50.0)
    here.leave()
    here.ready(pins=2)
    expect(here.page).to_have_url(re.compile("pin=.*pin="))
    assert here.sent == sent + 1  # the address takes no run of its own
    here.page.locator(".nlviz").get_by_text("nl3", exact=True).click()
    here.until(lambda s: s["options"]["block"] == "nl3" and settled(s), "block nl3")
    expect(here.page).to_have_url(re.compile("block=nl3.*pin=.*pin="))
    here.page.get_by_role("button", name="Copy address").click()
    expect(here.page.get_by_text("Copied")).to_be_visible()
    copied = here.page.evaluate("navigator.clipboard.readText()")
    assert here.page.evaluate("history.length") == steps
    there = open_page(copied)
    state = there.ready(pins=2)
    mine = here.ready(pins=2)
    assert pins_of(state) == pins_of(mine)
    assert state["options"] == mine["options"]
    assert state["links"] == mine["links"]
    expect(there.page).to_have_url(copied)


def test_an_address_of_an_upload_asks_for_the_file_and_gives_its_pins_back(
    open_page: Open,
) -> None:
    clip = video(moving_square())
    here = open_page("?size=256")
    here.ready()
    here.upload("my square.mp4", clip, "video/mp4")
    expect(here.page.get_by_role("heading", name="my square.mp4")).to_be_visible()
    here.ready(pins=0)
    here.click(1, 80.0, 50.0)
    here.leave()
    pinned = pins_of(here.ready(pins=1))
    expect(here.page).to_have_url(re.compile(r"upload=my.square.mp4&sum=.*pin=\d"))

    there = open_page(here.page.url)
    card = there.page.locator(".st-key-awaited")
    expect(card).to_contain_text("my square.mp4")
    other = {"name": "other.mp4", "mimeType": "video/mp4", "buffer": video(moving_square(6))}
    card.locator("input[type=file]").set_input_files(files=other)
    expect(there.page.get_by_role("heading", name="other.mp4")).to_be_visible()
    there.ready(pins=0)
    assert "'other.mp4' is not the clip that was asked for, 'my square.mp4'" in alert(there)
    there.upload("renamed.mp4", clip, "video/mp4")
    expect(there.page.get_by_role("heading", name="renamed.mp4")).to_be_visible()
    assert pins_of(there.ready(pins=1)) == pinned
    expect(there.page.get_by_test_id("stAlert")).to_have_count(0)


@pytest.fixture(scope="module")
def session(browser: Browser, address: str) -> tuple[bytes, dict[str, Any]]:
    """A session file that the app wrote, and what was on screen."""
    page = AppPage(
        browser, f"{address}/?clip=ball.mp4&size=256&pin=8,156,196&pin=17,30,40,90,80~her+hat"
    )
    page.ready(pins=2)
    page.page.locator(".nlviz").get_by_text("nl4", exact=True).click()
    page.until(lambda s: s["options"]["block"] == "nl4" and settled(s), "block nl4")
    page.page.get_by_role("tab", name="Export").click()
    page.page.get_by_role("radio", name="Session", exact=True).click()
    with page.page.expect_download(timeout=1000 * PATIENCE) as waiting:
        page.page.get_by_role("button", name="NLVIZ", exact=True).click()
    content = waiting.value.path().read_bytes()
    state = page.ready(pins=2)
    page.close()
    return content, state


def test_a_session_file_opens_to_the_same_picture_without_its_network(
    open_page: Open, session: tuple[bytes, dict[str, Any]]
) -> None:
    content, before = session
    held = export.open_session(content)
    assert [query.block for query in held.queries] == ["nl4", "nl4"]
    page = open_page("?clip=fish.mp4&size=256")
    page.ready()
    page.upload("ball.nlviz", content, "application/octet-stream")
    expect(page.page.get_by_role("heading", name="ball.nlviz")).to_be_visible()
    state = page.ready(pins=2)
    assert pins_of(state) == pins_of(before)
    assert (state["options"], state["links"]) == (before["options"], before["links"])
    best = held.analysis.prediction[0].label.split(",")[0]
    expect(page.page.get_by_label("Top classes").get_by_text(best, exact=True)).to_be_visible()
    expect(page.page.get_by_text(held.provenance.checksum[:16])).to_be_visible()
    expect(page.page.locator(".code").first).to_contain_text("nlviz links ball.nlviz")
    page.page.get_by_role("tab", name="Does it matter?").click()
    expect(page.page.get_by_text("is a saved session and holds no network")).to_be_visible()
    page.page.get_by_role("button", name="Open ball.mp4").click()
    expect(page.page.get_by_role("heading", name=FIRST.title)).to_be_visible()
    assert pins_of(page.ready(pins=2)) == pins_of(before)


def test_a_bad_session_file_is_one_sentence_and_nothing_is_lost(
    open_page: Open, session: tuple[bytes, dict[str, Any]]
) -> None:
    content, _ = session
    page = open_page()
    before = page.ready()
    page.upload("half.nlviz", content[: len(content) // 2], "application/octet-stream")
    assert "'half.nlviz' is not a session file, or it is cut short or damaged" in alert(page)
    assert pins_of(page.ready()) == pins_of(before)


HOSTILE = "![x]({0}) <img src={0}> [l]({0}) {0} $x$ :material/home: :smile:"


def goes_through_all_tabs(page: AppPage) -> None:
    """Each tab, and what can be chosen in it."""
    for tab in TABS:
        page.page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.page.get_by_role("tab", name=tab, exact=True)).to_have_attribute(
            "aria-selected", "true"
        )
        page.page.wait_for_timeout(700)
        for choice in KINDS.get(tab, ()):
            page.page.get_by_role("radio", name=choice, exact=True).click()
            page.page.wait_for_timeout(500)


KINDS = {
    "Compare": ("Baselines", "Side by side", "Blocks"),
    "Export": ("Film", "Page", "Links", "Arrays", "Session", "Figure"),
}


def hostile_words(port: int) -> list[str]:
    """Markdown, HTML, links and addresses: whoever reads one of them asks our port or runs it."""
    host = f"127.0.0.1:{port}"
    return [
        f"![x](http://{host}/p)",
        f"![x](//{host}/p)",
        f"<img src=http://{host}/p onerror=hacked=1>",
        "<script>globalThis.hacked=1</script>",
        "[click](javascript:globalThis.hacked=1)",
        f"[click](http://{host}/p) <http://{host}/p>",
        f"http://{host}/p www.{host}/p",
        "$x$ :material/home: :smile: :red[hot]",
        f'"><iframe src=http://{host}/p>',
        f"a\n\n![x](http://{host}/p)",
    ]


def expect_nothing_left(page: AppPage, port: int) -> None:
    assert [url for url in page.addresses if f":{port}" in url] == []
    for kind in ("a[href", "img[src", "iframe[src", "source[src", "link[href"):
        assert page.page.locator(f"{kind}*=':{port}']").count() == 0, kind
    assert page.page.locator("a[href^='javascript:']").count() == 0
    assert page.page.evaluate("globalThis.hacked") is None


def hostile_session(port: int) -> bytes:
    """A session file in which all that has a name has a hostile one."""
    words = hostile_words(port)
    plain = make.analysis(special=True)
    names = dict(zip(plain.blocks, words, strict=False))
    affinities = {
        names[block]: replace(affinity, tokens=tuple(words[: len(affinity.tokens)]))
        for block, affinity in plain.affinities.items()
    }
    hostile = replace(
        plain,
        clip=replace(plain.clip, name=words[0], notes=tuple(words)),
        network=words[1],
        affinities=affinities,
        fidelity={names[block]: error for block, error in plain.fidelity.items()},
        prediction=tuple(Prediction(word, 0.1) for word in words),
        refused=dict(zip(words, words, strict=True)),
        kinds=dict.fromkeys(affinities, words[2]),
        weights=words[0],
    )
    token = next(each.tokens[0] for each in affinities.values() if each.tokens)
    block = next(name for name, each in affinities.items() if each.tokens)
    queries = tuple(
        Query(place, block)
        for place in (token, *(Point(5, 10.0 + 5 * at, 20.0) for at in range(len(words[:7]))))
    )
    made = replace(
        export.Provenance.of(hostile, queries), command=" ".join(words), version=words[0]
    )
    pins = [{"name": word} for word in words[:8]]
    return export.save(export.Session(hostile, made, queries, {"pins": pins, "block": block}))


def test_hostile_names_in_a_session_file_make_no_request(open_page: Open) -> None:
    port = free_port()
    page = open_page("?size=256&frames=2")
    page.ready()
    page.upload("<img src=x onerror=hacked=1> ![x](x).nlviz", hostile_session(port), "")
    page.ready(pins=8)
    expect(page.page.get_by_role("heading", name="<img src=x")).to_be_visible()
    goes_through_all_tabs(page)
    expect_nothing_left(page, port)


def test_hostile_names_in_an_address_make_no_request(open_page: Open) -> None:
    """A server would hear of it: a picture in a pin's name was asked for by each tab."""
    port = free_port()
    names = [
        quote(HOSTILE.format(f"//127.0.0.1:{port}/p")[cut : cut + 40]) for cut in (0, 30, 55, 80)
    ]
    pins = "".join(f"&pin=0,{90 + 20 * at},90~{name}" for at, name in enumerate(names))
    page = open_page(f"?clip=ball.mp4&frames=2&size=256&model=nl-lite0{pins}")
    page.ready(pins=len(names))
    goes_through_all_tabs(page)
    expect_nothing_left(page, port)


def test_hostile_options_in_an_address_make_no_request(open_page: Open) -> None:
    """Everything that an address may say, and what it may not, said in hostile words."""
    port = free_port()
    said = "".join(
        f"&{name}={quote(word)}"
        for word in hostile_words(port)
        for name in ("model", "block", "upload", "sum", "hues", "colours", "pin", "k", "v", "xyz")
    )
    page = open_page(f"?frames=2&pin=0,90,90{said}&clip=ball.mp4&size=256")
    page.ready()
    expect(page.page.get_by_test_id("stAlert")).to_be_visible()
    expect_nothing_left(page, port)
