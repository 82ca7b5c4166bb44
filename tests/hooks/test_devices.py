"""Captures on a GPU: the CPU's weights, parts on other devices, half precision, memory given back.

What needs no more than two devices to be right runs on the CPU too, with one device in both places.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import nlviz
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support.plain_block import PlainBlock, PlainNetwork

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def exactly() -> Iterator[None]:
    """Float32 in full on a GPU too, where convolutions are otherwise rounded to TF32."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


class Attention(nn.Module):
    """A picture in patches, and one self-attention of two heads, fused or written out."""

    def __init__(self, *, fused: bool = True) -> None:
        super().__init__()
        self.fused = fused
        self.embed = nn.Conv2d(3, 16, 4, stride=4)
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)
        nn.init.normal_(self.qkv.weight, std=0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.transpose(-1, -2) * 8**-0.5).softmax(-1) @ v
        return self.out(y.transpose(1, 2).flatten(2))


class Gamma(nn.Module):
    """A block as SAGAN and CCNet have it: γ y + x, without an output projection."""

    def __init__(self) -> None:
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
        self.value_conv = nn.Conv2d(8, 8, 1)
        self.gamma = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (m(x).flatten(2) for m in (self.query_conv, self.key_conv, self.value_conv))
        weights = (q.transpose(1, 2) @ k).softmax(-1)
        return self.gamma * (v @ weights.transpose(1, 2)).reshape(x.shape) + x


class Halves(nn.Module):
    """Two blocks, the second on another device: the forward pass carries the features over."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.first, self.second = PlainBlock().to(first), PlainBlock().to(second)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.to(next(self.first.parameters()).device))
        return self.second(x.to(next(self.second.parameters()).device))


def offload(module: nn.Module, device: str) -> None:
    """Keep weights on the CPU; have them on a device for as long as the module's call lasts."""

    def enter(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        module.to(device)
        return tuple(x.to(device) for x in args)

    def leave(module: nn.Module, _: object, out: Tensor) -> Tensor:
        module.to("cpu")
        return out.cpu()

    module.register_forward_pre_hook(enter)
    module.register_forward_hook(leave)


def case(name: str) -> tuple[nn.Module, Tensor]:
    """A module with one block or attention, and an input."""
    if name in FUNCTIONS:
        return NonLocalBlock(8, function=name), torch.randn(1, 8, 2, 6, 6)
    if name == "gamma":
        return Gamma(), torch.randn(1, 8, 6, 6)
    return Attention(fused=name == "fused"), torch.randn(1, 3, 16, 24)


CASES = (*FUNCTIONS, "gamma", "fused", "written out")


def matrices(seen: nlviz.Capture) -> list[np.ndarray]:
    assert not seen.refused
    return [affinity.matrix() for affinity in seen.affinities.values()]


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_gives_the_weights_of_the_cpu(name, exactly):
    module, x = case(name)
    on_cpu = nlviz.capture(module, x)
    on_gpu = nlviz.capture(copy.deepcopy(module).cuda(), x.cuda())
    assert on_gpu.fidelity.keys() == on_cpu.fidelity.keys()
    assert max(on_gpu.fidelity.values()) < 1e-3
    for ours, theirs in zip(matrices(on_gpu), matrices(on_cpu), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_nearly_the_weights_of_single(name, dtype, device):
    module, x = case(name)
    precise = matrices(nlviz.capture(module, x))
    halved = copy.deepcopy(module).to(device, dtype)
    seen = nlviz.capture(halved, x.to(device, dtype))
    assert max(seen.fidelity.values()) < 0.05
    for ours, theirs in zip(matrices(seen), precise, strict=True):
        assert np.abs(ours - theirs).max() < 0.02 + 0.05 * np.abs(theirs).max()


@pytest.mark.parametrize("name", [name for name in CASES if name != "concatenation"])
def test_autocast_gives_nearly_the_weights_of_single(name, device):
    module, x = case(name)
    precise = matrices(nlviz.capture(module, x))
    with torch.autocast(device, torch.bfloat16):
        seen = nlviz.capture(copy.deepcopy(module).to(device), x.to(device))
    for ours, theirs in zip(matrices(seen), precise, strict=True):
        assert np.abs(ours - theirs).max() < 0.02 + 0.05 * np.abs(theirs).max()


def test_blocks_on_two_devices_are_captured_where_they_are(device, exactly):
    module, x = Halves(device, "cpu"), torch.randn(1, 6, 5, 7)
    seen = nlviz.capture(module, x)  # the input lies where neither the module's first part does
    expected = nlviz.capture(copy.deepcopy(module).cpu(), x)
    for ours, theirs in zip(matrices(seen), matrices(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert seen.output.device.type == "cpu"


def test_parts_that_come_to_the_device_for_their_call_alone_are_captured(device, exactly):
    network, x = PlainNetwork(), torch.randn(1, 1, 12, 12)
    expected = matrices(nlviz.capture(network, x))
    for part in network.children():
        offload(part, device)
    for ours, theirs in zip(matrices(nlviz.capture(network, x)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert {p.device.type for p in network.parameters()} == {"cpu"}


@pytest.mark.gpu
def test_nothing_of_a_capture_stays_on_the_gpu():
    module, x = PlainNetwork().cuda(), torch.randn(1, 1, 64, 64, device="cuda")
    nlviz.capture(module, x)  # libraries have their workspaces
    before = torch.cuda.memory_allocated()
    seen = nlviz.capture(module, x)
    held = torch.cuda.memory_allocated() - before
    assert held <= 2 * seen.output.nbytes  # the network's own output, in blocks of 512 bytes
    module.nl_2.weights = module.nl_1.weights = None
    del seen
    assert torch.cuda.memory_allocated() <= before


class NoDoubles(TorchFunctionMode):
    """As on MPS: whatever makes numbers of double precision raises."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return out


@pytest.mark.parametrize("name", [name for name in CASES if name != "concatenation"])
def test_a_device_without_doubles_will_do(name):
    # NonLocalBlock's own concatenation asks for doubles, except on MPS.
    module, x = case(name)
    with NoDoubles():
        assert matrices(nlviz.capture(module, x))


def test_only_what_has_come_to_the_cpu_is_ever_made_double():
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {ast.unparse(call)}"
        for path in (ROOT / "nlviz").rglob("*.py")
        if any(word in (text := path.read_text(encoding="utf-8")) for word in ("double", "float64"))
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and _doubles(call)
    }
    assert found == set()


def _doubles(call: ast.Call) -> bool:
    """Whether a call is ``.double()``, or names torch's double, of what did not just leave."""
    told = ast.unparse(call)
    named = {"torch.float64", "torch.double"} & {
        ast.unparse(each) for each in (*call.args, *(k.value for k in call.keywords))
    }
    method = isinstance(call.func, ast.Attribute) and call.func.attr == "double"
    return bool(named or method) and ".cpu()" not in told
