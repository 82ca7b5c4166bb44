"""The notebook's widget: what page and Python say to each other, and a real JupyterLab clicked."""

from __future__ import annotations

import builtins
import re

import pytest

import nlviz
from nlviz import ExportError, Point, Query, QueryError, notebook, top_links
from nlviz.viewer import blobs
from tests.support import make

pytest.importorskip("anywidget", reason="needs requirements-notebook.txt")

QUERY = Query(Point(5, 20.0, 10.0), "fine", k=6)


class Notebook:
    """A widget and what the page hears of it."""

    def __init__(self, analysis, queries=(QUERY,), **how):
        self.widget = analysis.show(queries, **how)
        self.heard = []
        self.widget.send = lambda said, buffers=None: self.heard.append((said, buffers))

    def say(self, **said):
        message = {"content": {"data": {"method": "custom", "content": said}}, "buffers": []}
        self.widget._handle_msg(message)
        return self.heard[-1][0] if self.heard else None

    def want(self, have):
        self.say(type="want", have=have)
        said, buffers = self.heard.pop()
        return (said["type"], *(buffers or []))


def tag_of(analysis, block):
    clip = blobs.tag(blobs.clip_blob(analysis.clip))
    return blobs.tag(blobs.block_blob(analysis, block, clip))


def test_what_is_pinned_in_the_page_is_in_python_at_once():
    analysis = make.analysis(special=True)
    shown = Notebook(analysis)
    told = []
    shown.widget.observe(lambda change: told.append(change.new), "queries")
    assert shown.widget.queries == (QUERY,)
    scene = shown.say(type="act", act={"type": "add", "t": 2, "x": 40.0, "y": 30.0})["scene"]
    added = Query(Point(10, 40.0, 30.0), "fine", k=6)
    assert shown.widget.queries == told[-1] == (QUERY, added)
    assert [pin.point for pin in shown.widget.pins] == [QUERY.point, added.point]
    assert shown.widget.links == tuple(top_links(analysis, query) for query in (QUERY, added))
    exact = scene["pins"][1]["exact"]["links"]
    assert [link["weight"] for link in exact] == [
        link.weight for link in top_links(analysis, added)
    ]
    assert scene["can"] == {"undo": True, "redo": False, "rank": False}
    shown.say(type="options", options={"block": "special", "k": 3, "reverse": True})
    first = Query(QUERY.point, "special", k=3, reverse=True)
    assert shown.widget.queries[0] == first
    assert shown.widget.links[0] == top_links(analysis, first)
    shown.say(type="act", act={"type": "undo"})
    shown.say(type="act", act={"type": "undo"})
    assert shown.widget.queries == told[-1] == ()


def test_it_opens_as_a_session_was_left():
    settings = {"opacity": 0.3, "pins": [{"name": "the ball", "color": "#D55E00"}]}
    widget = make.analysis().show([QUERY], settings)
    assert [(pin.name, pin.color) for pin in widget.pins] == [("the ball", "#D55E00")]
    assert widget.queries == (QUERY,)
    heard = []
    widget.send = heard.append
    widget._handle_custom_msg({"type": "open"}, [])
    assert heard[0]["scene"]["options"]["opacity"] == 0.3


def test_what_makes_no_sense_changes_nothing_and_raises_nothing():
    shown = Notebook(make.analysis())
    for said in (
        {}, {"type": "act", "act": 3}, {"type": "act", "act": {"type": "add", "t": 99}},
        {"type": "options", "options": {"block": 7, "k": "many"}}, {"type": "want", "have": 1},
        {"type": "open", "more": 1},
    ):  # fmt: skip
        shown.say(**said)
        assert shown.widget.queries == (QUERY,)


def test_the_page_gets_one_blob_at_a_time_what_it_looks_at_first():
    analysis = make.analysis(special=True)
    shown = Notebook(analysis)
    have = []
    while (got := shown.want(have))[0] == "blob":
        have.append(blobs.tag(got[1]))
    tags = {block: tag_of(analysis, block) for block in analysis.blocks}
    assert have[1:] == [tags[b] for b in ("fine", "coarse", "special", "alone")]
    assert have[0] == blobs.tag(blobs.clip_blob(analysis.clip))
    assert got == ("enough",)
    # What belongs to a block comes when a view needs it, and once.
    shown.say(type="options", options={"reverse": True, "block": "coarse"})
    _, blob = shown.want(have)
    assert blob == blobs.constants_blob(analysis, "coarse", tags["coarse"])
    assert shown.want([*have, f"constants {tags['coarse']}"]) == ("enough",)


def test_colours_over_the_frames_are_sent_once_and_named_in_the_scene():
    analysis = make.analysis()
    layer = nlviz.pca(analysis, "fine", of="theta").layer
    shown = Notebook(analysis, layer=layer)
    blob = layer.blob(analysis.view, blobs.tag(blobs.clip_blob(analysis.clip)))
    assert shown.say(type="open")["scene"]["components"] == blobs.tag(blob)
    have = []
    while (got := shown.want(have))[0] == "blob":
        have.append(blobs.tag(got[1]))
        if len(have) == 3:
            assert got[1] == blob, "right behind the clip and the block that is looked at"
    assert len(have) == len(set(have)) == 2 + len(analysis.blocks)
    assert Notebook(analysis).say(type="open")["scene"]["components"] is None


def test_a_query_that_cannot_be_answered_is_told_in_the_cell():
    analysis = make.analysis()
    with pytest.raises(QueryError, match="'nothing' is not captured"):
        analysis.show([Query(QUERY.point, "nothing")])
    with pytest.raises(ExportError, match="at most 8 pins; got 9"):
        analysis.show([QUERY] * 9)


def test_without_anywidget_one_sentence_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith(("anywidget", "nlviz.notebook.widget")):
            raise ModuleNotFoundError("No module named 'anywidget'", name="anywidget")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    said = (
        'run `python -m pip install anywidget`, or `python -m pip install "nlviz[notebook]"` where'
    )
    with pytest.raises(ExportError, match=re.escape(said)):
        notebook.show(make.analysis())


CELLS = (
    "from nlviz import Point, Query\n"
    "from tests.support import make\n"
    "analysis = make.analysis(special=True)\n"
    "widget = analysis.show([Query(Point(5, 20.0, 10.0), 'fine', k=6)])\n"
    "from nlviz import pca\n"
    "other = analysis.show(layer=pca(analysis, 'fine', of='theta').layer)\n"
    "seen = []\n"
    "widget.observe(lambda change: seen.append(len(change.new)), 'queries')\n"
    "widget",
    "other",
    "print(seen, [type(query.point).__name__ for query in widget.queries], len(other.queries))",
)


def test_a_notebook_in_a_real_jupyter_is_run_and_its_widgets_clicked(browser, tmp_path):
    pytest.importorskip("jupyterlab", reason="needs requirements-dev.txt")
    from tests.support import jupyter

    with jupyter.lab(tmp_path) as address:
        file = jupyter.notebook(tmp_path / "clicked.ipynb", CELLS)
        page = jupyter.opened(browser, address, file, viewport={"width": 1300, "height": 1500})
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        views = page.locator(".nlviz")
        views.nth(1).wait_for()
        state = "view => view.getRootNode().nlviz.state()"
        first, second = views.nth(0), views.nth(1)
        page.wait_for_function(
            "() => [...document.querySelectorAll('[data-lm-suppress-shortcuts]')].filter("
            "home => home.shadowRoot?.nlviz?.state().drawn?.frames === 4).length === 2"
        )
        wanted = top_links(make.analysis(special=True), QUERY)
        assert [(link["x"], link["y"]) for link in first.evaluate(state)["links"]] == [
            (link.target.x, link.target.y) for link in wanted
        ]
        assert second.evaluate(state)["pins"] == []
        second.locator(".nlviz-grey").wait_for()  # under the colours of the layer
        assert first.locator(".nlviz-grey").count() == 0
        # A click, and a box.
        at = "(view, place) => view.getRootNode().nlviz.toClient(place)"
        point = first.evaluate(at, {"t": 2, "x": 40.0, "y": 30.0})
        page.mouse.click(point["x"], point["y"])
        first.locator(".nlviz-chip").nth(1).wait_for()
        corner = first.evaluate(at, {"t": 0, "x": 4.0, "y": 4.0})
        end = first.evaluate(at, {"t": 0, "x": 30.0, "y": 30.0})
        page.mouse.move(corner["x"], corner["y"])
        page.mouse.down()
        page.mouse.move(end["x"], end["y"], steps=3)
        page.mouse.up()
        first.locator(".nlviz-chip").nth(2).wait_for()
        page.wait_for_function(
            "view => view.getRootNode().nlviz.state().pins.every(pin => pin.exact)",
            arg=first.element_handle(),
        )
        assert second.evaluate(state)["pins"] == []
        # Keys are the viewer's: in command mode these would add, cut and delete cells.
        for key in ("a", "b", "x", "d", "d", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        assert page.locator(".jp-Notebook .jp-CodeCell").count() == len(CELLS)
        first.locator(".nlviz-chip").nth(3).wait_for()  # Enter pinned
        jupyter.run_cell(page, 2)
        printed = page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output")
        printed.get_by_text("[2, 3, 4] ['Point', 'Point', 'Region', 'Point'] 0").wait_for()
        assert wrong == []
        page.close()
