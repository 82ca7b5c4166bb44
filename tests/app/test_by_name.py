"""The field for networks by name: what it offers to whom, loads, remembers and refuses."""

from __future__ import annotations

import sys

import pytest
from streamlit.testing.v1 import AppTest

from nlviz.app import named, running, startup
from nlviz.app.sidebar import by_name
from nlviz.errors import NetworkError, NlvizError
from tests.app.test_networks import sidebar, texts
from tests.support.app_runs import until_done
from tests.support.named_models import PROCESSOR, save

HUB = "hf:someone/tiny-vit"


@pytest.fixture(autouse=True)
def _caches(tmp_path, monkeypatch):
    """Caches of this test alone, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path / "nlviz"))
    named._in_caches.clear()
    yield
    named._in_caches.clear()
    running._by_name.clear()


@pytest.fixture
def kept(tmp_path):
    """A tiny model in the cache of the hub."""
    at = tmp_path / "hub" / "models--someone--tiny-vit"
    save("vit", at / "snapshots" / "c0ffee", PROCESSOR)
    (at / "refs").mkdir()
    (at / "refs" / "main").write_text("c0ffee")
    return HUB


def _started(monkeypatch, *said):
    monkeypatch.setattr(sys, "argv", ["app.py", *said])


def _field(page):
    return next(each for each in page.selectbox if each.label == "Another network by name")


def _opened():
    return AppTest.from_function(sidebar, default_timeout=60).run()


def _loaded(page):
    return until_done(page, "naming", runs=400)


def _name(page, spec):
    key = _field(page).key
    _field(page).set_value(spec)
    _loaded(page.run())
    assert _field(page).key != key, "the field for the next one is a new one"


def _typed(spec, visit):
    """What the field does with what was typed, which AppTest cannot type."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_name.st, "session_state", {"field": spec})
        by_name._take(visit, "field")


def test_the_owner_loads_what_the_cache_has_and_finds_it_the_next_time(kept):
    page = _opened()
    assert list(_field(page).options) == [kept]
    _name(page, kept)
    assert texts(page) == [f"{kept} at 64", "problem: None"]
    assert page.selectbox(key="model").value == kept
    said = " ".join(caption.value.replace("\\", "") for caption in page.caption)
    assert "ViTForImageClassification of transformers" in said
    assert "preprocessor" in said
    assert named.last() == (kept,)
    assert not _field(page).value  # ready for another


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("hf:someone/tiny-vitt", "cannot be reached"),
        ("huggingface:a/b", "is 'hf:a/b' meant?"),
        ("timm:vit_tinny_patch16_224", "is 'vit_tiny_patch16_224'"),
        ("torchhub:a/b:c", "--trust a/b"),
    ],
)
def test_what_cannot_be_had_is_told_in_a_sentence_and_the_rest_stays(spec, told):
    page = _opened()
    before = texts(page)[0]
    _typed(spec, page.session_state["nlviz"])
    _loaded(page.run())
    assert texts(page)[0] == before
    assert told in texts(page)[1]
    assert named.last() == ()


def addressed(spec):
    import streamlit as st

    from nlviz.app.choice import ClipPart, bundled
    from nlviz.app.sidebar import networks, restore
    from nlviz.app.visit import current, is_new

    new = is_new()
    here = current(bundled()[0])
    if new:
        said = {"clip": ["ball.mp4"], "model": [spec], "size": ["64"], "features": ["vit.layers"]}
        restore.from_address(here, said)
    choice = networks.choose(here, here.material, ClipPart())
    st.text(f"{choice.network} at {choice.size}")
    st.text(" ".join(here.remarks))
    st.text(choice.layer)


def test_an_address_may_name_a_network_by_name(kept):
    page = AppTest.from_function(addressed, default_timeout=60, args=(kept,)).run()
    assert texts(_loaded(page)) == [f"{kept} at 64", "", "vit.layers"]


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        (True, "'hf:someone/else' is not on this machine, and the Hugging Face hub cannot be"),
        (False, "This server does not offer the network 'hf:someone/else'; nl-lite0 is shown."),
    ],
)
def test_an_address_of_what_cannot_be_had_says_so_and_shows_the_usual(monkeypatch, owner, told):
    monkeypatch.setattr(startup, "is_own_machine", lambda: owner)
    page = AppTest.from_function(addressed, default_timeout=60, args=("hf:someone/else",)).run()
    choice, remarks, layer = texts(_loaded(page))
    assert layer == ""
    assert choice.startswith("nl-lite0 at")
    assert remarks.startswith(told)
    assert remarks.endswith("nl-lite0 is shown.")


def test_visitors_of_a_served_app_choose_from_the_caches_and_download_nothing(kept, monkeypatch):
    monkeypatch.setattr(startup, "is_own_machine", lambda: False)
    assert not named.may_type()
    assert not named.may_download()
    assert named.offered() == (kept,)
    assert named.may_load(kept)
    assert not named.may_load("hf:someone/else")
    with pytest.raises(NetworkError, match="does not offer the network 'hf:someone/else'"):
        running.load_by_name("hf:someone/else", lambda *_: None)
    with pytest.raises(NetworkError, match="does not offer"):
        running.loaded("timm:vit_tiny_patch16_224")
    named.remember(kept)
    assert named.last() == ()


def test_a_list_of_the_owner_is_all_that_anybody_may_load(kept, monkeypatch):
    _started(monkeypatch, "--models", "nl-lite0,hf:some/listed")
    startup.check()
    assert named.offered() == ("hf:some/listed",)
    assert not named.may_load(kept)
    assert startup.offered_models() == ("nl-lite0",)
    _started(monkeypatch, "--models", "nl-lite0,hff:some/listed")
    with pytest.raises(NlvizError, match="there is no network 'hff:some/listed'"):
        startup.check()


def test_a_demo_offers_none_and_shows_no_field(kept, monkeypatch):
    _started(monkeypatch, "--demo")
    assert named.offered() == ()
    assert not [each for each in _opened().selectbox if "by name" in each.label]


def test_the_last_ones_come_first_and_a_damaged_list_is_none(tmp_path, kept):
    for number in range(12):
        named.remember(f"hf:a/{number}")
    assert named.last()[:2] == ("hf:a/11", "hf:a/10")
    assert len(named.last()) == 8
    assert named.offered()[-1] == kept
    (tmp_path / "nlviz" / "last-models.json").write_text('{"no": "list"}')
    assert named.last() == ()
