"""The viewer's joined modules, their Streamlit mounts, and the browser that tests it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

import nlviz
from nlviz.viewer import bundle
from tests.support import blobs
from tests.support.browser import NoBrowserError, find

PLACE = (2, 133.0, 71.0)
STAGE = Path(nlviz.__file__).parent / "app" / "stage"


def test_the_mounts_follow_streamlits_protocol(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    entry = "export default function"
    scripts = "".join(
        f'<script type="module">{text.replace(entry, f"globalThis.{name} = function")}</script>'
        for name, text in {
            "mountViewer": bundle.join(STAGE / "mount_viewer.js"),
            "mountStore": bundle.join(STAGE / "mount_store.js"),
        }.items()
    )
    page.set_content(
        f"<style>{bundle.style()}</style><div id='viewer'></div><div id='store'></div>{scripts}"
    )
    page.wait_for_function("() => globalThis.mountViewer && globalThis.mountStore")
    block = blobs.Block()
    page.evaluate(
        """([clip, block, tag]) => {
            const [mount, store] = ["viewer", "store"].map((id) => document.getElementById(id));
            // Streamlit's bytes are a view that starts anywhere.
            const bytes = (text) =>
                Uint8Array.from("x" + atob(text), (c) => c.charCodeAt(0)).subarray(1);
            globalThis.sent = [];
            globalThis.state = () => mount.nlviz.state();
            const common = {
                setTriggerValue: (name, value) => sent.push([name, value]),
                setStateValue: (name, value) => sent.push([name, value]),
            };
            globalThis.render = (data) => mountViewer({ ...common, data, parentElement: mount });
            globalThis.first = { clip: "clip-1", blocks: [tag], pins: [], max_pins: 8 };
            globalThis.unmount = render(JSON.stringify([first]));
            const keep = (text) => mountStore({ data: bytes(text), parentElement: store });
            globalThis.unstore = keep(clip);
            keep(block);
        }""",
        [blobs.text(blobs.clip()), blobs.text(block.blob()), block.tag],
    )
    page.wait_for_function("() => state().drawn.frames === 8")
    at = page.evaluate(
        "() => document.getElementById('viewer').nlviz.toClient({t: 1, x: 50, y: 60})"
    )
    page.mouse.click(at["x"], at["y"])
    page.mouse.click(at["x"] + 60, at["y"])
    assert len(page.evaluate("() => sent")) == 1, "the second act waits for the first one's answer"
    first = page.evaluate("() => sent[0]")
    assert first[0] == "act"
    assert first[1]["type"] == "add"
    place = {name: first[1][name] for name in "txy"}
    pin = {"id": "a", "color": "#E69F00", "exact": None, **place}
    page.evaluate("pin => render([{...first, pins: [pin]}])", pin)
    assert len(page.evaluate("() => sent")) == 2
    page.wait_for_timeout(50)
    state = page.evaluate("() => state()")
    assert [each["pending"] for each in state["pins"]] == [False, True]
    cards = "document.querySelectorAll('.nlviz').length"
    assert page.evaluate(cards) == 1
    page.evaluate("() => { unstore(); unmount(); }")
    assert page.evaluate(f"[nlvizStore.size, {cards}]") == [0, 0]
    assert errors == []
    page.close()


def test_the_joined_modules_load_nothing_from_anywhere() -> None:
    viewer, store = (bundle.join(STAGE / f"mount_{each}.js") for each in ("viewer", "store"))
    for text in (viewer, store, bundle.library()):
        assert "\nimport " not in text
        assert "http://" not in text
        assert "https://" not in text
    assert "url(" not in bundle.style()
    assert viewer.count("export default") == 1
    assert store.count("export default") == 1


def test_joined_modules_may_use_the_same_names(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "draw").mkdir()
    (tmp_path / "rows" / "a.js").write_text(
        "const secret = 1;\nexport const one = () => secret;\nexport class Kept {}\n"
    )
    (tmp_path / "draw" / "a.js").write_text(
        'import { Kept, one as first } from "../rows/a.js";\n'
        "const secret = 2;\nexport function two() {\n  return [first(), secret, Kept.name];\n}\n"
    )
    (tmp_path / "entry.js").write_text(
        'import {\n  two,\n} from "./draw/a.js";\nimport { one } from "./rows/a.js";\n'
        "const secret = 3;\nglobalThis.found = [...two(), one(), secret];\n"
        "export default function () {}\n"
    )
    text = bundle.join(tmp_path / "entry.js")
    assert text.count("const secret = 1") == 1, "a module that two others import is there once"
    page = browser.new_page()
    page.set_content(f'<script type="module">{text}</script>')
    page.wait_for_function("() => globalThis.found !== undefined")
    assert page.evaluate("() => found") == [1, 2, "Kept", 1, 3]
    page.close()


def test_the_library_exports_what_hosts_take(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<main></main>")
    exported = page.evaluate(
        """async text => {
            const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
            return Object.keys(await import(address));
        }""",
        bundle.library(),
    )
    assert sorted(exported) == ["createViewer", "pageStore", "unpack"]
    page.close()


def test_a_missing_browser_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Playwright:
        class chromium:
            executable_path = "/nowhere/chrome"

    monkeypatch.delenv("CHROME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoBrowserError, match="playwright install chromium"):
        find(Playwright())  # type: ignore[arg-type]
    monkeypatch.setenv("CHROME", "no-such-browser")
    with pytest.raises(NoBrowserError, match="no-such-browser"):
        find(Playwright())  # type: ignore[arg-type]
