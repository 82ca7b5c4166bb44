"""The block against equations (1) to (6), and against the seed project's state dicts."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from models.nonlocal_block import FUNCTIONS, NonLocalBlock
from tests.equations import CASES, SHAPES, seed_state, weights_and_output


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


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("norm", [True, False])
def test_a_new_block_changes_nothing(function, norm):
    torch.manual_seed(0)
    block = NonLocalBlock(4, function=function, batch_norm=norm)
    x = torch.randn(2, 4, 3, 6, 6)
    torch.testing.assert_close(block(x), x, atol=0, rtol=0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_parameter_learns(function):
    torch.manual_seed(0)
    block = NonLocalBlock(4, function=function, batch_norm=False)
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


def test_inner_width_is_half_and_at_least_one():
    assert NonLocalBlock(10).theta.out_channels == 5
    assert NonLocalBlock(1).theta.out_channels == 1
    assert NonLocalBlock(10, inner=3).theta.out_channels == 3


@pytest.mark.parametrize("function", FUNCTIONS)
def test_keys_that_do_not_divide_evenly_are_pooled_as_max_pool_does(function):
    torch.manual_seed(0)
    block = NonLocalBlock(4, function=function)
    assert block(torch.randn(1, 4, 1, 7, 3)).shape == (1, 4, 1, 7, 3)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_forward_pass_never_holds_the_matrix(function):
    # 3,136² weights are 38 MiB; the pass may hold far less. A fresh process, because a peak
    # can only rise.
    script = f"""
import resource, torch
from models.nonlocal_block import NonLocalBlock
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
    "wrong", [{"function": "cosine"}, {"dimension": 4}, {"inner": 0}], ids=lambda w: next(iter(w))
)
def test_a_wrong_option_is_named(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        NonLocalBlock(4, **wrong)
