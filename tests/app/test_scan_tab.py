"""The Scan tab: its table says what the library says, and a click chooses block and head."""

from __future__ import annotations

import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz.app.tabs import scan, scan_table
from tests.scans.test_scan import heads_analysis, masks_of


def test_the_table_has_every_score_and_what_is_chosen_and_best():
    analysis = heads_analysis()
    found = nlviz.scan(analysis, masks_of(analysis))
    told = scan_table.contents(found, (*analysis.blocks, "later"), ("fine", 1))
    assert told["columns"] == ["mean", "head 0", "head 1"]
    assert [row["name"] for row in told["rows"]] == ["coarse", "fine", "later"]
    for row in told["rows"][:2]:
        for cell, head in zip(row["cells"], (None, 0, 1), strict=True):
            score = found.at(row["name"], head)
            assert cell["value"] == score.value
            assert cell["opens"]
            assert cell["chosen"] == ((row["name"], head) == ("fine", 1))
            assert cell["best"] == (score is found.best)
            assert f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})" in cell["said"]
    assert all(cell["value"] is None and not cell["opens"] for cell in told["rows"][2]["cells"])


def test_a_click_gives_the_block_and_the_head():
    asked = []
    for id in ("1:fine", ":fine", "0:vit:block.3"):
        scan_table._open(id, lambda block, head: asked.append((block, head)))
    assert asked == [("fine", 1), ("fine", None), ("vit:block.3", 0)]


def test_uploaded_tracks_are_read_and_refused_by_their_own_name():
    found = scan._tracks("a.csv", b"point,frame,x,y\n0,0,1,2\n0,1,3,4\n")
    assert np.array_equal(found.tracks, [[[1, 2], [3, 4]]])
    with pytest.raises(nlviz.MediaError, match=r"^'a\.csv' has no column y"):
        scan._tracks("a.csv", b"point,frame,x\n0,0,1\n")


def scan_tab() -> None:
    """A script of the app: the tab for one pin in an analysis of two blocks of two heads."""
    from nlviz import Point
    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.tabs import scan, scan_table, waiting
    from nlviz.app.tabs.context import TabContext
    from nlviz.viewer.messages import links_of
    from nlviz.viewer.options import Options
    from nlviz.viewer.pins import Pins
    from nlviz.viewer.staged import packed
    from tests.scans.test_scan import heads_analysis

    waiting.for_network = lambda _: True
    scan.scan_table = lambda *given: scan_table.contents(*given[:3])
    analysis, options = heads_analysis(), Options(block="fine", k=3)
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 320)
    pins = Pins().add(Point(0, 20.0, 20.0))
    links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
    scan.show(TabContext(Shown(choice, analysis, *packed(analysis)), links, options))


def test_the_tab_names_the_best_and_draws_the_pin_in_every_head(monkeypatch):
    from nlviz.app.tabs import waiting

    monkeypatch.setattr(waiting, "for_network", waiting.for_network)  # put back after
    monkeypatch.setattr(scan, "scan_table", scan.scan_table)
    page = AppTest.from_function(scan_tab, default_timeout=60).run()
    page.segmented_control("scan-measure").set_value("JF").run()
    analysis = heads_analysis()
    masks = nlviz.carried_object(analysis, nlviz.Point(0, 20, 20), "fine")
    best = nlviz.scan(analysis, masks, measure="JF").best
    end = time.monotonic() + 30
    while best.name not in " ".join(each.value for each in page.markdown):
        assert time.monotonic() < end
        page.run()
    assert not page.exception
    assert f"{best.value:.3f}" in " ".join(each.value for each in page.markdown)
    assert "is measured against itself" in " ".join(each.value for each in page.markdown)
    page.segmented_control("scan-view").set_value("The pin in every head").run()
    assert not page.exception
    assert "farthest from it" in " ".join(each.value for each in page.caption)
