"""Compiled modules: torch.compile runs as written for the pass, other compilers are named."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import nlviz


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)


@pytest.mark.slow
@pytest.mark.parametrize("method", [False, True])
def test_what_torch_compiled_is_seen_as_it_was_written(method):
    torch.manual_seed(0)
    module, x = Attention().eval(), 3 * torch.randn(1, 9, 8)
    expected = module(x)
    compiled = module if method else torch.compile(module, backend="eager")
    if method:
        module.compile(backend="eager")
    seen = nlviz.capture(compiled, x)
    assert len(seen.affinities) == 1
    torch.testing.assert_close(seen.output, expected)
    torch.testing.assert_close(compiled(x), expected)


COMPILING = """
import sys
import torch
import nlviz
from tests.hooks.test_compiled import Attention

class Compiling(Attention):
    def forward(self, x):
        return torch.compile(super().forward)(x)

assert "torch._dynamo" not in sys.modules
compiles = torch.compile
seen = nlviz.capture(Compiling(), 3 * torch.randn(1, 9, 8))
assert len(seen.affinities) == 1, seen.refused
assert torch.compile is compiles
assert torch._dynamo.eval_frame._stance.stance == "default"
"""


@pytest.mark.slow
def test_the_first_that_is_compiled_within_a_pass_is_seen_as_it_was_written():
    done = subprocess.run([sys.executable, "-c", COMPILING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_code_is_named():
    with pytest.raises(nlviz.CaptureError, match=r"TorchScript.*give the Python module"):
        nlviz.capture(torch.jit.script(Attention()), torch.randn(1, 9, 8))
