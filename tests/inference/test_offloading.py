"""Offloaded and spread modules stay as their loader has put them and get their input there."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.inference.offloading import input_like, lacks_values, stays_where_it_is
from tests.support import make

FRAMES = np.zeros((1, 64, 64, 3), np.uint8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.qkv = nn.Conv2d(3, 8, 16, 16), nn.Linear(8, 24)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = (3 * self.qkv(x)).unsqueeze(1).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)


def _away(part: nn.Module) -> None:
    for name, weight in list(part.named_parameters(recurse=False)):
        part._parameters[name] = nn.Parameter(weight.to("meta"), requires_grad=False)


def _back(part: nn.Module, kept: dict[str, torch.Tensor]) -> None:
    for name, weight in kept.items():
        part._parameters[name] = nn.Parameter(weight, requires_grad=False)


def with_hooks(module: nn.Module) -> nn.Module:
    """Weights that torch's own hooks bring before a part runs and take away behind it."""
    for part in module.children():
        kept = {name: weight.data.clone() for name, weight in part.named_parameters(recurse=False)}
        part.register_forward_pre_hook(lambda part, args, kept=kept: _back(part, kept))
        part.register_forward_hook(lambda part, args, out: _away(part))
        _away(part)
    return module


def as_accelerate(module: nn.Module) -> nn.Module:
    """Weights that a forward in place of the class's brings, as accelerate's hooks do."""
    for part in module.children():
        kept = {name: weight.data.clone() for name, weight in part.named_parameters(recurse=False)}

        def forward(part, plain, kept, x):
            _back(part, kept)
            try:
                return plain(x)
            finally:
                _away(part)

        plain = part.forward
        part.forward = partial(forward, part, plain, kept)
        part._hf_hook = SimpleNamespace(execution_device="cpu")
        _away(part)
    module._hf_hook = SimpleNamespace(hooks=[SimpleNamespace(execution_device=None)])
    return module


WAYS = [with_hooks, as_accelerate]
NET = """
import torch
from tests.inference.test_offloading import Net, as_accelerate, with_hooks


def hooks():
    return with_hooks(Net()), {"size": 64, "multiple": 16}


def accelerate():
    return as_accelerate(Net()), {"size": 64, "multiple": 16}
"""


@pytest.mark.parametrize("way", WAYS)
def test_an_offloaded_module_is_seen_as_the_same_one_that_is_not(way):
    given = {"size": 64, "multiple": 16}
    expected = nlviz.analyse(make.clip(), nlviz.UserNetwork(Net(), given))
    module = way(Net())
    analysis = nlviz.analyse(make.clip(), nlviz.UserNetwork(module, given))
    assert all(parameter.is_meta for parameter in module.parameters())
    assert analysis.blocks == expected.blocks == ("Net",)
    np.testing.assert_allclose(
        analysis.affinity("Net").matrix(), expected.affinity("Net").matrix(), atol=1e-6
    )


@pytest.mark.parametrize("function", ["hooks", "accelerate"])
def test_a_file_that_builds_one_is_loaded_and_left_as_it_is(tmp_path, function):
    (tmp_path / "net.py").write_text(NET)
    network = nlviz.load_user_network(f"{tmp_path}/net.py:{function}", device="cpu")
    assert all(parameter.is_meta for parameter in network.module.parameters())
    assert nlviz.analyse(make.clip(), network).blocks == ("Net",)
    torch.save(Net().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(nlviz.NetworkError, match=r"has offloaded its weights, so weights\.pt"):
        nlviz.load_user_network(f"{tmp_path}/net.py:{function}", weights=tmp_path / "weights.pt")


def test_weights_that_nothing_brings_are_still_refused():
    with torch.device("meta"):
        bare, partly = Net(), Net()
    assert lacks_values(bare)
    with_hooks(nn.ModuleList([partly.embed]))
    assert lacks_values(partly)  # its qkv has no hook
    assert not lacks_values(nn.ModuleDict({"all": with_hooks(Net())}))
    assert not lacks_values(Net())
    bare.register_forward_pre_hook(lambda module, args: None)  # one around all parts
    assert not lacks_values(bare)


def test_the_input_lies_where_the_first_part_runs():
    assert input_like(Net().bfloat16()).dtype == torch.bfloat16
    half = as_accelerate(Net().half())
    assert (input_like(half).device.type, input_like(half).dtype) == ("cpu", torch.float16)
    half._hf_hook = SimpleNamespace(execution_device="meta")  # stands for another device here
    assert input_like(half).device.type == "meta"
    assert nlviz.UserNetwork(half, {"size": 64}).prepare(FRAMES).is_meta
    partly = Net()
    _away(partly.embed)
    assert input_like(partly).device.type == "cpu"


def test_what_is_spread_over_devices_is_not_moved():
    assert not stays_where_it_is(Net())
    spread = Net()
    _away(spread.embed)  # the only second device that is always there
    assert stays_where_it_is(spread)
    whole = Net()
    whole._hf_hook = SimpleNamespace(execution_device="cpu")
    assert stays_where_it_is(whole)


def test_a_gamma_that_is_away_is_named():
    class Gamma(nn.Module):
        def __init__(self):
            super().__init__()
            self.query_conv, self.key_conv = nn.Conv2d(3, 4, 8, 8), nn.Conv2d(3, 4, 8, 8)
            self.value_conv = nn.Conv2d(3, 3, 8, 8)
            self.gamma = nn.Parameter(torch.ones(1, device="meta"))

        def forward(self, x):
            q, k, v = (
                part(x).flatten(2) for part in (self.query_conv, self.key_conv, self.value_conv)
            )
            y = v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)
            return x + y.mean()

    with pytest.raises(nlviz.CaptureError, match="has offloaded its gamma"):
        nlviz.capture(Gamma(), torch.randn(1, 3, 32, 32))
