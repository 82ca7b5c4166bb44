"""Whose fault an error is: what the user's code raises is theirs, what nlviz's own raises never."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.hooks import capture
from nlviz.hooks.attention import calls
from nlviz.hooks.batch import Sample
from nlviz.inference import loading, own_modules
from nlviz.inference.tracebacks import is_users
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support import make


class Net(nn.Module):
    """A convolution and an attention, with something of the user's own between them."""

    def __init__(self, between):
        super().__init__()
        self.embed, self.qkv, self.between = nn.Conv2d(3, 8, 16, 16), nn.Linear(8, 24), between

    def forward(self, x):
        x = self.between(self.embed(x)).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)


class Doing(nn.Module):
    def __init__(self, do):
        super().__init__()
        self.do = do

    def forward(self, x):
        return self.do(x)


class Mode(torch.overrides.TorchFunctionMode):
    """A mode of the user's own that fails behind nlviz's."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.tanh:
            raise ValueError("no tanh here")
        return func(*args, **(kwargs or {}))


def _in_a_mode(x):
    with Mode():
        return torch.tanh(x)


def _raise(*_):
    raise KeyError("not mine")


def _hooked():
    module = nn.Identity()
    module.register_forward_hook(_raise)
    return module


def _from_another(x):
    try:
        return {}["a"]
    except KeyError as error:
        raise ValueError("no a") from error


class Refusing(nn.Identity):
    def train(self, mode=True):
        raise ValueError("always trains")


THEIRS = {
    "own code": (Doing(lambda x: 1 // 0), "by zero"),
    "torch's function, seen": (Doing(lambda x: x @ torch.ones(99)), "size"),
    "torch's convolution": (nn.Conv2d(99, 8, 1), "channels"),
    "torch's layer": (nn.Linear(99, 8), "shapes"),
    "a mode": (Doing(_in_a_mode), "no tanh here"),
    "a hook": (_hooked(), "not mine"),
    "one from another": (Doing(_from_another), "no a"),
    "a block of nlviz's": (NonLocalBlock(99), "channels"),
    "on entering evaluation": (Refusing(), "always trains"),
}


def _analyse(module):
    network = nlviz.UserNetwork(module, {"size": 64, "multiple": 16})
    return nlviz.analyse(make.clip(), network, size=64)


@pytest.mark.parametrize("kind", THEIRS)
def test_what_the_users_module_raises_is_told_as_theirs(kind):
    between, words = THEIRS[kind]
    with pytest.raises(nlviz.NetworkError, match=rf"Net cannot take an input of.*{words}"):
        _analyse(Net(between))


def test_what_the_progress_raises_is_its_own():
    def stop(fraction, word):
        if "running" in word:
            raise ZeroDivisionError("stopped")

    network = nlviz.UserNetwork(Net(nn.Identity()), {"size": 64, "multiple": 16})
    with pytest.raises(ZeroDivisionError, match="stopped"):
        nlviz.analyse(make.clip(), network, progress=stop)


def test_a_fault_of_the_watch_itself_is_ours(monkeypatch):
    monkeypatch.setattr(calls, "_LOOKS", None)
    with pytest.raises(AttributeError):
        _analyse(Net(nn.Identity()))


def _raised(function, *args):
    with pytest.raises(Exception) as raised:  # noqa: PT011 — whichever it is
        function(*args)
    return raised.value


def test_a_fault_of_ours_stays_ours_where_their_code_raises_its_own_from_it():
    def careful():
        try:
            Sample(0, 0).elements(3)
        except ZeroDivisionError as error:
            raise ValueError("the block is broken") from error

    def refused():
        try:
            Sample(2, 1).elements(1)
        except nlviz.CaptureError as error:
            raise ValueError("no such sample") from error

    assert not is_users(_raised(Sample(0, 0).elements, 3))
    assert not is_users(_raised(careful))
    assert is_users(_raised(refused))  # our sentences are theirs to handle
    assert is_users(_raised(_from_another, None))


def test_a_fault_behind_the_pass_is_ours(monkeypatch):
    monkeypatch.setattr(capture, "MappingProxyType", int)
    with pytest.raises(TypeError):
        _analyse(Net(nn.Identity()))


def test_a_fault_of_ours_while_a_file_is_loaded_is_not_the_files(monkeypatch, tmp_path):
    (tmp_path / "net.py").write_text("import torch\n\n\ndef build():\n    return torch.nn.ReLU()\n")
    monkeypatch.setattr(own_modules, "_Project", int)
    with pytest.raises(ValueError, match="invalid literal for int"):
        loading.load_user_network(f"{tmp_path}/net.py:build", device="cpu")
