"""The exported page in a real browser with the network off: hovered, clicked, and shut in."""

from __future__ import annotations

import base64
import http.server
import json
import re
import struct
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from nlviz import ExportError, Point, Query, Region, export, top_links
from nlviz.cli import main
from nlviz.features import pca
from nlviz.viewer.blobs import clip_blob, tag
from tests.support import make

QUERY = Query(Point(5, 20.0, 10.0), "fine", k=6)


def written(path: Path, queries=(QUERY,), **options) -> Path:
    analysis = make.analysis()
    made = export.Provenance.of(analysis, queries, command="python -m nlviz </script><b>")
    path.write_bytes(export.page(analysis, queries, made, **options))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("page") / "a page.html", title="<b>A&B</b>")


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """The file, opened from its folder with the network off; fails on any error or request."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 800})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: wrong.append(request.url))
    page.goto(file.as_uri())
    ready(page)
    assert wrong.pop(0) == file.as_uri()
    yield page
    assert wrong == []
    context.close()


def ready(page) -> None:
    page.wait_for_function(
        "() => { const s = viewer.nlviz?.state(); return s?.cell && s.drawn.frames === 4 }"
    )


def state(page):
    frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    return page.evaluate(f"async () => {{ await {frames}; return viewer.nlviz.state() }}")


def at(page, t: int, x: float, y: float) -> tuple[float, float]:
    point = page.evaluate("place => viewer.nlviz.toClient(place)", {"t": t, "x": x, "y": y})
    return point["x"], point["y"]


def test_it_opens_with_the_exact_links_of_the_pins_that_were_asked(page):
    seen = state(page)
    (pin,) = seen["pins"]
    assert pin["exact"] is True
    assert (seen["options"]["block"], seen["options"]["k"]) == ("fine", 6)
    wanted = top_links(make.analysis(), QUERY)
    assert [(link["x"], link["y"]) for link in seen["links"]] == [
        (link.target.x, link.target.y) for link in wanted
    ]
    assert page.title() == "<b>A&B</b>"
    assert "</script><b>" in page.locator("footer pre").text_content()
    assert "float16" in page.locator("footer").text_content()


def test_hovering_gives_the_links_of_the_library_at_half_precision(page):
    page.mouse.move(*at(page, 2, 40.0, 30.0))
    seen = state(page)
    assert seen["place"]["hovered"]
    wanted = top_links(make.analysis(), Query(Point(10, 40.0, 30.0), "fine", k=6))
    assert [(link["x"], link["y"]) for link in seen["links"]] == [
        (link.target.x, link.target.y) for link in wanted
    ]
    weights = [link["weight"] for link in seen["links"]]
    np.testing.assert_allclose(weights, [link.weight for link in wanted], rtol=0.02)


def test_pins_come_go_and_come_back(page):
    page.mouse.click(*at(page, 0, 50.0, 40.0))
    pins = state(page)["pins"]
    assert len(pins) == 2
    page.mouse.click(*at(page, 1, 20.0, 10.0))  # where the first one is
    (left,) = state(page)["pins"]
    assert (left["t"], left["exact"], left["pending"]) == (0, False, False)
    assert left["color"] != pins[0]["color"]
    page.mouse.move(3, 3)
    assert len(state(page)["links"]) == 6
    page.locator("#viewer").press("Control+z")
    assert len(state(page)["pins"]) == 2


def test_another_block_is_there_too(page):
    page.get_by_role("radio", name=re.compile("coarse")).click()
    seen = state(page)
    assert seen["options"]["block"] == "coarse"
    wanted = top_links(make.analysis(), Query(QUERY.point, "coarse", k=6))
    assert [(link["x"], link["y"]) for link in seen["links"]] == [
        (link.target.x, link.target.y) for link in wanted
    ]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_it_works_inside_an_iframe_of_another_page(browser, file):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(file.parent))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    try:
        source = f"http://127.0.0.1:{server.server_port}/{file.name}"
        page.set_content(
            f'<iframe sandbox="allow-scripts" width="900" height="700" src="{source}">'
        )
        frame = page.frame_locator("iframe").locator("#viewer .nlviz-chip")
        frame.wait_for()
    finally:
        page.close()
        server.shutdown()
        server.server_close()


def test_its_policy_lets_nothing_else_run_or_load(browser, file, tmp_path):
    text = file.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    evil = tmp_path / "evil.html"
    added = (
        "<script>globalThis.ran = true</script>"
        '<img src="https://example.org/x.png"><p style="color: red">'
    )
    evil.write_text(text.replace("</body>", added + "</body>"))
    context = browser.new_context()
    page = context.new_page()
    stopped: list[tuple[str, str]] = []
    page.on("requestfailed", lambda request: stopped.append((request.url, request.failure)))
    page.goto(evil.as_uri())
    ready(page)
    assert page.evaluate("() => globalThis.ran") is None
    assert page.evaluate("() => getComputedStyle(document.querySelector('p[style]')).color") != (
        "rgb(255, 0, 0)"
    )
    assert stopped == [("https://example.org/x.png", "csp")]
    context.close()


def test_what_is_in_it_is_there_for_others(file):
    """Read with nothing but the standard library: provenance, and the viewer's blobs."""
    text = file.read_text()
    told = json.loads(re.search(r'id="provenance">(.*?)</script>', text)[1])
    assert told["checksum"].startswith("sha256:")
    blobs = re.findall(r'octet-stream">([^<]*)<', text)
    analysis = make.analysis()
    tags = [tag(base64.b64decode(blob)) for blob in blobs]
    assert tags[0] == tag(clip_blob(analysis.clip))
    assert len(tags) == 1 + 2 * len(analysis.blocks), "each with the constants of its rows"


def test_it_opens_with_regions_tokens_and_the_reverse_question(browser, tmp_path):
    analysis = make.analysis(special=True)
    region = Region.box(0, 1.0, 1.0, 30.0, 30.0)
    asked = [Query(point, "special", k=3, reverse=True) for point in (QUERY.point, region)]
    file = tmp_path / "a.html"
    file.write_bytes(export.page(analysis, asked, export.Provenance.of(analysis, asked)))
    page = browser.new_page()
    page.goto(file.as_uri())
    ready(page)
    seen = state(page)
    assert [pin["exact"] for pin in seen["pins"]] == [True, True]
    assert (seen["options"]["block"], seen["options"]["reverse"]) == ("special", True)
    wanted = top_links(analysis, asked[1])
    assert [(link["x"], link["y"]) for link in seen["links"]] == [
        (link.target.x, link.target.y) for link in wanted
    ]
    page.close()


def test_more_pins_than_there_are_colours_are_told(tmp_path):
    with pytest.raises(ExportError, match="at most 8 pins; got 9"):
        written(tmp_path / "a.html", [QUERY] * 9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_page_of_a_bundled_clip_fits_in_a_mail(tmp_path):
    """All blocks of the first sample at the usual size."""
    clip = Path(__file__).resolve().parents[2] / "assets" / "clips" / "ball.mp4"
    file = tmp_path / "ball.html"
    assert main(["html", str(clip), "--at", "8,156,196", "-o", str(file)]) == 0
    assert 1_000_000 < file.stat().st_size <= 10_000_000


def test_a_page_of_a_session_opens_as_it_was_left(tmp_path):
    analysis = make.analysis()
    kept = {"opacity": 0.3, "curve": "log", "pins": [{"name": "her hat", "color": "#009E73"}]}
    made = export.Provenance.of(analysis, [QUERY], command="…")
    saved = export.save(export.Session(analysis, made, (QUERY,), kept))
    (tmp_path / "s.nlviz").write_bytes(saved)
    for verb, name in (("html", "s.html"), ("export", "again.nlviz")):
        assert main([verb, str(tmp_path / "s.nlviz"), "-o", str(tmp_path / name)]) == 0
    assert export.open_session(tmp_path / "again.nlviz").settings == kept
    html = (tmp_path / "s.html").read_text(encoding="utf-8")
    scene = json.loads(html.partition('id="scene">')[2].partition("</script>")[0])
    assert (scene["options"]["opacity"], scene["options"]["curve"]) == (0.3, "log")
    assert (scene["options"]["block"], scene["options"]["k"]) == ("fine", 6)
    (pin,) = scene["pins"]
    assert (pin["name"], pin["color"]) == ("her hat", "#009E73")


def test_a_page_takes_components_along_and_a_command_lays_them(tmp_path):
    analysis = make.analysis()
    found = pca(analysis, "fine", of="theta")
    with_layer = written(tmp_path / "a.html", layer=found.layer).read_text(encoding="utf-8")
    saved = export.save(export.Session(analysis, export.Provenance.of(analysis), (QUERY,), {}))
    (tmp_path / "s.nlviz").write_bytes(saved)
    by_command = tmp_path / "b.html"
    asked = ["html", str(tmp_path / "s.nlviz"), "--components", "theta", "-o", str(by_command)]
    assert main(asked) == 0
    for html in (with_layer, by_command.read_text(encoding="utf-8")):
        scene = json.loads(html.partition('id="scene">')[2].partition("</script>")[0])
        last = base64.b64decode(re.findall(r'octet-stream">([^<]*)<', html)[-1])
        header, (cells,) = unpacked(last)
        assert scene["components"] == tag(last)
        assert header["words"] == list(found.words)
        assert header["grid"]["steps"] == [0, 1, 2, 3]
        colours = np.frombuffer(cells, np.uint8).reshape(*found.grid.shape, 4)
        np.testing.assert_allclose(colours[..., :3].astype(int), found.colours, atol=1)
        assert (colours[..., 3] == 255).all()


def unpacked(blob):
    """The header of a blob, and its parts as bytes."""
    (length,) = struct.unpack_from("<I", blob)
    header = json.loads(blob[4 : 4 + length])
    start = -(-(4 + length) // 8) * 8
    at = [(start + each["offset"], each["length"]) for each in header["parts"]]
    return header, [blob[begin : begin + size] for begin, size in at]
