"""Non-local blocks in other words: named by the user, run by forward(), disentangled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.hooks.nonlocal_blocks import conventions, listener
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support import make
from tests.support.plain_block import counted_hooks


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def _weights(theta: Tensor, phi: Tensor, function: str) -> Tensor:
    f = theta.flatten(2).transpose(1, 2) @ phi.flatten(2)
    return f.softmax(-1) if function == "embedded_gaussian" else f / f.shape[-1]


class Foreign(nn.Module):
    """A block whose children have names of its own; ``weights`` keeps what it computed."""

    def __init__(self, function="dot_product", gaussian=False, projected=True, gamma=None):
        super().__init__()
        self.function, self.gaussian = function, gaussian
        self.asks, self.answers = nn.Conv2d(8, 8, 1), nn.Sequential(nn.Conv2d(8, 8, 1))
        self.tells = nn.ModuleDict({"what": nn.Conv2d(8, 8, 1)})
        self.back = nn.Conv2d(8, 8, 1) if projected else None
        if gamma is not None:
            self.gamma = nn.Parameter(torch.tensor(gamma))

    def forward(self, x):
        theta, phi = (x, x) if self.gaussian else (self.asks(x), self.answers(x))
        weights = _weights(theta, phi, self.function)
        self.weights = weights.detach()
        y = (weights @ self.tells["what"](x).flatten(2).transpose(1, 2)).transpose(1, 2)
        y = y.reshape(x.shape)
        return x + (getattr(self, "gamma", 1) * y if self.back is None else self.back(y))


NAMES = {"theta": "asks", "phi": "answers", "g": "tells.what", "W": "back"}
GAUSSIAN = {"g": "tells.what", "W": "back"}
BARE = {"theta": "asks", "phi": "answers", "g": "tells.what"}


def _net(block: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 8, 8), block)


@pytest.mark.parametrize("by", ["1", "Foreign"])
@pytest.mark.parametrize(
    ("block", "names"),
    [
        (Foreign, NAMES),
        (lambda: Foreign("embedded_gaussian", gaussian=True), GAUSSIAN),
        (lambda: Foreign(projected=False), BARE),
        (lambda: Foreign(projected=False, gamma=0.3), BARE),
    ],
)
def test_the_user_names_the_children_of_a_block(block, names, by):
    net = _net(block())
    network = nlviz.UserNetwork(net, {"size": 64, "multiple": 16}, blocks={by: names})
    analysis = nlviz.analyse(make.clip(1), network)
    assert analysis.fidelity["1"] < 1e-4
    assert analysis.about("1").kind == "non-local block"
    np.testing.assert_allclose(analysis.affinity("1").matrix(), net[1].weights[0], atol=1e-6)
    seen = nlviz.capture(net, torch.randn(1, 3, 32, 32))  # a module stays named
    np.testing.assert_allclose(seen.affinities["1"].matrix(), net[1].weights[0], atol=1e-6)


def test_a_block_that_nobody_named_is_not_found():
    with pytest.raises(nlviz.CaptureError, match="No non-local block was found"):
        nlviz.capture(_net(Foreign()), torch.randn(1, 3, 32, 32))


NET = """
import torch
from tests.hooks.test_nonlocal_in_other_words import NAMES, Foreign, _net


def build():
    return _net(Foreign()), {"size": 64}, {"1": NAMES}


def without_a_record():
    return _net(Foreign()), None, {"Foreign": NAMES}


def wrong():
    return _net(Foreign()), {"size": 64}, {"1": {**NAMES, "g": "value"}}


def odd():
    return _net(Foreign()), None, 3
"""


@pytest.mark.parametrize("function", ["build", "without_a_record"])
def test_build_names_the_children_as_its_third_value(tmp_path, function):
    (tmp_path / "net.py").write_text(NET)
    network = nlviz.load_user_network(f"{tmp_path}/net.py:{function}", device="cpu")
    assert nlviz.analyse(make.clip(1), network, size=64).blocks == ("1",)


def test_wrong_names_in_build_are_told(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    with pytest.raises(nlviz.NetworkError, match="'1' has no child 'value' for g; its children"):
        nlviz.load_user_network(f"{tmp_path}/net.py:wrong", device="cpu")
    with pytest.raises(nlviz.NetworkError, match="came as a int; give a mapping such as"):
        nlviz.load_user_network(f"{tmp_path}/net.py:odd", device="cpu")


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        (
            {"layer9": NAMES},
            "no block 'layer9'; name one by its path, such as 1, 1.answers, .*of a class",
        ),
        ({"1": {"query": "asks"}}, "named by query; name them by theta, phi, g, W, concat"),
        ({"1": "asks"}, "named by 'asks'; name them by theta"),
        ({"1": {"theta": "asks", "phi": "answers"}}, "needs a child for g.*named are theta, phi"),
        ({"1": {"theta": "asks", "g": "tells.what"}}, "one each for theta and phi"),
        ({"1": {**NAMES, "W": "forth"}}, "no child 'forth' for W; its children are asks, answers"),
    ],
)
def test_names_that_cannot_be_are_refused(blocks, why):
    with pytest.raises(nlviz.NetworkError, match=why):
        nlviz.UserNetwork(_net(Foreign()), blocks=blocks)


class Direct(nn.Module):
    """Runs its block's forward(), which calls no hooks, so often."""

    def __init__(self, block, times=1):
        super().__init__()
        self.first, self.nl, self.times = nn.Conv2d(3, 8, 8, 8), block, times

    def forward(self, x):
        x = self.first(x)
        for _ in range(self.times):
            x = self.nl.forward(x[:, :, None])[:, :, 0]
        return x


def _block(function: str) -> NonLocalBlock:
    block = NonLocalBlock(8, function=function)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block


@pytest.mark.parametrize("function", ["embedded_gaussian", "gaussian", "dot_product"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_block_that_is_run_by_its_forward_is_found(function, times):
    net, x = Direct(_block(function), times), torch.randn(1, 3, 32, 32)
    found = nlviz.capture(net, x).affinities
    assert [name for name in found if name.startswith("nl")] == ["nl", "nl#2"][:times]
    with torch.no_grad():
        inside = net.first(x)[:, :, None]
    expected = nlviz.capture(net.nl, inside).affinities["NonLocalBlock"]
    np.testing.assert_allclose(found["nl"].matrix(), expected.matrix(), atol=1e-5)
    assert found["nl"].function == function
    assert counted_hooks(net) == 0


def test_a_block_with_a_gamma_that_is_run_by_its_forward_is_named():
    class Gamma(nn.Module):
        def __init__(self):
            super().__init__()
            self.query_conv, self.key_conv = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
            self.value_conv, self.gamma = nn.Conv2d(8, 8, 1), nn.Parameter(torch.ones(1))

        def forward(self, x):
            weights = _weights(
                self.query_conv(x[:, :, 0]), self.key_conv(x[:, :, 0]), "dot_product"
            )
            y = self.value_conv(x[:, :, 0]).flatten(2) @ weights.transpose(1, 2)
            return x + self.gamma * y.reshape(x.shape)

    with pytest.raises(nlviz.CaptureError, match=r"'nl' was run by its forward.*call it"):
        nlviz.capture(Direct(Gamma()), torch.randn(1, 3, 32, 32))


def test_a_child_that_two_blocks_share_makes_no_pass_of_the_other():
    one, other = _block("dot_product"), _block("dot_product")
    other.g = one.g
    seen = nlviz.capture(nn.Sequential(one, other), torch.randn(1, 8, 1, 4, 4))
    assert (tuple(seen.affinities), dict(seen.refused)) == (("0", "1"), {})


class Disentangled(nn.Module):
    """As in mmsegmentation and the authors' code: a whitened pairwise term and a unary one."""

    def __init__(self, scaled=True, temperature=0.5, unary=True):
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(8, 4, 1) for _ in range(3))
        self.conv_out, self.conv_mask = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 1, 1)
        self.scaled, self.temperature, self.unary = scaled, temperature, unary
        nn.init.normal_(self.conv_mask.weight)
        for part in (self.theta, self.phi):
            nn.init.normal_(part.weight)
            nn.init.constant_(part.bias, 3)

    def forward(self, x):
        g, theta, phi = (part(x).flatten(2) for part in (self.g, self.theta, self.phi))
        theta -= theta.mean(-1, keepdim=True)
        phi -= phi.mean(-1, keepdim=True)
        logits = theta.transpose(1, 2) @ phi / (2 if self.scaled else 1) / self.temperature
        self.weights = logits.softmax(-1)
        y = g @ self.weights.transpose(1, 2)
        if self.unary:
            y = y + g @ self.conv_mask(x).flatten(2).softmax(-1).transpose(1, 2)
        return x + self.conv_out(y.unflatten(2, x.shape[2:]))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("unary", [False, True])
def test_the_pairwise_term_of_a_disentangled_block_is_seen(scaled, temperature, unary):
    block, x = Disentangled(scaled, temperature, unary), torch.randn(3, 8, 5, 6)
    seen = nlviz.capture(nn.Sequential(nn.Identity(), block), x, sample=None)
    affinity = seen.affinities["1"]
    assert seen.fidelity["1"] < 1e-4
    assert "disentangled" in seen.kinds["1"]
    rows = affinity.matrix().reshape(3, 30, 3, 30)
    for t in range(3):
        np.testing.assert_allclose(rows[t, :, t], block.weights[t].detach(), atol=1e-5)
        assert not np.delete(rows[t], t, axis=1).any()


class Attending(nn.Module):
    """SAGAN's block, its logits times something."""

    def __init__(self, gamma, factor=1.0):
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(64, 8, 1), nn.Conv2d(64, 8, 1)
        self.value_conv, self.factor = nn.Conv2d(64, 64, 1), factor
        self.gamma = nn.Parameter(torch.tensor([gamma]))
        for part in (self.query_conv, self.key_conv, self.value_conv):
            nn.init.normal_(part.weight, std=0.2)

    def forward(self, x):
        q, k, v = (part(x).flatten(2) for part in (self.query_conv, self.key_conv, self.value_conv))
        weights = (self.factor * q.transpose(1, 2) @ k).softmax(-1)
        return self.gamma * (v @ weights.transpose(1, 2)).reshape(x.shape) + x


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gamma", [-2.0, 0.5])
def test_a_block_with_a_gamma_is_held_to_the_precision_that_it_runs_in(kind, gamma):
    x = torch.randn(1, 64, 12, 12)
    seen = nlviz.capture(Attending(gamma).to(kind), x.to(kind))
    assert seen.fidelity["Attending"] < (1e-5 if kind == torch.float32 else 0.05)
    with pytest.raises(nlviz.CaptureError, match=r"none of the known conventions"):
        nlviz.capture(Attending(gamma, factor=3).to(kind), x.to(kind))


def test_weights_that_half_precision_rounds_away_are_told_as_such():
    block, x = Attending(0.01), torch.randn(1, 64, 12, 12)
    assert nlviz.capture(block, x).fidelity["Attending"] < 1e-4
    with pytest.raises(nlviz.CaptureError, match=r"gamma 0\.01\) that bfloat16 rounds .*float32"):
        nlviz.capture(block.bfloat16(), x.bfloat16())


def test_a_fault_of_a_look_refuses_the_block_and_the_pass_goes_on(monkeypatch):
    one, x = _block("dot_product"), torch.randn(1, 8, 1, 4, 4)
    other = nn.MultiheadAttention(8, 2, batch_first=True)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.nl, self.attention = one, other

        def forward(self, x):
            x = self.nl(x).flatten(2).transpose(1, 2)
            return self.attention(x, x, x)

    monkeypatch.setattr(conventions, "_stitched", int)
    seen = nlviz.capture(Both(), x)
    assert "nl" not in seen.affinities
    assert "works in a way that nlviz does not know (ValueError: only one" in seen.refused["nl"]
    assert seen.output[0].shape == (1, 16, 8)
    monkeypatch.undo()
    monkeypatch.setattr(listener, "first_tensor", int)
    assert "does not know (TypeError: 'dict'" in nlviz.capture(Both(), x).refused["nl"]
