"""The store of all visitors: bounded in bytes, by content, each array weighed once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nlviz.app import kept, startup, store
from nlviz.app.choice import Choice, ClipPart
from nlviz.app.shown import Shown
from nlviz.app.weight import buffers
from nlviz.viewer.staged import packed
from tests.support import make
from tests.support.given import uploaded


def megabyte() -> np.ndarray:
    return np.zeros(1 << 20, np.uint8)


def test_what_was_used_longest_ago_goes_first():
    here = store.Store(3 << 20)
    for key in "abc":
        here.put(key, megabyte())
    assert here.get("a") is not None
    here.put("d", megabyte())
    assert [key for key in "abcd" if here.get(key) is not None] == ["a", "c", "d"]
    assert here.bytes == 3 << 20


def test_what_is_larger_than_all_may_be_takes_nothing_elses_place():
    here = store.Store(1 << 20)
    here.put("small", np.zeros(1 << 10, np.uint8))
    here.put("large", np.zeros(2 << 20, np.uint8))
    assert here.get("large") is None
    assert here.get("small") is not None


def test_an_array_that_two_results_share_is_weighed_once():
    here, shared = store.Store(10 << 20), megabyte()
    here.put("whole", shared)
    here.put("part", [shared[:100]])
    assert here.bytes == 1 << 20
    here.drop("whole")
    assert here.bytes == 1 << 20
    here.drop("part")
    assert here.bytes == 0


def test_records_tensors_and_texts_are_weighed_in_real_bytes():
    analysis = make.analysis()
    arrays = [array for each in analysis.affinities.values() for array in (each.theta, each.phi)]
    whole = analysis.clip.frames.nbytes + sum(array.nbytes for array in arrays)
    assert whole <= sum(buffers(analysis).values()) <= 1.1 * whole
    tensor, text = torch.zeros(1000), b"x" * 5000
    assert sum(buffers({"a": tensor[:10], "b": (text, text)}).values()) == 9000


def test_what_a_visitor_had_goes_with_them():
    here, owner = store.Store(10 << 20), object()
    here.put((owner, "a"), megabyte())
    here.put("others", megabyte())
    here.forget(owner)
    assert here.bytes == 1 << 20


@pytest.mark.parametrize(("said", "kept"), [([], None), (["--keep", "5"], 5_000_000)])
def test_the_owner_may_say_how_much_is_kept(said, kept, monkeypatch):
    monkeypatch.setattr("sys.argv", ["app.py", *said])
    assert startup.keep_bytes() == kept
    assert 256 << 20 <= store.usual() <= 4 << 30


def given(name: str, data: bytes) -> Choice:
    return Choice(uploaded(name, data), ClipPart(), "nl-lite0", 256)


@pytest.fixture
def known_weights(own_store, monkeypatch) -> None:
    """Of each network there is one, so that what it made is found again."""
    monkeypatch.setattr(kept.running, "known", lambda name: "weights")


def shown(choice: Choice) -> Shown:
    analysis = make.analysis()
    clip = replace(analysis.clip, name=choice.material.name)
    analysis = replace(analysis, clip=clip)
    return Shown(choice, analysis, *packed(analysis), made_with="weights")


def test_the_same_content_is_one_analysis_and_another_is_none(known_weights):
    first = shown(given("clip.mp4", b"one"))
    kept.keep(first)
    found = kept.find(given("clip.mp4", b"one"))
    assert found.analysis is first.analysis
    assert found.choice.material.held is not None
    assert kept.find(given("clip.mp4", b"two")) is None
    assert kept.find(replace(first.choice, size=320)) is None
    assert kept.find(replace(first.choice, part=ClipPart(1))) is None


def test_an_analysis_that_is_kept_does_not_keep_the_file_it_is_of(known_weights):
    first = shown(given("clip.mp4", b"of nobody else"))
    path = first.choice.material.held.path
    kept.keep(first)
    assert path.exists()
    del first
    assert not path.exists()
    assert kept.find(given("clip.mp4", b"of nobody else")) is not None


def test_who_gives_the_same_content_does_not_learn_what_another_calls_it(known_weights):
    kept.keep(shown(given("a secret.mp4", b"one")))
    found = kept.find(given("mine.mp4", b"one"))
    assert found is not None
    assert found.choice.material.title == found.analysis.clip.name == "mine.mp4"
    assert not any(b"secret" in blob for blob in found.blobs)


def test_other_weights_of_the_same_name_find_nothing(known_weights, monkeypatch):
    first = shown(given("clip.mp4", b"one"))
    kept.keep(first)
    monkeypatch.setattr(kept.running, "known", lambda name: "others")
    assert kept.find(first.choice) is None
