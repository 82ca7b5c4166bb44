"""Pace: what was measured of short passes says what longer ones cost."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch
from torch import nn

import nlviz
from nlviz.inference import pace
from nlviz.inference.pace import Pace, measure
from tests.support import make


def _pace(frames, seconds) -> Pace:
    return Pace(frames, seconds, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))


def test_a_cost_that_grows_with_the_frames_grows_on():
    found = _pace((1, 4), (2.0, 8.0))
    assert [found.seconds_of(n) for n in (1, 4, 8)] == pytest.approx([2, 8, 16])


def test_a_fixed_cost_is_paid_once():
    found = _pace((1, 4), (3.0, 6.0))
    assert [found.seconds_of(n) for n in (1, 4, 8)] == pytest.approx([3, 6, 10])


def test_a_cost_of_pairs_grows_with_the_square():
    found = _pace((1, 4), (1.0, 16.0))
    assert [found.seconds_of(n) for n in (1, 4, 8)] == pytest.approx([1, 16, 64])
    mixed = _pace((2, 4), (2 * 3 + 4 * 5, 4 * 3 + 16 * 5))
    assert mixed.seconds_of(10) == pytest.approx(10 * 3 + 100 * 5)


def test_a_network_of_one_length_costs_what_it_cost():
    assert _pace((16, 16), (7.0, 7.0)).seconds_of(16) == 7.0


def test_positions_and_what_is_kept_are_those_of_the_analysis(monkeypatch):
    network, clip = make.network(), make.clip(8)
    found = measure(network, clip.width, clip.height)
    analysis = nlviz.analyse(clip, network)
    blocks = analysis.affinities.values()
    assert found.positions_of(8) == max(each.query_grid.size for each in blocks)
    assert found.kept_of(8) == sum(each.theta.size + each.phi.size for each in blocks)


def test_the_probe_warms_up_and_takes_the_quicker_of_two(monkeypatch):
    network = make.network()
    times = itertools.accumulate(itertools.chain([0, 90, 0, 2, 0, 9, 0, 8], itertools.repeat(0)))
    lengths = []
    plain = pace.analyse
    monkeypatch.setattr(
        pace,
        "analyse",
        lambda clip, *a, **k: (lengths.append(len(clip.frames)), plain(clip, *a, **k))[1],
    )
    found = measure(network, 64, 48, most=8, clock=lambda: float(next(times)))
    assert lengths == [1, 1, 4, 4]
    assert (found.frames, found.seconds) == ((1, 4), (2.0, 8.0))


def test_the_probe_is_as_short_as_the_network_allows(monkeypatch):
    lengths = []
    plain = pace.analyse

    def watched(clip, *given, **options):
        lengths.append(len(clip.frames))
        return plain(clip, *given, **options)

    monkeypatch.setattr(pace, "analyse", watched)
    measure(make.network(), 64, 48, most=1)
    assert lengths == [1, 1]
    lengths.clear()
    fixed = nlviz.UserNetwork(make.network().module, {"frames": 6, "size": 32, "multiple": 4})
    assert measure(fixed, 64, 48, most=6).frames == (6, 6)
    assert lengths == [6, 6]


def test_live_bytes_are_those_of_what_is_held_at_once():
    with pace._LiveBytes() as live:
        one = torch.zeros(1000)
        for _ in range(5):
            torch.zeros(5000)  # each is let go before the next
        view = one[:10]
        kept = one + 1
    assert live.most == 4 * (1000 + 5000)
    assert view.numel() + kept.numel() == 1010


def test_memory_of_attention_that_is_written_out_grows_with_its_square():
    class WrittenOut(nn.Module):
        def forward(self, x):
            flat = x.flatten(2)
            return torch.softmax(flat.transpose(1, 2) @ flat, -1).mean()

    def most(side: int) -> int:
        with pace._LiveBytes() as live:
            WrittenOut()(torch.zeros(1, 3, side, side))
        return live.most

    assert most(40) > 12 * most(20)


def test_watching_loads_no_compiler(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # loading it would fail
    with pace.watching():
        torch.zeros(3)
