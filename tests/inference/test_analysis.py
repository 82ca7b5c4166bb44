"""analyse: one forward pass, checked captures, and a network left as it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

import nlviz
from tests.support import make
from tests.support.plain_block import PlainBlock3D, counted_hooks


def test_an_analysis_has_every_block_its_fidelity_and_the_classes():
    analysis = nlviz.analyse(make.clip(), make.network())
    assert analysis.blocks == ("first", "second")
    assert analysis.view.input == (32, 24)
    assert analysis.affinity("first").query_grid.shape == (4, 6, 8)
    assert analysis.affinity("first").key_grid.shape == (4, 3, 4)
    assert max(analysis.fidelity.values()) < 1e-3  # of what little the rows differ in
    assert sum(p.score for p in analysis.prediction) == pytest.approx(1)
    assert {p.label for p in analysis.prediction} == {"cat", "dog"}


def test_the_readme_lines_work_from_a_clip_to_a_row():
    analysis = nlviz.analyse(make.clip(), make.network())
    query = nlviz.Query(nlviz.Point(frame=0, x=40.0, y=22.0), block=analysis.blocks[-1], k=20)
    links = nlviz.top_links(analysis, query)
    affinity = analysis.affinity(query.block)
    weights = affinity.row(analysis.view.cell(query.point, affinity.query_grid))
    assert weights.shape == affinity.key_grid.shape
    assert links[0].weight == pytest.approx(float(weights[1:].max()))


def test_taps_put_the_grids_where_the_network_says():
    network = make.network()
    network.taps = {"first": nlviz.Grid(1, 1, 1, stride=(1, 4, 4), first=(0.5, 0.5, 0.5))}
    analysis = nlviz.analyse(make.clip(), network)
    first = analysis.affinity("first")
    assert first.query_grid.first == (0.5, 0.5, 0.5)
    assert first.key_grid.first == (0.5, 2.5, 2.5)
    assert first.key_grid.stride == (1, 8, 8)
    assert analysis.affinity("second").query_grid.stride == (1, 4, 4)


def test_without_a_tap_an_odd_grid_and_its_pooled_keys_agree_on_where_they_lie():
    analysis = nlviz.analyse(make.clip(2, width=60, height=28), make.network(), size=60)
    first = analysis.affinity("first")
    assert (first.query_grid.shape, first.key_grid.shape) == ((2, 7, 15), (2, 3, 7))
    assert first.key_grid.stride == (1, 8, 8)
    last = analysis.view.footprint(nlviz.Cell(0, 2, 6), first.key_grid)
    assert (last.x1, last.y1) == (56, 24)  # the odd last cells are dropped by the pooling


def test_more_frames_than_fit_are_refused_before_they_are_resized(monkeypatch):
    monkeypatch.setattr("nlviz.inference.forward.MOST_INPUT", 3 * 32 * 24)
    with pytest.raises(nlviz.BudgetError, match=r"4 frames at 32×24 .* at most 3 frames"):
        nlviz.analyse(make.clip(), make.network())


def test_a_block_that_is_not_understood_is_told():
    network = make.network()
    network.module.first = PlainBlock3D()
    analysis = nlviz.analyse(make.clip(), network)
    assert analysis.blocks == ("second",)
    assert "none of the known conventions" in analysis.refused["first"]


def test_progress_names_each_stage_and_rises_to_one():
    heard = []
    nlviz.analyse(make.clip(), make.network(), progress=lambda *said: heard.append(said))
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert [what.split(": ")[1] for _, what in heard if ":" in what] == list(make.network().stages)


def test_what_progress_raises_stops_the_analysis_and_leaves_no_hook():
    network = make.network()

    def stop(fraction, what):
        if "second" in what:
            raise InterruptedError

    network.module.train()
    with pytest.raises(InterruptedError):
        nlviz.analyse(make.clip(), network, progress=stop)
    assert counted_hooks(network.module) == 0
    assert network.module.training


def test_two_analyses_at_once_on_one_network_do_not_mix():
    network = make.network()
    clips = [make.clip(frames) for frames in (2, 3, 4, 5)]
    expected = [nlviz.analyse(clip, network) for clip in clips]
    found: dict[int, nlviz.Analysis] = {}
    heard: dict[int, list[str]] = {i: [] for i in range(4)}

    def work(i):
        found[i] = nlviz.analyse(clips[i], network, progress=lambda _, what: heard[i].append(what))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, analysis in enumerate(expected):
        for block in analysis.blocks:
            np.testing.assert_array_equal(
                found[i].affinity(block).theta, analysis.affinity(block).theta
            )
        assert len(heard[i]) == len(set(heard[i]))
    assert counted_hooks(network.module) == 0


def test_no_memory_says_what_to_lower():
    network = make.network()
    network.module.stem.register_forward_pre_hook(_out_of_memory)
    with pytest.raises(
        nlviz.BudgetError, match="4 frames at 32×24; take fewer frames or a smaller"
    ):
        nlviz.analyse(make.clip(), network)


def _out_of_memory(module, args):
    torch.empty(10**15)  # what this system says when it has no memory, in its own words


def test_a_network_that_sees_each_frame_alone_gets_its_frames_put_together_in_time():
    network = make.network()
    network.prepare = lambda frames: torch.tensor(frames).permute(0, 3, 1, 2)[:, :, None] / 255
    analysis = nlviz.analyse(make.clip(), network)
    first = analysis.affinity("first")
    assert (first.query_grid.shape, first.key_grid.shape) == ((4, 6, 8), (4, 3, 4))
    row = first.row(nlviz.Cell(2, 3, 3))
    assert row[2].sum() == pytest.approx(1)
    assert not row[[0, 1, 3]].any()


def test_scores_that_do_not_fit_the_class_names_give_no_prediction():
    network = make.network()
    network.classes = ("cat", "dog", "goat")
    assert nlviz.analyse(make.clip(), network).prediction == ()


@pytest.mark.parametrize("size", [0, 4097])
def test_an_input_size_outside_the_range_is_refused(size):
    with pytest.raises(nlviz.NetworkError, match=f"input size {size} .* choose 1 to 4096"):
        nlviz.analyse(make.clip(), make.network(), size=size)


def test_a_one_frame_clip_is_analysed():
    analysis = nlviz.analyse(make.clip(1), make.network())
    assert analysis.affinity("second").query_grid.shape == (1, 6, 8)
