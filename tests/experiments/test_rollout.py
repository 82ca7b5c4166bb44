"""Rollout against the full matrices in plain NumPy, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity import Affinity
from nlviz.analysis import DERIVED, JOINED
from nlviz.experiments import derived, layers
from nlviz.experiments.layers import Chain, Layer, Mixing
from nlviz.geometry import Grid
from tests.support import each_frame, make, tiny_vit


def analysed(frames=2, **how):
    network = tiny_vit.network(**how)
    return nlviz.analyse(make.clip(frames), network), network


def by_hand(matrices, residual=0.5):
    """Ã = (1 − r) A + r I with rows of sum 1, multiplied: Abnar and Zuidema (2020)."""
    product = np.eye(len(matrices[0]))
    for weights in matrices:
        mixed = (1 - residual) * weights + residual * np.eye(len(weights))
        product = mixed / mixed.sum(axis=1, keepdims=True) @ product
    return product


def per_head(affinity):
    return np.stack([affinity.head(h).matrix() for h in range(affinity.heads)])


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("residual", [0.0, 0.5, 0.8])
def test_rows_are_those_of_the_product_of_all_layers(fusion, residual, monkeypatch):
    monkeypatch.setattr(layers, "_CHUNK_BYTES", 4 * 25 * 7)  # several uneven chunks a layer
    monkeypatch.setattr(layers, "_FEWEST", 1)
    analysis, _ = analysed()
    join = {"mean": np.mean, "max": np.max, "min": np.min}[fusion]
    expected = by_hand(
        [join(per_head(each), axis=0) for each in analysis.affinities.values()], residual
    )
    found = nlviz.rollout(analysis, residual=residual, fusion=fusion)
    (name,) = found.derived
    made = found.affinity(name)
    grid = made.query_grid
    assert (grid.shape, made.tokens) == ((2, 3, 4), ("class", "all places"))
    asked = [*(grid.cell(i) for i in range(24)), "class"]
    np.testing.assert_allclose(made.weights(asked)[:, :25], expected, atol=1e-6)
    everywhere = made.weights(["all places"])[0, :25]
    np.testing.assert_allclose(everywhere, expected[:24].mean(axis=0), atol=1e-6)
    assert np.ptp(expected[24, :24]) > 0.01, "rows that tell something"


def test_divided_space_time_is_the_product_over_time_and_space_with_one_class_token():
    analysis, network = analysed(frames=3, divided=True, fused=False, depth=4)
    with_grad = [layer.attn for layer in network.module.layers]
    # 12 places in 3 frames, then the class token: each layer's matrix written out.
    matrices = []
    for number, attention in enumerate(with_grad):
        seen = attention.seen.mean(1).detach().numpy()
        whole = np.eye(37)
        if number % 2 == 0:
            for place in range(12):
                at = place + 12 * np.arange(3)
                whole[np.ix_(at, at)] = seen[place]
        else:
            whole[36, 36] = 0
            for t in range(3):
                at = np.array([36, *range(12 * t, 12 * t + 12)])
                whole[np.ix_(at[1:], at)] = seen[t][1:]
                whole[36, at] += seen[t][0] / 3  # copied into each frame, averaged after it
        matrices.append(whole)
    expected = np.eye(37)
    for number, whole in enumerate(matrices):
        mixed = 0.5 * whole + 0.5 * np.eye(37)
        if number % 2 == 0:
            mixed[36] = np.eye(37)[36]  # the layer over time does not ask the class token
        expected = mixed @ expected
    made = nlviz.rollout(analysis).affinity("rollout (derived)")
    asked = [*(made.query_grid.cell(i) for i in range(36)), "class"]
    np.testing.assert_allclose(made.weights(asked)[:, :37], expected, atol=1e-5)


def random_layer(name, queries, keys, seed, tokens=()):
    random = np.random.default_rng(seed)
    n, m = (grid.size + len(tokens) for grid in (queries, keys))
    theta, phi = (random.standard_normal((4, k)).astype(np.float32) for k in (n, m))
    affinity = Affinity("embedded_gaussian", theta, phi, queries, keys, heads=2, tokens=tokens)
    return Layer(name, affinity, lambda: affinity.weights_at)


def carried(chain, row):
    return chain.carried(row, Mixing(0.5, 0.5, True), lambda *_: None)


def test_pooled_keys_and_merged_cells_share_evenly_what_they_have():
    fine = Grid(1, 4, 4, (1, 8, 8), (0.5, 4, 4))
    pooled = Grid(1, 2, 2, (1, 16, 16), (0.5, 8, 8))
    one, two = random_layer("a", fine, pooled, 0), random_layer("b", pooled, pooled, 1)
    shared = np.zeros((4, 16))
    for cell in range(16):
        row, col = divmod(cell, 4)
        shared[2 * (row // 2) + col // 2, cell] = 1 / 4
    first = 0.5 * one.affinity.matrix() @ shared + 0.5 * np.eye(16)
    second = 0.5 * two.affinity.matrix() @ shared + 0.5 * shared
    found = carried(Chain([one, two]), np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(found, second @ first, atol=1e-6)


def test_cells_that_overlap_share_by_how_much_lies_in_each():
    fine, coarse = Grid(1, 1, 4, (1, 8, 8), (0.5, 4, 4)), Grid(1, 1, 2, (1, 8, 16), (0.5, 4, 4))
    chain = Chain([random_layer("a", fine, fine, 0), random_layer("b", coarse, coarse, 1)])
    out = np.zeros((2, 4), np.float32)
    chain._queries[1].add(np.eye(2, dtype=np.float32), out)  # centres on cells 0 and 2
    np.testing.assert_allclose(out, [[2 / 3, 1 / 3, 0, 0], [0, 1 / 4, 1 / 2, 1 / 4]], atol=1e-6)


def test_weight_on_padding_ends_there_and_padding_of_two_layers_is_not_one():
    grid = Grid(1, 2, 2, (1, 8, 8), (0.5, 4, 4))
    chain = Chain([random_layer(n, grid, grid, s, ("padding 1",)) for n, s in (("a", 0), ("b", 1))])
    assert (chain.tokens, chain.ends) == ((), ("padding",))
    row = carried(chain, np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(row.sum(axis=1), 1, atol=1e-6)
    first, second = (layer.affinity.matrix() for layer in chain.layers)
    mixed = 0.5 * second[:4, :4] + 0.5 * np.eye(4)
    expected = 0.5 * second[:4, 4] + mixed @ (0.5 * first[:4, 4])
    np.testing.assert_allclose(row[:, 4], expected, atol=1e-6)


def test_grids_without_whole_cells_of_each_other_are_refused_by_name():
    one, other = Grid(1, 3, 3, (1, 8, 8), (0.5, 4, 4)), Grid(1, 2, 2, (1, 12, 12), (0.5, 6, 6))
    with pytest.raises(nlviz.CaptureError, match="queries of layer 'b' lie on 1×2×2"):
        Chain([random_layer("a", one, one, 0), random_layer("b", other, other, 1)])
    with pytest.raises(nlviz.CaptureError, match="'a' has a mixture of several places"):
        Chain([random_layer("a", one, one, 0, ("mixture",))])
    with pytest.raises(nlviz.CaptureError, match="no row can be carried"):
        Chain([random_layer("a", other, other, 0), random_layer("b", one, one, 1)])


def test_a_place_alone_has_the_row_that_it_has_among_all():
    analysis, _ = analysed()
    point = nlviz.Point(5, 20, 20)
    whole = nlviz.rollout(analysis).affinity("rollout (derived)")
    found = nlviz.rollout(analysis, [point])
    alone = found.affinity("rollout (derived)")
    cell = found.view.cell(point, alone.query_grid)
    np.testing.assert_allclose(alone.row(cell), whole.row(cell), atol=1e-6)
    assert alone.has_query.sum() == 1
    assert alone.width == 2, "two rows: the place's and the mean's"
    assert nlviz.top_links(found, nlviz.Query(point, "rollout (derived)"))
    with pytest.raises(nlviz.QueryError, match="lie on frame"):
        nlviz.top_links(found, nlviz.Query(nlviz.Point(0, 60, 40), "rollout (derived)"))


def test_a_derived_block_says_so_and_stands_behind_the_others():
    analysis, _ = analysed()
    found = nlviz.rollout(analysis, ["class"], residual=0.7, fusion="max")
    (name,) = found.derived
    assert name == "rollout (derived, residual 0.7, max of heads)"
    assert found.blocks == (*analysis.blocks, name)
    assert found.default_block == analysis.default_block
    assert found.kinds[name].endswith(DERIVED)
    assert found.fidelity[name] is None
    assert nlviz.rollout(found, ["class"]).derived == (name, "rollout (derived)")
    alone = derived.alone(found, name)
    assert alone.blocks == (name,) == alone.derived


def test_what_cannot_be_rolled_out_is_said_in_a_sentence():
    analysis, _ = analysed()
    with pytest.raises(nlviz.QueryError, match="from 0 to below 1; got 1"):
        nlviz.rollout(analysis, residual=1.0)
    with pytest.raises(nlviz.QueryError, match="joined by mean, max, min; got 'sum'"):
        nlviz.rollout(analysis, fusion="sum")
    with pytest.raises(nlviz.QueryError, match="'nowhere' is not captured"):
        nlviz.rollout(analysis, blocks=["nowhere"])
    with pytest.raises(nlviz.QueryError, match="Token 'register'"):
        nlviz.rollout(analysis, ["register"])
    with pytest.raises(nlviz.CaptureError, match="no attention layers"):
        nlviz.rollout(make.analysis())
    broken = replace(analysis, refused={"layers.1.attn": "Block 'layers.1.attn' hides."})
    with pytest.raises(nlviz.CaptureError, match=r"missing from the chain.*hides"):
        nlviz.rollout(broken)
    nlviz.rollout(broken, ["class"], blocks=broken.blocks[:2])


def test_windows_joined_are_refused_whatever_blocks_are_named():
    one, network = analysed()
    said = {name: f"{kind} {JOINED}" for name, kind in one.kinds.items()}
    windows = replace(one, kinds=said)
    first, *_, last = one.blocks
    for work in (
        lambda: nlviz.rollout(windows, ["class"]),
        lambda: nlviz.rollout(windows, ["class"], blocks=[first]),
        lambda: layers.layers_between(windows, first, last),
        lambda: nlviz.relevance(windows, network, "cat"),
        lambda: nlviz.relevance(windows, network, "cat", block=first),
    ):
        with pytest.raises(nlviz.CaptureError, match="that the network saw one by one"):
            work()
    with pytest.raises(nlviz.QueryError, match="list of layers is empty; name one at least"):
        nlviz.rollout(one, ["class"], blocks=[])


def test_layers_between_two_leave_out_none_that_was_refused():
    whole, _ = analysed(depth=4)
    first, hidden, third, last = whole.blocks
    rest = {name: each for name, each in whole.affinities.items() if name != hidden}
    analysis = replace(whole, affinities=rest, refused={hidden: f"Block {hidden!r} hides."})
    assert layers.layers_between(analysis, third, None) == (third, last)
    for ends in ((first, third), (None, last)):
        with pytest.raises(nlviz.CaptureError, match=r"missing from the chain.*hides"):
            layers.layers_between(analysis, *ends)
    forgotten = {name: kind for name, kind in whole.kinds.items() if name != hidden}
    with pytest.raises(nlviz.CaptureError, match="missing"):  # a session does not say where
        layers.layers_between(replace(analysis, kinds=forgotten), third, last)
    found = nlviz.rollout(analysis, ["class"], blocks=[first, third])
    assert found.derived == (f"rollout (derived, of {first}, {third})",)


@pytest.mark.parametrize("usual", ["dtype", "device"])
def test_rows_are_the_same_whatever_torch_makes_by_default(usual):
    analysis, _ = analysed()
    expected = nlviz.rollout(analysis, ["class"]).affinity("rollout (derived)")
    set_default, other, before = {
        "dtype": (torch.set_default_dtype, torch.float64, torch.float32),
        "device": (torch.set_default_device, "meta", None),
    }[usual]
    set_default(other)
    try:
        found = nlviz.rollout(analysis, ["class"]).affinity("rollout (derived)")
    finally:
        set_default(before)
    np.testing.assert_array_equal(found.row("class"), expected.row("class"))


def test_more_rows_than_are_held_are_refused(monkeypatch):
    analysis, _ = analysed()
    monkeypatch.setattr(derived, "MOST_BYTES", 2000)
    nlviz.rollout(analysis, ["class"])
    with pytest.raises(nlviz.BudgetError, match="name the places"):
        nlviz.rollout(analysis)


def test_stopping_ends_it_between_chunks():
    analysis, _ = analysed()

    class Enough(Exception):
        pass

    def stop(fraction, what):
        if fraction > 0.5:
            raise Enough

    with pytest.raises(Enough):
        nlviz.rollout(analysis, progress=stop)


def test_where_frames_run_by_themselves_no_link_can_leave_a_frame():
    network = nlviz.UserNetwork(*each_frame.build())
    analysis = nlviz.analyse(make.clip(3), network)
    found = nlviz.rollout(analysis)
    made = found.affinity(found.derived[-1])
    assert not made.joins_frames
    own = analysis.affinity(analysis.default_block)
    cell = made.query_grid.cell(made.query_grid.size - 1)
    np.testing.assert_allclose(
        made.weights([cell])[0, : made.key_grid.size],
        (own.weights([cell])[0] + (np.arange(own.key_grid.size) == own.key_grid.size - 1)) / 2,
        atol=1e-6,
    )
    everywhere = made.weights(["all places"])[0, : made.key_grid.size]
    assert everywhere.reshape(made.key_grid.t, -1).sum(axis=1) == pytest.approx([1 / 3] * 3)
    links = nlviz.top_links(
        found, nlviz.Query("all places", found.derived[-1], k=made.key_grid.size, exclude="none")
    )
    assert len({link.target.frame for link in links}) == 3
