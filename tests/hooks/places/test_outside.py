"""What leaves torch comes back without its places, and is not taken for a constant."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Patches(nn.Module):
    """Attention over what ``made`` makes of 8×8 patches."""

    def __init__(self, made):
        super().__init__()
        self.embed, self.qkv = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 48)
        self.positions = nn.Parameter(torch.randn(1, 64, 16))
        self.register_buffer("sines", torch.randn(1, 64, 16))
        self.more = [torch.randn(1, 64, 16)]
        self.made = made

    def forward(self, x):
        cells = self.made(self, self.embed(x).flatten(2).mT)
        return F.scaled_dot_product_attention(*self.qkv(cells).chunk(3, -1))


def _scripted(cells: torch.Tensor) -> torch.Tensor:
    return cells.roll(3, 1)


def gated(moved, cells):
    """Multiplied by what lies in its old order, which tells nothing of the new one."""
    return moved * cells.mean(-1, keepdim=True).sigmoid()


LEAVING = {
    "NumPy": lambda m, x: gated(torch.from_numpy(np.roll(x.numpy(), 3, 1)), x),
    "Python's numbers": lambda m, x: gated(torch.tensor(x.roll(3, 1).tolist()), x),
    r"torch.func \(vmap\)": lambda m, x: gated(torch.vmap(lambda t: t.roll(3, 0))(x), x),
    "TorchScript": lambda m, x: gated(torch.jit.script(_scripted)(x), x),
}


@pytest.mark.parametrize("way", LEAVING)
def test_what_comes_back_is_lost_and_says_by_what(way):
    with pytest.raises(nlviz.CaptureError, match=f"cannot follow .what {way} made of it"):
        nlviz.capture(Patches(LEAVING[way]), torch.randn(1, 3, 64, 64))


STAYING = {
    "a buffer": lambda m, x: x + m.sines,
    "a learned one": lambda m, x: x + m.positions,
    "a list of the module's": lambda m, x: x + m.more[0],
    "made since by torch": lambda m, x: x + torch.arange(64.0).view(1, 64, 1).cos(),
}


@pytest.mark.parametrize("what", STAYING)
def test_constants_stay_constants_where_something_was_only_looked_at(what):
    def made(module, cells):
        assert np.isfinite(cells.numpy().mean())
        return STAYING[what](module, cells)

    (affinity,) = nlviz.capture(Patches(made), torch.randn(1, 3, 64, 64)).affinities.values()
    assert affinity.query_grid.shape == (1, 8, 8)


def test_tables_from_numpy_are_constants_where_nothing_left():
    def made(_, cells):
        return cells + torch.from_numpy(np.ones((1, 64, 16), np.float32))

    (affinity,) = nlviz.capture(Patches(made), torch.randn(1, 3, 64, 64)).affinities.values()
    assert affinity.query_grid.shape == (1, 8, 8)


def test_scripted_functions_are_as_before_behind_a_pass():
    kind = torch.jit.ScriptFunction
    before = kind.__call__
    with pytest.raises(nlviz.CaptureError):
        nlviz.capture(Patches(LEAVING["TorchScript"]), torch.randn(1, 3, 64, 64))
    assert kind.__call__ == before
