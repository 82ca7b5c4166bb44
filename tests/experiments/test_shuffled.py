"""Shuffled weights come back, and the sanity check tells what stays without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nlviz
from nlviz.experiments.shuffled import as_baseline, rank_correlation, shuffled
from nlviz.experiments.verdict import masking_in_words
from tests.support import make, tiny_vit

ROLLOUT = "rollout (derived)"


def analysed():
    network = tiny_vit.network()
    return nlviz.analyse(make.clip(2), network), network


def derive(analysis, report):
    return nlviz.rollout(analysis, ["class"], progress=report)


def test_the_same_numbers_in_another_order_and_the_very_tensors_back():
    _, network = analysed()
    parameters = dict(network.module.named_parameters())
    before = {name: (p.data_ptr(), p.detach().clone()) for name, p in parameters.items()}

    def fail():
        with nlviz.shuffled_weights(network, seed=3):
            for name, p in parameters.items():
                same = [each.flatten().sort().values for each in (p, before[name][1])]
                assert torch.equal(*same)
            assert not torch.equal(parameters["head.weight"], before["head.weight"][1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for name, p in parameters.items():
        assert p.data_ptr() == before[name][0]
        assert torch.equal(p, before[name][1])


def test_a_share_is_counted_from_the_output_down():
    _, network = analysed()
    before = {name: p.detach().clone() for name, p in network.module.named_parameters()}
    with nlviz.shuffled_weights(network, share=0.1):
        now = dict(network.module.named_parameters())
        assert not torch.equal(now["head.weight"], before["head.weight"])
        assert torch.equal(now["patches.weight"], before["patches.weight"])
    for share in (0, 1.5):
        shuffling = nlviz.shuffled_weights(network, share=share)
        with pytest.raises(nlviz.QueryError, match="above 0 and up to 1"), shuffling:
            pass


def test_the_baseline_stands_beside_what_it_is_compared_with():
    analysis, network = analysed()
    found = derive(analysis, None)
    other = shuffled(found, network, ROLLOUT, derive, seed=2)
    both = as_baseline(found, other, ROLLOUT, seed=2)
    assert both.derived == (ROLLOUT, "rollout (derived, shuffled weights, seed 2)")
    one, two = (both.affinity(name).row("class") for name in both.derived)
    assert not np.allclose(one, two)
    assert "with shuffled weights" in both.kinds[both.derived[1]]


def test_ranks_of_equal_numbers_are_their_mean():
    one = np.array([1, 2, 2, 3], np.float32)
    assert rank_correlation(one, one) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one, np.array([1, 3, 2, 4], np.float32)) == pytest.approx(0.9486833)
    assert rank_correlation(one, np.zeros(4, np.float32)) == 0


def test_what_needs_no_weights_stays_alike_and_what_does_falls():
    analysis, network = analysed()
    query = nlviz.Query("class", ROLLOUT)
    shares = (0.5, 1.0)
    found = nlviz.sanity_check(
        derive(analysis, None), network, query, derive, shares=shares, seed=1
    )
    assert found.correlations.shape == (2,)
    assert abs(found.correlations[-1]) < 0.6

    def of_the_first(_, report):
        return nlviz.rollout(analysis, ["class"], progress=report)

    same = nlviz.sanity_check(derive(analysis, None), network, query, of_the_first, shares=(1.0,))
    assert same.correlations[0] == pytest.approx(1)
    assert "without anything learned" in same.in_words
    with pytest.raises(nlviz.QueryError, match="rising"):
        nlviz.sanity_check(derive(analysis, None), network, query, derive, shares=(1.0, 0.5))


def test_places_of_a_derived_block_are_painted_over_in_the_clip():
    analysis, network = analysed()
    found = nlviz.relevance(analysis, network, "bird")
    query = nlviz.Query("prediction", "relevance: bird (derived)")
    seen = []
    prepare = type(network).prepare

    def watched(self, frames):
        seen.append(frames.copy())
        return prepare(self, frames)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(network), "prepare", watched)
        curves = nlviz.faithfulness(
            found, network, query, fractions=(0.25, 1.0), draws=1, label="bird"
        )
    assert (curves.label, curves.painted) == ("bird", True)
    assert len(seen) == 5
    row = found.affinity(query.block).row("prediction")
    heaviest = np.argsort(-row.ravel(), kind="stable")[:6]
    mask = np.zeros(24, bool)
    mask[heaviest] = True
    t, rows, cols = np.indices(seen[0].shape[:3])
    over = mask.reshape(2, 3, 4)[t, rows * 3 // seen[0].shape[1], cols * 4 // seen[0].shape[2]]
    even = np.ptp(seen[1].reshape(-1, 3)[over.ravel()], axis=0)
    assert even.max() <= 1, "in one colour"
    assert np.ptp(seen[2].reshape(-1, 3), axis=0).max() <= 1, "all of it"
    np.testing.assert_array_equal(seen[0][~over], seen[1][~over])
    assert "ainted over" in masking_in_words(curves)
