"""A vision-language model in the app: who loads it, what is kept of it, and what it cannot do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st

from nlviz.app import asking, named, running, startup
from nlviz.app.analysing import make
from nlviz.app.choice import Asked, Choice, ClipPart, bundled
from nlviz.app.stage import stage
from nlviz.app.tabs import jobs
from nlviz.app.visit import Visit
from nlviz.app.whole_clip import cost
from nlviz.errors import BudgetError, NetworkError
from nlviz.language.answered import MEAN, Words
from nlviz.language.listening import Decoder
from tests.support.vision import transformers  # noqa: F401 — or these tests are skipped
from tools import tiny_vlm

HUB = "hf:someone/tiny-vlm"
ASKED = Asked("What moves?", "The dog runs.")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A tiny model in the cache of the hub, on a server that others can open."""
    import huggingface_hub

    def asked(*_, **__):
        pytest.fail("the hub was asked")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", asked)
    monkeypatch.setattr(startup, "is_own_machine", lambda: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    named._in_caches.clear()
    at = tmp_path / "models--someone--tiny-vlm"
    (at / "refs").mkdir(parents=True)
    (at / "refs" / "main").write_text("c0ffee")
    tiny_vlm.save("InternVL", at / "snapshots" / "c0ffee")
    yield HUB
    named._in_caches.clear()
    running._by_name.clear()


def told(*_):
    """A report that nobody reads."""


def test_a_visitor_asks_what_the_cache_has_and_may_keep_what_fits(kept, own_store, monkeypatch):
    assert named.offered() == (kept,)
    assert running.reads_words(running.load_by_name(kept, told))
    choice = Choice(bundled()[0], ClipPart(frames=2), kept, 640, asked=ASKED)
    shown = make(choice, told)
    analysis = shown.analysis
    assert analysis.blocks == ("layer 0", "layer 1", MEAN)
    assert analysis.default_block == MEAN
    assert analysis.affinities[MEAN].tokens[:3] == ("The", "dog", "runs")
    with pytest.raises(NetworkError, match="was run once for its words"):
        shown.network()
    every = Choice(choice.material, ClipPart(frames=2, stride=1), kept, 640, asked=ASKED)
    assert cost(every, analysis) is None
    other = make(Choice(choice.material, choice.part, kept, 640, asked=Asked("Who?", "Me.")), told)
    assert other.analysis.affinities[MEAN].tokens[:2] == ("Me", ".")
    assert make(choice, told) is shown, "what was asked before is kept"
    monkeypatch.setattr(startup, "keep_bytes", lambda: 12_000)
    with pytest.raises(BudgetError, match="above the budget of 0 MiB; at most"):
        make(Choice(choice.material, ClipPart(frames=4), kept, 640, asked=ASKED), told)


def test_more_words_than_the_server_keeps_are_refused():
    words = [None] * 100
    sequence = SimpleNamespace(slots=range(4000))
    found = SimpleNamespace(words=words, layers=(None,) * 36, sequence=sequence)
    needed = 2 * 4 * 100 * 4101 * 37
    asking._check_fits(found, needed)
    with pytest.raises(BudgetError, match=r"100 words over 37 blocks take 121 MB.*shorter answer"):
        asking._check_fits(found, needed - 1)


@pytest.fixture
def steps(kept, monkeypatch):
    """What asking goes through, by name: each calls ``at`` of itself before it is done."""
    network = running.load_by_name(kept, told)
    seen: dict[str, list[int]] = {"seeing": [], "decoding": [], "drawing": []}
    at = dict.fromkeys(seen, told)

    def counted(what, number):
        seen[what].append(number)
        at[what]()

    layers = {
        "seeing": network.model.model.vision_tower.encoder.layer,
        "decoding": Decoder(network.model).module.layers,
    }
    hooks = [
        layer.register_forward_pre_hook(lambda *_, what=what, number=number: counted(what, number))
        for what, those in layers.items()
        for number, layer in enumerate(those)
    ]
    drawn = Words._affinity

    def drawing(words, layer, head):
        counted("drawing", layer)
        return drawn(words, layer, head)

    monkeypatch.setattr(Words, "_affinity", drawing)
    monkeypatch.setattr(running, "_PATIENCE", 0.0)
    yield seen, at
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("what", ["seeing", "decoding", "drawing"])
def test_stop_is_heard_within_a_layer_and_asking_again_works(steps, what, own_store, monkeypatch):
    seen, at = steps
    here = jobs.Jobs(own_store)
    monkeypatch.setattr(jobs, "current", lambda: here)
    material, part = bundled()[0], ClipPart(frames=2)
    before = Choice(material, part, HUB, 640, asked=Asked("Who?", "Me."))
    visit, place = Visit(material), st.empty()
    visit.show(make(before, told))
    picture = visit.shown
    for each in seen.values():
        each.clear()

    def stop():
        with here._lock:  # it is being asked
            here._latest.stop()

    at[what] = stop
    choice = Choice(material, part, HUB, 640, asked=ASKED)
    stage.update(visit, choice, place)
    job = here.ask(choice, "analysis", told)
    job.wait(30)
    assert job.stopped
    assert not job.gave
    assert len(seen[what]) == 1, "nothing more was run"
    stage.update(visit, choice, place)
    assert visit.shown is picture
    assert visit.problem is None
    at[what] = told
    here.forget(choice, "analysis")  # what "Start again" does
    stage.update(visit, choice, place)
    here.ask(choice, "analysis", told).wait(30)
    stage.update(visit, choice, place)
    assert visit.shown.choice == choice
    assert visit.shown.analysis.affinities[MEAN].tokens[:2] == ("The", "dog")
