"""Chunks side by side: in order, each on one thread, and torch's own number left as it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

import nlviz
from nlviz.experiments import layers
from nlviz.experiments.worker_threads import workers
from tests.support import make, tiny_vit


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_a_new_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.usefixtures("two_threads")
def test_each_computes_on_one_thread_and_all_others_keep_their_number():
    begun = set(threading.enumerate())
    for _ in range(20):
        inside = set(workers().each(lambda _: torch.get_num_threads(), range(6), lambda _: None))
        beside = torch.get_num_threads(), in_a_new_thread(torch.get_num_threads)
        assert (inside, beside) == ({1}, (2, 2))
    assert len(set(threading.enumerate()) - begun) <= 2, "they are made once"


@pytest.mark.usefixtures("two_threads")
def test_what_is_made_comes_in_order_and_is_told_in_the_callers_thread():
    later, told = threading.Event(), []

    def work(number):
        if number == 0:
            assert later.wait(10), "the second is begun before the first ends"
        later.set()
        return number, threading.current_thread()

    def tell(share):
        told.append((share, threading.current_thread()))

    made = list(workers().each(work, range(4), tell))
    assert [number for number, _ in made] == [0, 1, 2, 3]
    here = threading.current_thread()
    assert here not in {thread for _, thread in made}
    assert told == [(share, here) for share in (0, 0.25, 0.5, 0.75, 1)]


@pytest.mark.parametrize("fails", ["work", "told"])
@pytest.mark.usefixtures("two_threads")
def test_nothing_is_begun_after_an_error(fails):
    begun = []

    def work(number):
        begun.append(number)
        if fails == "work" and number == 1:
            raise ValueError("the second")

    def tell(share):
        if fails == "told" and share:
            raise ValueError("enough")

    with pytest.raises(ValueError, match=r"second|enough"):
        list(workers().each(work, range(100), tell))
    assert len(begun) <= 4


@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_numbers_of_one(monkeypatch):
    monkeypatch.setattr(layers, "_CHUNK_BYTES", 4 * 25 * 5)
    monkeypatch.setattr(layers, "_FEWEST", 1)
    analysis = nlviz.analyse(make.clip(2), tiny_vit.network())
    two = nlviz.rollout(analysis).affinity("rollout (derived)")
    torch.set_num_threads(1)
    one = nlviz.rollout(analysis).affinity("rollout (derived)")
    np.testing.assert_array_equal(one.phi, two.phi)
