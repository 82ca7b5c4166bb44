"""The block against equations (1) to (6), and against the seed project's state dicts."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from nlviz.models.nonlocal_block import FUNCTIONS, NonLocalBlock
from tests.support.equations import CASES, SHAPES, seed_state, weights_and_output


@pytest.mark.parametrize(("function", "dimension", "pooled", "norm"), CASES)
def test_a_seed_state_dict_loads_and_gives_the_equations_output(function, dimension, pooled, norm):
    torch.manual_seed(0)
    state = seed_state(function, dimension, pooled, norm)
    block = NonLocalBlock(
        6, function=function, dimension=dimension, sub_sample=pooled, batch_norm=norm
    ).eval()
    block.load_state_dict(state, strict=True)
    x = torch.randn(2, 6, *SHAPES[dimension])
    with torch.no_grad():
        z = block(x)
    for sample, output in zip(x, z, strict=True):
        _, expected = weights_and_output(state, function, sample)
        torch.testing.assert_close(output.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("function", "dimension", "pooled", "batch_norm"), CASES)
def test_a_normalised_block_gives_the_equations_output(function, dimension, pooled, batch_norm):
    torch.manual_seed(0)
    block = normalised(
        function, dimension=dimension, sub_sample=pooled, batch_norm=batch_norm
    ).eval()
    x = 3 + 2 * torch.randn(2, 6, *SHAPES[dimension])
    with torch.no_grad():
        z = block(x)
    for sample, output in zip(x, z, strict=True):
        _, expected = weights_and_output(block.state_dict(), function, sample)
        torch.testing.assert_close(output.double(), expected, atol=1e-5, rtol=1e-5)


def normalised(function: str, **options) -> NonLocalBlock:
    """A block whose θ and φ are normalised unless told, and weights of any size."""
    block = NonLocalBlock(6, function=function, **{"norm": True, **options})
    for parameter in (*block.W.parameters(), *block.theta.parameters(), *block.phi.parameters()):
        torch.nn.init.normal_(parameter)
    return block


@pytest.mark.parametrize("function", ["embedded_gaussian", "gaussian"])
def test_rows_of_normalised_blocks_do_not_change_with_exposure_or_the_size_of_features(function):
    torch.manual_seed(0)
    block = normalised(function, sub_sample=False).eval()
    x = torch.randn(1, 6, 2, 4, 5)
    seen = []
    block.theta.register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.no_grad():
        block(x)
        block(5 * x + torch.randn(1, 6, 1, 1, 1))
    torch.testing.assert_close(seen[0], seen[1], atol=1e-4, rtol=1e-4)
    norms = seen[0].norm(dim=1)
    torch.testing.assert_close(norms, norms.new_full(norms.shape, float(norms.mean())))


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f != "gaussian"])
@pytest.mark.parametrize(("dimension", "norm"), [(1, False), (2, True), (3, False), (3, True)])
def test_a_block_that_reads_windows_gives_the_equations_output(function, dimension, norm):
    torch.manual_seed(0)
    block = normalised(function, dimension=dimension, context=3, norm=norm).eval()
    x = torch.randn(2, 6, *SHAPES[dimension])
    with torch.no_grad():
        z = block(x)
    for sample, output in zip(x, z, strict=True):
        _, expected = weights_and_output(block.state_dict(), function, sample)
        torch.testing.assert_close(output.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("context", [0, 2, -1])
def test_a_window_without_a_middle_is_refused(context):
    with pytest.raises(ValueError, match="odd side"):
        NonLocalBlock(6, context=context)


def test_the_gaussian_kind_has_nothing_that_could_read_a_window():
    with pytest.raises(ValueError, match="Only θ and φ"):
        NonLocalBlock(6, function="gaussian", context=3)


def test_x_is_not_pooled_first_where_it_is_normalised():
    with pytest.raises(ValueError, match="pooled first"):
        NonLocalBlock(6, norm=True, pool_first=True)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_new_block_changes_nothing(function, norm, batch_norm):
    torch.manual_seed(0)
    block = NonLocalBlock(4, function=function, norm=norm, batch_norm=batch_norm)
    x = torch.randn(2, 4, 3, 6, 6)
    torch.testing.assert_close(block(x), x, atol=0, rtol=0)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("norm", [True, False])
def test_every_parameter_learns(function, norm):
    torch.manual_seed(0)
    block = NonLocalBlock(4, function=function, norm=norm, batch_norm=False)
    torch.nn.init.normal_(block.W.weight)
    block(torch.randn(1, 4, 2, 6, 6)).square().sum().backward()
    still = [name for name, p in block.named_parameters() if p.grad is None or not p.grad.any()]
    # Every row of a softmax is blind to a shift that is the same for all its keys: φ's bias.
    assert set(still) <= {"phi.0.bias"}


def test_concatenation_gradients_are_those_of_the_unfactored_form():
    torch.manual_seed(0)
    block = NonLocalBlock(4, function="concatenation", sub_sample=False, batch_norm=False).double()
    torch.nn.init.normal_(block.W.weight)
    x = torch.randn(1, 4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("pool_first", [True, False])
def test_groups_of_frames_are_blocks_of_their_own(function, pool_first):
    torch.manual_seed(0)
    options = {"function": function, "pool_first": pool_first}
    grouped = NonLocalBlock(6, group=4, **options).eval()
    alone = NonLocalBlock(6, **options).eval()
    torch.nn.init.normal_(grouped.W[1].weight)
    alone.load_state_dict(grouped.state_dict())
    x = torch.randn(2, 6, 10, 5, 6)  # the last group has two frames
    with torch.no_grad():
        expected = torch.cat([alone(part) for part in x.split(4, 2)], 2)
        torch.testing.assert_close(grouped(x), expected, atol=1e-5, rtol=1e-5)
        assert (grouped(x) - alone(x)).abs().max() > 1e-4


@pytest.mark.parametrize("function", FUNCTIONS)
def test_keys_pooled_first_are_those_of_the_pooled_input(function):
    torch.manual_seed(0)
    block = NonLocalBlock(6, function=function, pool_first=True, batch_norm=False).eval()
    plain = NonLocalBlock(6, function=function, sub_sample=False, batch_norm=False).eval()
    torch.nn.init.normal_(block.W.weight)
    state = block.state_dict()
    plain.load_state_dict(state)
    x = torch.randn(1, 6, 2, 4, 6)
    seen = {}
    block.g.register_forward_hook(lambda _, inputs, out: seen.update(g=inputs[0]))
    with torch.no_grad():
        z = block(x)
        keys = torch.nn.functional.max_pool3d(x, (1, 2, 2))
        torch.testing.assert_close(seen["g"], keys)
        # Pooled keys as the input of a block that does not pool: its first rows are for them.
        theta = (plain.theta(x) if function != "gaussian" else x).flatten(2).transpose(1, 2)
        phi = (plain.phi(keys) if function != "gaussian" else keys).flatten(2).transpose(1, 2)
        y = plain._aggregate(theta, phi, plain.g(keys).flatten(2).transpose(1, 2))
        expected = plain.W(y.transpose(1, 2).reshape(1, 3, *x.shape[2:])) + x
    torch.testing.assert_close(z, expected, atol=1e-5, rtol=1e-5)


def test_the_scale_is_that_of_a_wider_or_narrower_theta():
    torch.manual_seed(0)
    scaled, plain = NonLocalBlock(6, scale=0.25).eval(), NonLocalBlock(6).eval()
    torch.nn.init.normal_(scaled.W[1].weight)
    plain.load_state_dict(scaled.state_dict())
    with torch.no_grad():
        for parameter in plain.theta.parameters():
            parameter *= 0.25
        x = torch.randn(1, 6, 2, 4, 4)
        torch.testing.assert_close(scaled(x), plain(x), atol=1e-6, rtol=1e-6)


def test_inner_width_is_half_and_at_least_one():
    assert NonLocalBlock(10).theta.out_channels == 5
    assert NonLocalBlock(1).theta.out_channels == 1
    assert NonLocalBlock(10, inner=3).theta.out_channels == 3


@pytest.mark.parametrize("function", FUNCTIONS)
def test_keys_that_do_not_divide_evenly_are_pooled_as_max_pool_does(function):
    torch.manual_seed(0)
    block = NonLocalBlock(4, function=function)
    assert block(torch.randn(1, 4, 1, 7, 3)).shape == (1, 4, 1, 7, 3)


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_forward_pass_never_holds_the_matrix(function):
    # 3,136² weights are 38 MiB; the pass may hold far less. A fresh process, because a peak
    # can only rise.
    script = f"""
import resource, torch
from nlviz.models.nonlocal_block import NonLocalBlock
torch.set_num_threads(1)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with torch.inference_mode():
    block = NonLocalBlock(32, function={function!r}, sub_sample=False).eval()
    block(torch.randn(1, 32, 1, 14, 14))
    x = torch.randn(1, 32, 16, 14, 14)
    before = peak()
    block(x)
    print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 19


@pytest.mark.parametrize(
    "wrong",
    [
        {"function": "cosine"},
        {"dimension": 4},
        {"inner": 0},
        {"function": "dot_product", "scale": 0.5},
        {"group": 0},
        {"group": 4, "dimension": 2},
    ],
    ids=str,
)
def test_a_wrong_option_is_named(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        NonLocalBlock(4, **wrong)
