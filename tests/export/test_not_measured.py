"""A baseline's fidelity was not measured, and is nowhere told as a number; it keeps its kind."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

import nlviz
from nlviz import export
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.shown import Shown
from nlviz.app.tabs import block as block_tab
from nlviz.viewer.blobs import block_blob
from tests.export.test_export import described
from tests.support import make

NAME = "fine (uniform)"
QUERY = nlviz.Query(nlviz.Point(5, 20.0, 10.0), NAME, k=3)


@pytest.fixture
def uniform() -> nlviz.Analysis:
    whole = replace(make.analysis(), kinds={"fine": "self-attention"})
    return nlviz.baseline(whole, None, "fine", "uniform")


def saved(analysis: nlviz.Analysis) -> nlviz.Analysis:
    session = export.Session(analysis, export.Provenance.of(analysis, [QUERY]), (QUERY,))
    return export.open_session(export.save(session)).analysis


@pytest.mark.parametrize("kind", ["uniform", "cosine", "shuffled"])
@pytest.mark.parametrize("block", ["first", "second"])
def test_only_what_a_network_computed_has_a_fidelity(block, kind):
    network = make.network()
    analysis = nlviz.analyse(make.clip(frames=3), network, size=32)
    found = nlviz.baseline(analysis, network, block, kind)
    fidelity = found.fidelity[f"{block} ({kind})"]
    assert fidelity is None if kind != "shuffled" else 0 < fidelity < 1e-3
    assert found.about(found.blocks[0]).kind == analysis.about(block).kind


@pytest.mark.parametrize("again", [lambda a: a, saved], ids=["as it is", "saved and opened"])
def test_it_is_told_in_words(uniform, again):
    analysis = again(uniform)
    assert analysis.fidelity == {NAME: None}
    about = analysis.about(NAME)
    assert about.kind == "self-attention"
    assert about.sentences[0].startswith("self-attention, ")
    assert about.sentences[-1].endswith("; fidelity not measured")
    assert "<td>not measured</td>" in analysis._repr_html_()
    table = block_tab.table(about)
    assert "not measured: no block of the network puts this out" in table
    assert "0.0e+00" not in table


def test_it_is_null_in_what_programs_read(uniform):
    answers = [nlviz.top_links(uniform, QUERY)]
    assert json.loads(json.dumps(export.report(uniform, answers)))["fidelity"] is None
    made = export.Provenance.of(uniform, [QUERY])
    for kind, form in (("npz", export.npz), ("safetensors", export.tensors)):
        assert described(form(uniform, [QUERY], made), kind)[1]["blocks"][NAME]["fidelity"] is None
    header = block_blob(uniform, NAME, "clip")
    text = json.loads(header[4 : 4 + int.from_bytes(header[:4], "little")])
    assert text["fidelity"] is None


def test_beside_its_block_in_the_app_it_keeps_its_kind_and_has_no_number(uniform):
    whole = replace(make.analysis(), kinds={"fine": "self-attention"})
    choice = Choice(Material("id", "A title", "a.mp4"), ClipPart(), "nl-lite0", 64)
    shown = Shown(choice, whole, (b"clip", b"1", b"2"), ("c", "b1", "b2")).beside(uniform)
    assert shown.analysis.fidelity == {"coarse": 1e-7, "fine": 1e-7, NAME: None}
    assert shown.analysis.about(NAME).kind == "self-attention"
    assert shown.analysis.about("coarse").kind == "non-local block"


def test_an_exported_page_says_it(uniform, browser: Browser, tmp_path):
    made = export.Provenance.of(uniform, [QUERY])
    (tmp_path / "page.html").write_bytes(export.page(uniform, [QUERY], made))
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(".nlviz-readout")).to_contain_text("fidelity not measured")
    page.close()


def test_figures_and_films_of_a_baseline_are_drawn(uniform):
    links = nlviz.top_links(uniform, QUERY)
    assert nlviz.film_strip(uniform, [links]).png(dpi=40).startswith(b"\x89PNG")
    assert np.isfinite([link.weight for link in links]).all()
