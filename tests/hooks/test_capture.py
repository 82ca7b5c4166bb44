"""Capture: what is seen is what was computed, and the module is left as it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import nlviz
from nlviz.hooks.places.follow import Places
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support.equations import CASES, SHAPES, seed_state, weights_and_output
from tests.support.plain_block import PlainBlock, PlainNetwork, counted_hooks


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(("function", "dimension", "pooled", "norm"), CASES)
def test_the_captured_matrix_is_that_of_the_equations(function, dimension, pooled, norm):
    state = seed_state(function, dimension, pooled, norm)
    block = NonLocalBlock(
        6, function=function, dimension=dimension, sub_sample=pooled, batch_norm=norm
    )
    block.load_state_dict(state)
    x = torch.randn(1, 6, *SHAPES[dimension])
    seen = nlviz.capture(block, x)
    expected, _ = weights_and_output(state, function, x[0])
    affinity = seen.affinities["NonLocalBlock"]
    assert affinity.function == function
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-5)
    assert seen.fidelity["NonLocalBlock"] < 1e-5


@pytest.mark.parametrize(("function", "dimension", "pooled", "batch_norm"), CASES)
def test_the_captured_matrix_of_a_normalised_block_is_that_of_the_equations(
    function, dimension, pooled, batch_norm
):
    options = {"sub_sample": pooled, "batch_norm": batch_norm, "norm": True}
    block = NonLocalBlock(6, function=function, dimension=dimension, **options)
    for parameter in block.parameters():
        if parameter.ndim:  # a length near 0 makes rows even, and there is nothing to check
            nn.init.normal_(parameter)
    x = 2 + torch.randn(1, 6, *SHAPES[dimension])
    seen = nlviz.capture(block, x)
    assert not seen.refused
    expected, _ = weights_and_output(block.eval().state_dict(), function, x[0])
    affinity = seen.affinities["NonLocalBlock"]
    assert affinity.function == function
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-5)
    assert seen.fidelity["NonLocalBlock"] < 1e-5


def test_blocks_of_a_network_come_by_name_in_order_of_use():
    network = PlainNetwork().eval()
    x = torch.rand(1, 1, 8, 10)
    seen = nlviz.capture(network, x)
    assert tuple(seen.affinities) == ("nl_1", "nl_2")
    assert seen.affinities["nl_1"].query_grid == nlviz.Grid(1, 8, 10)
    torch.testing.assert_close(seen.output, network(x))
    for name, affinity in seen.affinities.items():
        weights = network.get_submodule(name).weights[0].detach().numpy()
        np.testing.assert_allclose(affinity.matrix(), weights, atol=1e-6)


@pytest.mark.parametrize(
    ("softmax", "scale", "function"),
    [
        (True, 1.0, "embedded_gaussian"),
        (True, 3**-0.5, "embedded_gaussian"),
        (True, 3**0.5, "embedded_gaussian"),
        (False, 1.0, "dot_product"),
    ],
)
def test_the_convention_is_settled_by_what_the_block_computes(softmax, scale, function):
    names = ("conv_theta", "conv_phi", "conv_g", "conv_out")
    block = PlainBlock(softmax=softmax, scale=scale, names=names)
    seen = nlviz.capture(block, 3 * torch.randn(1, 6, 4, 5))
    affinity = seen.affinities["PlainBlock"]
    assert affinity.function == function
    assert affinity.scale == pytest.approx(scale)


def test_a_convention_that_nobody_uses_is_refused_with_the_errors_measured():
    block = PlainBlock(softmax=False, scale=0.3)
    with pytest.raises(nlviz.CaptureError, match=r"none of the known.*dot_product × 1: 2\.3"):
        nlviz.capture(block, torch.randn(1, 6, 4, 5))


@pytest.mark.parametrize(("temperature", "offset"), [(-1, 80), (3, 5), (0.1, 20)])
def test_an_offset_of_g_does_not_hide_a_wrong_temperature(temperature, offset):
    block = PlainBlock(scale=temperature)
    nn.init.constant_(block.g.bias, offset)
    with pytest.raises(nlviz.CaptureError, match="none of the known conventions"):
        nlviz.capture(block, 3 * torch.randn(1, 6, 6, 6))


def test_a_block_that_puts_out_nothing_cannot_be_checked():
    block = PlainBlock()
    nn.init.zeros_(block.g.weight)
    nn.init.zeros_(block.g.bias)
    with pytest.raises(nlviz.CaptureError, match="puts out 0 for this input"):
        nlviz.capture(block, torch.randn(1, 6, 4, 4))


def test_blocks_that_share_their_children_are_not_mixed_up():
    first, second = PlainBlock(), PlainBlock()
    for name in first.names:
        setattr(second, name, getattr(first, name))
    seen = nlviz.capture(nn.Sequential(first, nn.Tanh(), second), torch.randn(1, 6, 4, 4))
    for name, block in (("0", first), ("2", second)):
        weights = block.weights[0].detach().numpy()
        np.testing.assert_allclose(seen.affinities[name].matrix(), weights, atol=1e-6)


def test_a_child_that_is_called_again_after_its_block_does_not_spoil_the_capture():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.nl = PlainBlock()

        def forward(self, x):
            return self.nl(x), self.nl.theta(x[..., :2])

    assert nlviz.capture(Twice(), torch.randn(1, 6, 4, 4)).fidelity["nl"] < 1e-5


def test_a_bystander_with_a_blocks_names_is_refused_and_the_block_is_seen():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.g, self.out = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            return x * self.out(self.g(x.mean((2, 3))))[..., None, None]

    seen = nlviz.capture(nn.Sequential(Gate(), PlainBlock()), torch.randn(1, 6, 4, 4))
    assert tuple(seen.affinities) == ("1",)
    assert "2 axes" in seen.refused["0"]


def test_a_hook_that_torch_calls_after_its_removal_does_no_harm():
    block = PlainBlock()
    taken = []
    block.register_forward_pre_hook(lambda m, args: taken.extend(m._forward_pre_hooks.values()))
    nlviz.capture(block, torch.randn(1, 6, 4, 4))
    for hook in taken[1:]:
        hook(block, (torch.randn(1, 6, 4, 4),))


def test_two_modules_that_share_a_block_keep_its_training_mode():
    block = PlainBlock().train()
    modules = [nn.Sequential(block, nn.ReLU()) for _ in range(4)]
    x = torch.randn(1, 6, 8, 8)
    threads = [threading.Thread(target=nlviz.capture, args=(m, x)) for m in modules for _ in "123"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert block.training
    assert counted_hooks(block) == 0


def test_a_block_that_is_not_understood_is_refused_beside_those_that_are():
    network = PlainNetwork()
    network.nl_1.factor = 0.123
    nn.init.normal_(network.nl_1.theta.weight, std=3)
    seen = nlviz.capture(network, torch.randn(1, 1, 8, 8))
    assert tuple(seen.affinities) == ("nl_2",)
    assert "embedded_gaussian × 1" in seen.refused["nl_1"]


def test_a_block_that_runs_twice_is_numbered():
    block = PlainBlock()
    seen = nlviz.capture(nn.Sequential(block, nn.ReLU(), block), torch.randn(1, 6, 3, 3))
    assert tuple(seen.affinities) == ("0", "0#2")


def test_any_sample_of_a_batch_can_be_kept():
    block, x = PlainBlock(), torch.randn(3, 6, 4, 4)
    alone = nlviz.capture(block, x[2:]).affinities["PlainBlock"].matrix()
    among = nlviz.capture(block, x, sample=2).affinities["PlainBlock"].matrix()
    np.testing.assert_allclose(among, alone, atol=1e-6)
    with pytest.raises(
        nlviz.CaptureError, match="has no sample 3 in its batch of 3; choose one of 0 to 2"
    ):
        nlviz.capture(block, x, sample=3)
    assert counted_hooks(block) == 0


def test_arguments_and_keywords_reach_the_module():
    block, x = PlainBlock(), torch.randn(1, 6, 4, 4)
    by_tensor = nlviz.capture(block, x).output
    torch.testing.assert_close(nlviz.capture(block, (x,)).output, by_tensor)
    torch.testing.assert_close(nlviz.capture(block, {"x": x}).output, by_tensor)


def test_a_gaussian_block_called_with_a_keyword_is_seen():
    block, x = NonLocalBlock(4, function="gaussian"), torch.randn(1, 4, 2, 4, 4)
    seen = nlviz.capture(block, {"x": x})
    assert seen.affinities["NonLocalBlock"].function == "gaussian"


def test_modes_gradients_and_hooks_are_left_as_they_were():
    network = PlainNetwork().train()
    network.conv_1[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    nlviz.capture(network, torch.randn(1, 1, 8, 8))
    assert counted_hooks(network) == 0
    assert [m.training for m in network.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_hooks_leave_after_an_error():
    network = PlainNetwork().train()
    with pytest.raises(RuntimeError):
        nlviz.capture(network, torch.randn(1, 5, 8, 8))
    assert counted_hooks(network) == 0
    assert network.training


def test_a_module_that_changes_its_tensors_afterwards_does_not_spoil_the_capture():
    class Spoils(PlainBlock):
        def forward(self, x):
            out = super().forward(x)
            self.kept.zero_()
            return out

    block = Spoils()
    block.theta.register_forward_hook(lambda m, a, out: setattr(block, "kept", out))
    x = torch.randn(1, 6, 4, 4)
    seen = nlviz.capture(block, x)
    weights = block.weights[0].detach().numpy()
    np.testing.assert_allclose(seen.affinities["Spoils"].matrix(), weights, atol=1e-6)


def test_two_captures_at_once_do_not_mix():
    network = PlainNetwork()
    inputs = [torch.randn(1, 1, 12, 12) for _ in range(8)]
    expected = [nlviz.capture(network, x).affinities["nl_1"].matrix() for x in inputs]
    found: dict[int, np.ndarray] = {}

    def work(i):
        found[i] = nlviz.capture(network, inputs[i]).affinities["nl_1"].matrix()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, matrix in enumerate(expected):
        np.testing.assert_array_equal(found[i], matrix)
    assert counted_hooks(network) == 0
    assert network.training


def test_calls_by_other_threads_are_not_seen():
    network = PlainNetwork()
    other = torch.randn(1, 1, 6, 6)

    class Meddled(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            thread = threading.Thread(target=network, args=(other,))
            thread.start()
            thread.join()
            return self.network(x)

    seen = nlviz.capture(Meddled(), torch.randn(1, 1, 12, 12))
    assert tuple(seen.affinities) == ("network.nl_1", "network.nl_2")
    assert seen.affinities["network.nl_1"].query_grid.shape == (1, 12, 12)


def test_a_gaussian_block_whose_keys_and_values_share_one_pool_is_seen():
    block = NonLocalBlock(4, function="gaussian")
    block.phi = block.g[1]
    seen = nlviz.capture(block, torch.randn(1, 4, 2, 4, 4))
    assert seen.fidelity["NonLocalBlock"] < 1e-5


def test_half_precision_is_seen_within_its_own_precision():
    block = PlainBlock().bfloat16()
    seen = nlviz.capture(block, torch.randn(1, 6, 4, 4, dtype=torch.bfloat16))
    assert seen.fidelity["PlainBlock"] < 0.02
    assert seen.affinities["PlainBlock"].theta.dtype == np.float32


def test_a_module_without_a_block_is_refused_with_what_was_looked_for():
    with pytest.raises(nlviz.CaptureError, match=r"No non-local block was found in Linear.*conv_g"):
        nlviz.capture(nn.Linear(2, 2), torch.randn(1, 2))


def test_a_block_that_never_ran_is_named():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.nl = PlainBlock()

        def forward(self, x):
            return x

    with pytest.raises(nlviz.CaptureError, match=r"No non-local block ran.*nl"):
        nlviz.capture(Lazy(), torch.randn(1, 2))


def test_what_nlviz_works_out_itself_is_neither_followed_nor_laid_elsewhere(monkeypatch):
    """Following its own work took longer than the work; see ``on_our_own``."""
    network, x = PlainNetwork().eval(), torch.randn(1, 1, 12, 12)
    own: list[str] = []
    followed: list[str] = []

    class Noting(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            own.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Noting():
        network(x)
    plain = Places.follow

    def follow(self, func, *call):
        followed.append(func.__name__)
        return plain(self, func, *call)

    monkeypatch.setattr(Places, "follow", follow)
    wanted = nlviz.capture(network, x).affinities["nl_1"].matrix()
    assert followed == own
    with torch.device("meta"):  # where new tensors would hold nothing
        found = nlviz.capture(network, x).affinities["nl_1"].matrix()
    np.testing.assert_array_equal(found, wanted)
