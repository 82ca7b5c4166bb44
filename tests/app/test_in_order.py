"""Components whose data change while the page still loads their script show the newer ones."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

import nlviz
from nlviz.app import in_order
from nlviz.viewer import bundle

APP = Path(nlviz.__file__).parent / "app"

# Streamlit calls a component for each of its data once the script is there, in any order.
_CALLED = """async ([script, html, newer, older, shown]) => {
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const root = document.createElement("main");
    root.innerHTML = html;
    document.body.replaceChildren(root);
    globalThis.scenes = [];
    globalThis.ended = 0;
    globalThis.nlvizMount = ({ data: [scene] }) => {
        scenes.push(scene);
        return () => { ended += 1; };
    };
    const mount = (await import(address)).default;
    const given = { parentElement: root, setTriggerValue() {}, setStateValue() {} };
    const seen = [];
    let end;
    for (const data of [newer, older]) {
        end = mount({ ...given, data });
        seen.push(eval(shown));
    }
    end();
    return [...seen, ended];
}"""


def _seen(browser: Browser, *given: object) -> list[object]:
    """What is shown after the newer data, after the older ones, and how many viewers ended."""
    page = browser.new_page()
    seen: list[object] = page.evaluate(_CALLED, list(given))
    page.close()
    return seen


def test_what_was_sent_last_stays_whatever_comes_last(browser: Browser) -> None:
    def scored(sent: int, *values: float) -> dict[str, object]:
        cells = [{"id": ":a", "value": value, "said": "", "opens": True} for value in values]
        rows = [{"name": "a", "cells": cells}]
        return {"columns": list("bc"[: len(values)]), "rows": rows, "low": 0, "high": 1} | {
            "sent": sent
        }

    table = bundle.join(APP / "tabs" / "scan_table.js")
    html = "<table><thead></thead><tbody></tbody></table>"
    cells = "root.querySelectorAll('td').length"
    assert _seen(browser, table, html, scored(2, 0.1, 0.2), scored(1, 0.1), cells) == [2, 2, 0]

    def pictures(sent: int, *labels: str) -> dict[str, object]:
        tiles = [{"id": each, "label": each, "note": "", "src": "data:,"} for each in labels]
        return {"tiles": tiles, "action": "open", "widest": 9, "sent": sent}

    grid = bundle.join(APP / "tabs" / "picture_grid.js")
    named = "root.innerText"
    seen = _seen(browser, grid, "<div class='sheet'></div>", pictures(2, "b"), pictures(1), named)
    assert seen == ["b", "b", 0]
    viewer = (APP / "stage" / "wait.js").read_text(encoding="utf-8")
    assert _seen(browser, viewer, "", ["new", 2], ["old", 1], "scenes.join()") == ["new", "new", 1]
    bar = bundle.join(APP / "address" / "bar.js")
    button = "<button></button><span role='status'></span>"
    hint = "root.querySelector('button').title"
    seen = _seen(browser, bar, button, ["a=1", "new", 2], ["a=2", "old", 1], hint)
    assert seen == ["new", "new", 0]


def test_the_same_content_keeps_its_number_and_another_is_later(monkeypatch) -> None:
    monkeypatch.setattr(in_order.st, "session_state", {})
    monkeypatch.setattr(in_order.time, "time_ns", lambda: 5_000_000)
    first = in_order.sent("table", "a")
    assert (first, in_order.sent("table", "a")) == (5000, 5000)
    assert in_order.sent("table", "b") == 5001, "later, though no time has passed"
    assert in_order.sent("table", "a") == 5002
    assert in_order.sent("other", "a") == 5000
