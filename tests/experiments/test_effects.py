"""Baselines, ablation and masking against the same done by hand on a small network."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.experiments import masking
from nlviz.experiments.baselines import cosines
from nlviz.experiments.rerun import one_call, parts_of
from nlviz.inference.forward import network_input
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support import make
from tests.support.plain_block import PlainNetwork, counted_hooks

CLIP = make.clip(frames=3, width=32, height=24)


def network(function="embedded_gaussian"):
    return make.network_that_matters(function, seed=2)


def seen_by_hand(module, frames):
    """x, θ, φ, g, y and z of each block, by hand."""
    kept, x = {}, module.stem(frames)
    for name in ("first", "second"):
        block = getattr(module, name)
        z = block(x)
        kept[name] = (x, block, z)
        x = z
    return kept


@pytest.fixture
def frames():
    net = make.network()
    analysis = nlviz.analyse(CLIP, net, size=32)
    return network_input(CLIP, analysis.view, net)


def scores(logits):
    return logits.detach()[0].softmax(0).numpy()


@torch.no_grad()
@pytest.mark.parametrize("block", ["first", "second"])
def test_an_ablated_block_passes_its_input_on(block, frames):
    module = network().module.eval()
    whole = module(frames)
    with nlviz.ablated(module, block):
        once, twice = module(frames), module(frames)
    x = module.stem(frames)
    other = module.second if block == "first" else module.first
    expected = module.classifier(other(x).mean((2, 3, 4)))
    torch.testing.assert_close(once, expected)
    torch.testing.assert_close(twice, expected)
    torch.testing.assert_close(module(frames), whole)
    assert not counted_hooks(module)


@torch.no_grad()
def test_effects_are_the_size_of_what_is_added_and_the_fall_of_the_first_class(frames):
    net = network()
    analysis = nlviz.analyse(CLIP, net, size=32)
    found = nlviz.effects(analysis, net)
    kept = seen_by_hand(net.module.eval(), frames)
    before = scores(net.module(frames))
    for effect, (name, (x, _, z)) in zip(found, kept.items(), strict=True):
        assert effect.block == name
        assert effect.size == pytest.approx(float((z - x).norm() / x.norm()), rel=1e-5)
        with nlviz.ablated(net.module, name):
            after = scores(net.module(frames))
        assert effect.fall == pytest.approx((before - after)[before.argmax()], abs=1e-6)
        assert abs(effect.fall) > 1e-3
        assert effect.before == analysis.prediction
        assert effect.after[0].score == pytest.approx(after.max(), abs=1e-6)


class Outside(nn.Module):
    """A network that adds x outside of its block."""

    def __init__(self):
        super().__init__()
        whole = PlainNetwork()
        self.attend = whole.nl_1
        whole.nl_1.forward = self._without_residual

    def _without_residual(self, x):
        block = self.attend
        weights = (block.theta(x).flatten(2).transpose(1, 2) @ block.phi(x).flatten(2)).softmax(-1)
        y = weights @ block.g(x).flatten(2).transpose(1, 2)
        return block.W(y.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]))

    def forward(self, x):
        return x + self.attend(x)


@torch.no_grad()
def test_a_block_whose_caller_adds_x_is_ablated_to_zero():
    module, x = Outside().eval(), torch.randn(1, 6, 4, 5)
    assert not torch.equal(module(x), x)
    with nlviz.ablated(module, "attend"):
        torch.testing.assert_close(module(x), x)


@torch.no_grad()
def test_an_attention_is_ablated_to_zero_and_told_where_it_has_no_parts():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    module = nn.ModuleDict({"attend": attention}).eval()
    module.forward = lambda x: x + module["attend"](x, x, x)[0]
    x = torch.randn(1, 5, 6)
    assert not torch.equal(module(x), x)
    with nlviz.ablated(module, "attend"):
        torch.testing.assert_close(module(x), x)
    assert not torch.equal(module(x), x)
    with pytest.raises(nlviz.CaptureError, match="is not a non-local block, so it cannot be"):
        parts_of(module, "attend")
    assert not counted_hooks(module)


class GroupedQueries(nn.Module):
    """Four heads of queries on two of keys and values, added to the input by the caller."""

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.kv, self.out = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x):
            q = self.q(x).unflatten(-1, (4, 4)).transpose(1, 2)
            k, v = self.kv(x).unflatten(-1, (2, 2, 4)).transpose(1, 3).unbind(2)
            y = nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
            return self.out(y.transpose(1, 2).flatten(2))

    def __init__(self):
        super().__init__()
        self.embed, self.attend = nn.Conv2d(3, 16, 8, 8), GroupedQueries.Attend()
        self.classifier = nn.Linear(16, 3)

    def forward(self, frames):
        x = self.embed(frames).flatten(2).transpose(1, 2)
        x = x + self.attend(x)
        return self.classifier(x.mean(1))


@torch.no_grad()
def test_heads_that_share_their_keys_are_run_again_as_they_are():
    torch.manual_seed(0)
    module = GroupedQueries().eval()
    network = nlviz.UserNetwork(module, nlviz.Input(size=(64, 32), classes=("a", "b", "c")))
    analysis = nlviz.analyse(make.clip(frames=1, width=64, height=32), network)
    (block,) = analysis.blocks
    affinity = analysis.affinity(block)
    assert (block, affinity.heads) == ("attend", 4)
    x = module.embed(network_input(analysis.clip, analysis.view, network))
    x = x.flatten(2).transpose(1, 2)
    q = module.attend.q(x)[0].unflatten(-1, (4, 4))
    k = module.attend.kv(x)[0].unflatten(-1, (2, 2, 4))[:, 0]
    for head in range(4):  # two heads of queries on each head of keys, in order
        rows = (q[:, head] @ k[:, head // 2].T / 2).softmax(-1)
        np.testing.assert_allclose(affinity.head(head).matrix(), rows, atol=1e-6)
    (effect,) = nlviz.effects(analysis, network)
    added = module.attend(x)
    assert effect.size == pytest.approx(float(added.norm() / x.norm()), rel=1e-5)
    before, after = (scores(module.classifier(each.mean(1))) for each in (x + added, x))
    assert effect.fall == pytest.approx((before - after)[before.argmax()], abs=1e-6)
    assert not nlviz.with_sizes(analysis, network).sizes
    with pytest.raises(nlviz.CaptureError, match="is a self-attention, whose values and y cannot"):
        nlviz.faithfulness(
            analysis, network, nlviz.Query(nlviz.Point(0, 4, 4), block, exclude="none")
        )
    assert not counted_hooks(module)


def elsewhere(work):
    """What a function gives in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@torch.no_grad()
def test_only_calls_by_this_thread_are_seen_and_changed(frames):
    module = network().module.eval()
    whole, other = module(frames), module(frames + 1)
    with nlviz.ablated(module, "first"):
        ours = module(frames)
        torch.testing.assert_close(elsewhere(lambda: no_gradient(module, frames)), whole)
        torch.testing.assert_close(module(frames), ours)
    assert (ours - whole).abs().max() > 1e-4
    with one_call(module, "second", y=lambda call: torch.zeros_like(call.y)) as call:
        torch.testing.assert_close(elsewhere(lambda: no_gradient(module, frames)), whole)
        assert call.x is None
        assert call.y is None
        ours = module(frames)
        x, y = call.x, call.y
        torch.testing.assert_close(elsewhere(lambda: no_gradient(module, frames + 1)), other)
        assert call.x is x
        assert call.y is y
    assert (ours - whole).abs().max() > 1e-4


@torch.no_grad()
def test_a_pass_of_another_thread_in_the_middle_of_ours_changes_nothing(frames):
    module = network().module.eval()
    with nlviz.ablated(module, "first"):
        expected = module(frames)
    here, others = threading.get_ident(), []

    def meanwhile(*_):
        if threading.get_ident() == here:
            others.append(elsewhere(lambda: no_gradient(module, frames)))

    whole = module(frames)
    with nlviz.ablated(module, "first"):
        hook = module.first.g.register_forward_hook(meanwhile)
        torch.testing.assert_close(module(frames), expected)
        hook.remove()
    torch.testing.assert_close(others, [whole])


def no_gradient(module, frames):
    with torch.no_grad():
        return module(frames)


def test_what_is_no_block_cannot_be_ablated_and_errors_leave_no_hooks():
    module = network().module
    with (
        pytest.raises(nlviz.CaptureError, match="'stem' of TinyModule cannot be changed"),
        nlviz.ablated(module, "stem"),
    ):
        pass
    with pytest.raises(ZeroDivisionError), nlviz.ablated(module, "first"):
        raise ZeroDivisionError
    assert not counted_hooks(module)


@torch.no_grad()
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("block", ["first", "second"])
def test_masked_scores_are_those_of_the_matrix_without_the_keys(function, block, frames):
    net = network(function)
    analysis = nlviz.analyse(CLIP, net, size=32)
    query = nlviz.Query(nlviz.Point(5, 12, 9), block)
    seen = nlviz.faithfulness(analysis, net, query, fractions=(0.05, 0.4, 1), draws=2)
    x, module, _ = seen_by_hand(net.module.eval(), frames)[block]
    matrix = analysis.affinity(block).matrix().astype(np.float64)
    g = module.g(x)[0].flatten(1).numpy().T
    row = nlviz.row_of(analysis, query)
    allowed = np.flatnonzero(row.allowed)
    order = allowed[np.argsort(-row.weights.ravel()[allowed], kind="stable")]
    before = scores(net.module(frames))
    first = int(before.argmax())
    assert seen.label == net.classes[first]
    assert seen.before == pytest.approx(before[first], abs=1e-6)
    for share, got in zip((0.05, 0.4, 1), seen.by_affinity, strict=True):
        keep = np.ones(matrix.shape[1])
        keep[order[: max(round(share * len(order)), 1)]] = 0
        left = matrix * keep
        if function == "embedded_gaussian":
            left /= left.sum(1, keepdims=True)
        else:
            left *= keep.size / keep.sum()
        y = torch.tensor((left @ g).T.reshape(1, -1, *x.shape[2:]), dtype=torch.float32)
        z = module.W(y) + x
        z = net.module.second(z) if block == "first" else z
        expected = scores(net.module.classifier(z.mean((2, 3, 4))))[first]
        assert got == pytest.approx(expected, abs=1e-6)
    assert abs(seen.by_affinity[-1] - seen.before) > 1e-4
    # All that may be linked to is masked at the end, in whatever order.
    assert list(seen.by_random[:, -1]) == pytest.approx([seen.by_affinity[-1]] * 2, abs=1e-6)
    assert seen.by_random.shape == (2, 3)
    assert seen.gap == pytest.approx((seen.by_random.mean(0) - seen.by_affinity).mean())
    assert not counted_hooks(net.module)


def grouped(function="embedded_gaussian"):
    """The network with blocks whose frames see each other two by two: 0 and 1, then 2 alone."""
    made = network(function)
    for name in ("first", "second"):
        getattr(made.module, name).group = 2
    return made


@torch.no_grad()
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("block", ["first", "second"])
def test_masked_scores_with_a_reach_count_only_keys_that_can_be_reached(function, block, frames):
    net = grouped(function)
    analysis = nlviz.analyse(CLIP, net, size=32)
    affinity = analysis.affinity(block)
    (groups,) = affinity.reach
    can = groups.query[:, None] == groups.key
    assert 0 < can.mean() < 1
    query = nlviz.Query(nlviz.Point(5, 12, 9), block)
    seen = nlviz.faithfulness(analysis, net, query, fractions=(0.3, 1), draws=1)
    x, module, _ = seen_by_hand(net.module.eval(), frames)[block]
    matrix = affinity.matrix().astype(np.float64)
    g = module.g(x)[0].flatten(1).numpy().T
    row = nlviz.row_of(analysis, query)
    allowed = np.flatnonzero(row.allowed)
    order = allowed[np.argsort(-row.weights.ravel()[allowed], kind="stable")]
    first = int(scores(net.module(frames)).argmax())
    for share, got in zip((0.3, 1), seen.by_affinity, strict=True):
        keep = np.ones(matrix.shape[1])
        keep[order[: max(round(share * len(order)), 1)]] = 0
        y = np.zeros((len(matrix), g.shape[1]))
        for i, weights in enumerate(matrix):  # Eq. (1), its sum and C over what i can reach
            left = [j for j in range(len(weights)) if can[i, j] and keep[j]]
            total = weights[left].sum() if "gaussian" in function else len(left) / can[i].sum()
            y[i] = weights[left] @ g[left] / total
        z = torch.tensor(y.T.reshape(1, -1, *x.shape[2:]), dtype=torch.float32)
        z = module.W(z) + x
        z = net.module.second(z) if block == "first" else z
        expected = scores(net.module.classifier(z.mean((2, 3, 4))))[first]
        assert got == pytest.approx(expected, abs=1e-6)
    assert abs(seen.by_affinity[-1] - seen.before) > 1e-5


@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_masking_in_pieces_is_masking_at_once_within_its_bytes(at_once, monkeypatch):
    net, made = network(), []
    analysis = nlviz.analyse(CLIP, net, size=32)
    query = nlviz.Query(nlviz.Point(5, 12, 9), "second")
    whole = nlviz.faithfulness(analysis, net, query, fractions=(0.1, 0.5), draws=2)
    each = 3 * analysis.affinity("second").query_grid.size * 4  # C' is 3
    plain = masking._masked

    def watched(*args):
        made.append(plain(*args))
        return made[-1]

    monkeypatch.setattr(masking, "_masked", watched)
    monkeypatch.setattr(masking, "_PIECE_BYTES", at_once * each)
    said = []
    pieces = nlviz.faithfulness(
        analysis, net, query, fractions=(0.1, 0.5), draws=2, progress=lambda f, _: said.append(f)
    )
    assert [len(piece) for piece in made][:-1] == [at_once] * (6 // at_once)
    assert max(piece.nbytes for piece in made) <= at_once * each
    assert sum(len(piece) for piece in made) == 7
    np.testing.assert_array_equal(pieces.by_affinity, whole.by_affinity)
    np.testing.assert_array_equal(pieces.by_random, whole.by_random)
    assert said == sorted(said)
    assert said[-1] == 1


def test_masking_needs_classes_and_a_row():
    net = network()
    analysis = nlviz.analyse(CLIP, net, size=32)
    query = nlviz.Query(nlviz.Point(5, 12, 9), "first")
    with pytest.raises(nlviz.QueryError, match="reversed query has no links of its own"):
        nlviz.faithfulness(analysis, net, replace(query, reverse=True))
    with pytest.raises(nlviz.QueryError, match="shares above 0 and up to 1"):
        nlviz.faithfulness(analysis, net, query, fractions=(0, 2))
    net.classes = ()
    with pytest.raises(nlviz.QueryError, match="network tiny has no classes"):
        nlviz.faithfulness(analysis, net, query)


@torch.no_grad()
@pytest.mark.parametrize("block", ["first", "second"])
def test_baselines_are_what_they_say(block, frames):
    net = network()
    analysis = nlviz.analyse(CLIP, net, size=32)
    affinity = analysis.affinity(block)
    even = nlviz.baseline(analysis, None, block, "uniform")
    assert even.blocks == (f"{block} (uniform)",)
    np.testing.assert_allclose(even.affinity(even.blocks[0]).matrix(), 1 / affinity.key_grid.size)
    x, module, _ = seen_by_hand(net.module.eval(), frames)[block]
    columns = x[0].flatten(1).numpy()
    unit = columns / np.linalg.norm(columns, axis=0)
    cosine = nlviz.baseline(analysis, net, block, "cosine")
    seen = cosine.affinity(f"{block} (cosine)")
    np.testing.assert_allclose(seen.matrix(), unit.T @ unit / unit.shape[1], atol=1e-6)
    assert seen.signed
    state = {name: value.clone() for name, value in net.module.state_dict().items()}
    shuffled = nlviz.baseline(analysis, net, block, "shuffled", seed=3)
    again = nlviz.baseline(analysis, net, block, "shuffled", seed=3).affinity(shuffled.blocks[0])
    seen = shuffled.affinity(f"{block} (shuffled, seed 3)")
    assert shuffled.fidelity[f"{block} (shuffled, seed 3)"] < 1e-4
    np.testing.assert_array_equal(seen.theta, again.theta)
    assert (seen.query_grid, seen.key_grid) == (affinity.query_grid, affinity.key_grid)
    # θ = W x + b: from the rows of θ the permuted W comes back, of the same entries.
    bias = module.theta.bias.numpy()[:, None]
    weight = np.linalg.lstsq(columns.T, (seen.theta - bias).T, rcond=None)[0].T
    own = module.theta.weight.flatten(1).numpy()
    np.testing.assert_allclose(np.sort(weight.ravel()), np.sort(own.ravel()), atol=1e-4)
    assert np.abs(weight - own).max() > 0.1
    for name, value in net.module.state_dict().items():
        assert torch.equal(value, state[name]), name
    for made in (even, cosine, shuffled):
        links = nlviz.top_links(made, nlviz.Query(nlviz.Point(5, 12, 9), made.blocks[0], 3))
        assert len(links) == 3


@torch.no_grad()
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_the_cosine_baseline_keeps_to_the_reach_of_its_block(function, frames):
    net = grouped(function)
    analysis = nlviz.analyse(CLIP, net, size=32)
    cosine = nlviz.baseline(analysis, net, "first", "cosine")
    seen = cosine.affinity("first (cosine)").matrix()
    columns = seen_by_hand(net.module.eval(), frames)["first"][0][0].flatten(1).numpy()
    unit = columns / np.linalg.norm(columns, axis=0)
    frame = np.arange(unit.shape[1]) // (unit.shape[1] // 3)
    can = (frame[:, None] // 2) == (frame // 2)  # frames 0 and 1 see each other, 2 itself
    expected = np.where(can, unit.T @ unit, 0) / can.sum(1, keepdims=True)
    np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_a_baseline_that_cannot_be_had_says_why():
    net = network("gaussian")
    analysis = nlviz.analyse(CLIP, net, size=32)
    with pytest.raises(nlviz.CaptureError, match="'first' has no θ and φ whose weights"):
        nlviz.baseline(analysis, net, "first", "shuffled")
    with pytest.raises(nlviz.QueryError, match="'even' is unknown; choose one of uniform, cosine"):
        nlviz.baseline(analysis, net, "first", "even")
    with pytest.raises(nlviz.QueryError, match="runs the network again; give it"):
        nlviz.baseline(analysis, None, "first", "cosine")


def test_the_uniform_baseline_keeps_to_the_reach_and_the_tokens():
    analysis = make.analysis("dot_product", special=True)
    affinity = nlviz.baseline(analysis, None, "special", "uniform").affinity("special (uniform)")
    matrix = affinity.matrix()
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-5)
    assert all(len(set(row[row > 0].tolist())) == 1 for row in matrix)
    own = analysis.affinity("special").matrix()
    np.testing.assert_array_equal(matrix > 0, own != 0)


@torch.no_grad()
@pytest.mark.parametrize("block", ["first", "second"])
def test_a_contribution_is_the_weight_times_the_size_of_what_the_key_adds(block, frames):
    net = network()
    plain = nlviz.analyse(CLIP, net, size=32)
    query = nlviz.Query(nlviz.Point(5, 12, 9), block, 7, rank_by="contribution")
    with pytest.raises(nlviz.QueryError, match=r"were not measured \(with_sizes does"):
        nlviz.top_links(plain, query)
    analysis = nlviz.with_sizes(plain, net)
    _, module, _ = seen_by_hand(net.module.eval(), frames)[block]
    x = seen_by_hand(net.module, frames)[block][0]
    out = module.W if isinstance(module.W, nn.Conv3d) else module.W[0]
    matrix = out.weight.flatten(1)
    if isinstance(module.W, nn.Sequential):
        norm = module.W[1]
        matrix = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None] * matrix
    sizes = (matrix @ module.g(x)[0].flatten(1)).norm(dim=0).numpy()
    weights = nlviz.row_of(plain, replace(query, rank_by="affinity"))
    expected = weights.weights.ravel() * sizes
    row = nlviz.row_of(analysis, query)
    np.testing.assert_allclose(row.contributions.ravel(), expected, rtol=1e-4)
    np.testing.assert_array_equal(row.weights, weights.weights)
    links = nlviz.top_links(analysis, query)
    best = np.sort(expected[row.allowed.ravel()])[::-1][:7]
    np.testing.assert_allclose([link.contribution for link in links], best, rtol=1e-4)
    assert [link.drawn for link in links] == [link.contribution for link in links]
    dead = replace(analysis, sizes={block: np.zeros_like(analysis.sizes[block])})
    with pytest.raises(nlviz.QueryError, match="adds nothing to its input"):
        nlviz.top_links(dead, query)
    back = nlviz.row_of(analysis, replace(query, reverse=True))
    key = plain.affinity(block).key_grid.index(back.cells[0])
    np.testing.assert_allclose(back.contributions, back.weights * sizes[key], rtol=1e-4)
    words = [text.get_text() for text in nlviz.film_strip(analysis, [links]).drawing.axes[0].texts]
    assert any(word.startswith("contribution") for word in words)


class InAnyOrder(nn.Module):
    """Patches of 8 pixels that some attention or block sees in an order of its own."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.embed = kind, nn.Conv2d(3, 8, 8, 8)
        self.registers = nn.Parameter(torch.randn(1, 3, 8))
        self.norm = nn.LayerNorm(8)
        self.order = torch.randperm(12 + 3)
        made = nn.MultiheadAttention(8, 2, batch_first=True)
        self.block = NonLocalBlock(8, dimension=2) if kind == "mirrored map" else made

    def forward(self, x):
        x = self.embed(x)
        if self.kind == "mirrored map":
            return self.block(x.flip(-1))
        if self.kind == "windows":  # of 3 × 2 patches
            x = x.unflatten(3, (2, 2)).permute(0, 3, 2, 4, 1).flatten(2, 3).flatten(0, 1)
        else:
            x = x.flatten(2).mT
            x = torch.cat([x, self.registers.expand(len(x), -1, -1)], 1)[:, self.order]
        x = self.norm(x)
        return self.block(x, x, x)[0]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["windows", "shuffled, with registers", "mirrored map"])
def test_the_cosine_baseline_lies_where_the_block_looks(kind):
    torch.manual_seed(4)
    module = InAnyOrder(kind).eval()
    net = nlviz.UserNetwork(module, nlviz.Input(size=32, multiple=8))
    analysis = nlviz.analyse(CLIP, net)
    assert analysis.affinity("block").query_grid.shape == (3, 3, 4)
    cosine = nlviz.baseline(analysis, net, "block", "cosine")
    x = module.embed(network_input(CLIP, analysis.view, net))
    x = x if kind == "mirrored map" else module.norm(x.movedim(1, -1)).movedim(-1, 1)
    columns = x.transpose(0, 1).flatten(1).numpy()
    unit = columns / np.linalg.norm(columns, axis=0)
    frame, rest = np.divmod(np.arange(36), 12)
    group = frame * 2 + (rest % 4 // 2 if kind == "windows" else 0)
    can = group[:, None] == group
    expected = np.where(can, unit.T @ unit, 0) / can.sum(1, keepdims=True)
    seen = cosine.affinity("block (cosine)")
    np.testing.assert_allclose(seen.matrix(), expected, atol=1e-6)
    with pytest.raises(nlviz.CaptureError, match="baseline 'shuffled'"):
        nlviz.baseline(analysis, net, "block", "shuffled")


class Reading(nn.Module):
    """The last frame reads those before it, or a learned vector all of them."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.embed = kind, nn.Conv2d(3, 8, 8, 8)
        self.probe = nn.Parameter(torch.randn(1, 1, 8))
        self.block = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.embed(x).flatten(2).mT
        memory = x[:-1].flatten(0, 1)[None]
        return self.block(self.probe if self.kind == "probe" else x[-1:], memory, memory)[0]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("memory", "is not one feature vector for each of 3×3×4 places"),
        ("probe", "is asked by tokens alone"),
    ],
)
def test_a_block_without_one_input_at_all_its_places_has_no_cosine_baseline(kind, why):
    torch.manual_seed(4)
    net = nlviz.UserNetwork(Reading(kind).eval(), nlviz.Input(size=32, multiple=8))
    analysis = nlviz.analyse(CLIP, net)
    with pytest.raises(nlviz.CaptureError, match=why):
        nlviz.baseline(analysis, net, "block", "cosine")


def test_cosines_of_several_blocks_come_from_one_pass_and_are_the_same():
    net = make.network_that_matters("embedded_gaussian", seed=2)
    analysis = nlviz.analyse(make.clip(), net)
    passes = []
    hook = net.module.register_forward_hook(lambda *_: passes.append(1))
    found = cosines(analysis, net, analysis.blocks)
    hook.remove()
    assert len(passes) == 1
    for block in analysis.blocks:
        alone = nlviz.baseline(analysis, net, block, "cosine")
        name = f"{block} (cosine)"
        assert found[block].blocks == alone.blocks == (name,)
        assert np.array_equal(found[block].affinity(name).theta, alone.affinity(name).theta)
        assert found[block].kinds == alone.kinds
