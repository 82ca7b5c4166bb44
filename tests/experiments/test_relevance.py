"""Relevance against the full matrices and their gradients, and a network left as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.inference.passes import network_input
from tests.support import make, tiny_vit


def analysed(frames=2, **how):
    network = tiny_vit.network(**how)
    return nlviz.analyse(make.clip(frames), network), network


def by_hand(network, analysis, label):
    """R = Π (I + E_h (∇A ⊙ A)⁺), the attention written out and differentiated by torch."""
    module = network.module
    score = module(network_input(analysis.clip, analysis.view, network))[0, label]
    score.backward()
    product = torch.eye(module.layers[0].attn.seen.shape[-1])
    for layer in module.layers:
        weights = layer.attn.seen
        one = (weights.grad * weights).clamp(min=0).mean((0, 1))
        product = product + one @ product
    module.zero_grad()
    found = product.detach().numpy() - np.eye(len(product))
    order = [*range(len(found) - 24, len(found)), *range(len(found) - 24)]  # the token last
    return found[np.ix_(order, order)]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("pooled", [True, False])
def test_rows_are_those_of_the_product_of_gradient_times_attention(fused, pooled):
    plain = tiny_vit.network(fused=False, pooled=pooled)
    analysis, network = analysed(fused=fused, pooled=pooled)
    expected = by_hand(plain, analysis, 1)
    found = nlviz.relevance(analysis, network, "cat")
    made = found.affinity("relevance: cat (derived)")
    tokens = [] if pooled else ["class"]
    asked = [*(made.query_grid.cell(i) for i in range(24)), *tokens]
    got = made.weights(asked)[:, : len(asked)]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, atol=2e-4 * scale)
    read = made.weights(["prediction"])[0, : len(asked)]
    row = expected[:24].mean(axis=0) if pooled else expected[24]
    np.testing.assert_allclose(read, row, atol=2e-4 * np.abs(row).max())
    assert row[:24].max() > 0


class Whole(nn.Module):
    """``MultiheadAttention``, which projects its output inside the call."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        y, _ = self.attn(x, x, x)
        return self.head((x + y).mean(1))

    def written_out(self, x):
        """The same scores, and the weights that they come from."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        q, k, v = (
            (x @ w.T + b).unflatten(-1, (2, 4)).transpose(1, 2)
            for w, b in zip(
                self.attn.in_proj_weight.chunk(3), self.attn.in_proj_bias.chunk(3), strict=True
            )
        )
        weights = (q @ k.mT / 2).softmax(-1)
        y = self.attn.out_proj((weights @ v).transpose(1, 2).flatten(2))
        return self.head((x + y).mean(1)), weights


def test_gradients_flow_through_a_projection_inside_the_call():
    torch.manual_seed(0)
    module = Whole().eval()
    for parameter in module.parameters():
        parameter.data = 0.5 * torch.randn_like(parameter)
    network = nlviz.UserNetwork(
        module, nlviz.Input(size=(32, 24), layout="TCHW", classes=tiny_vit.CLASSES)
    )
    analysis = nlviz.analyse(make.clip(1), network)
    scores, weights = module.written_out(network_input(analysis.clip, analysis.view, network))
    (gradient,) = torch.autograd.grad(scores[0, 2], weights)
    expected = (gradient * weights).clamp(min=0).mean((0, 1)).detach().numpy()
    made = nlviz.relevance(analysis, network, "bird").affinity("relevance: bird (derived)")
    got = made.weights([made.query_grid.cell(i) for i in range(12)])[:, :12]
    np.testing.assert_allclose(got, expected, atol=1e-4 * expected.max())


def test_a_non_local_block_alone_has_its_own_relevance():
    network = make.network_that_matters("dot_product", seed=0)
    network.module.eval()
    analysis = nlviz.analyse(make.clip(), network)
    block = analysis.blocks[1]
    label = network.classes[1]
    found = nlviz.relevance(analysis, network, label, block=block)
    made = found.affinity(f"relevance: {label} in {block} (derived)")
    # y = A g, so that changing one weight by ε changes y_i by ε g_j: the score's own difference.
    held = {}
    block_module = network.module.get_submodule(block)
    hooks = [
        block_module.g.register_forward_hook(lambda m, a, out: held.update(g=out)),
        block_module.W.register_forward_pre_hook(lambda m, a: held.update(y=a[0])),
    ]
    with torch.enable_grad():
        given = network_input(analysis.clip, analysis.view, network).requires_grad_()
        score = network.module(given).reshape(-1, len(network.classes)).mean(0)[1]
        (back,) = torch.autograd.grad(score, held["y"])
    for hook in hooks:
        hook.remove()
    flat = [each.transpose(0, 1).flatten(1).detach().numpy() for each in (back, held["g"])]
    weights = analysis.affinity(block).matrix()
    expected = np.maximum(weights * (flat[0].T @ flat[1]), 0)
    got = made.weights([made.query_grid.cell(i) for i in range(made.query_grid.size)])
    keys = made.key_grid.size
    np.testing.assert_allclose(got[:, :keys], expected, atol=1e-4 * expected.max())
    assert expected.max() > 0
    with pytest.raises(nlviz.CaptureError, match="no attention layers"):
        nlviz.relevance(analysis, network, label)


def test_the_network_is_left_exactly_as_it_was():
    analysis, network = analysed()
    module = network.module
    module.train()
    module.layers[1].eval()
    frozen, other = module.layers[0].attn.qkv.weight, module.head.weight
    frozen.requires_grad_(False)
    other.grad = torch.ones_like(other)
    before = {
        name: (p.requires_grad, None if p.grad is None else p.grad.clone(), p.detach().clone())
        for name, p in module.named_parameters()
    }
    modes = [part.training for part in module.modules()]
    nlviz.relevance(analysis, network, "bird", ["class"])
    assert [part.training for part in module.modules()] == modes
    for name, parameter in module.named_parameters():
        wanted, gradient, values = before[name]
        assert parameter.requires_grad is wanted
        assert torch.equal(parameter, values)
        assert (parameter.grad is None) is (gradient is None)
    assert torch.equal(other.grad, torch.ones_like(other))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_weights_without_gradients_of_their_own_do_as_well():
    analysis, network = analysed()
    expected = nlviz.relevance(analysis, network, "bird", ["class"])
    network.module.requires_grad_(False)
    with torch.inference_mode():
        found = nlviz.relevance(analysis, network, "bird", ["class"])
    name = "relevance: bird (derived)"
    got, wanted = (each.affinity(name).row("class") for each in (found, expected))
    np.testing.assert_array_equal(got, wanted)


def test_what_no_gradient_flows_through_is_said_in_a_sentence():
    analysis, network = analysed()
    plain = network.module.forward
    network.module.forward = lambda x: plain(x).detach()
    with pytest.raises(nlviz.CaptureError, match="No gradient flows from the class scores"):
        nlviz.relevance(analysis, network, "bird")
    network.module.forward = plain
    network.module.layers[0].half()
    with pytest.raises(nlviz.CaptureError, match=r"half precision \(float16\)"):
        nlviz.relevance(analysis, network, "bird")
    with torch.inference_mode():
        kept = tiny_vit.network()
    with pytest.raises(nlviz.CaptureError, match="inference_mode"):
        nlviz.relevance(analysis, kept, "bird")


def test_gradients_that_are_not_finite_are_told():
    analysis, network = analysed()
    for large in (1e38, float("nan")):
        network.module.head.weight.data[1] *= large
        with pytest.raises(nlviz.CaptureError, match="gradients of the class cat are so large, or"):
            nlviz.relevance(analysis, network, "cat", ["class"])


def test_another_network_than_was_analysed_is_noticed():
    analysis, _ = analysed()
    with pytest.raises(nlviz.CaptureError, match="than its drawn weights give"):
        nlviz.relevance(analysis, tiny_vit.network(seed=1), "bird")


def test_classes_go_by_their_names_and_an_unknown_one_gets_the_nearest():
    analysis, network = analysed()
    assert nlviz.relevance(analysis, network, "Hound").derived == ("relevance: dog (derived)",)
    with pytest.raises(
        nlviz.QueryError, match=r"'brid' is unknown; the network has 3, such as bird"
    ):
        nlviz.relevance(analysis, network, "brid")
    best = analysis.prediction[0].label.split(",")[0]
    assert nlviz.relevance(analysis, network).derived == (f"relevance: {best} (derived)",)


def test_a_token_called_as_one_of_nlvizs_own_is_another():
    analysis, network = analysed()
    expected = nlviz.relevance(analysis, network, "cat").affinity("relevance: cat (derived)")
    affinities = {
        name: each.named({"class": "prediction"}) for name, each in analysis.affinities.items()
    }
    named = replace(analysis, affinities=affinities)
    made = nlviz.relevance(named, network, "cat").affinity("relevance: cat (derived)")
    assert made.tokens == ("prediction (token)", "all places", "prediction")
    for token, before in {"prediction": "prediction", "prediction (token)": "class"}.items():
        np.testing.assert_array_equal(made.row(token), expected.row(before))
