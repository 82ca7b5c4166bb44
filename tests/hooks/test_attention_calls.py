"""What the watch on attention reports of each call, and that it never breaks what it watches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nlviz.hooks.attention.calls import Attended, Source, Watch
from nlviz.hooks.places.follow import Places


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def reported(run, places=None) -> list[Attended | str]:
    seen: list[Attended | str] = []
    with torch.no_grad(), Watch(seen.append, places or Places(nn.Identity(), ())):
        run()
    return seen


def numbered(places: Places, source: Source) -> torch.Tensor:
    """(b, H, length) which row of (…, length, width) each slot was given as."""
    (core,) = source.note.read().cores
    slots = source.like(places.coordinates.mixed(core, [source.axes[-1]]))
    return places.coordinates.centre(slots)[..., 2] - 0.5


def test_multi_head_attention_says_which_of_its_inputs_are_queries_and_keys():
    x, y = torch.randn(5, 2, 12), torch.randn(6, 2, 12)
    places = Places(nn.Identity(), (x, y))
    (call,) = reported(lambda: nn.MultiheadAttention(12, 3)(x, y, y), places)
    for source, length in ((call.query_source, 5), (call.key_source, 6)):
        (core,) = source.note.read().cores
        slots = source.like(places.coordinates.mixed(core, [source.axes[-1]]))
        assert slots.shape == (2, 3, length)
        at = places.coordinates.centre(slots)
        torch.testing.assert_close(at[1, 2, :, 1], torch.arange(length) + 0.5)
        assert (at[1, ..., 2] == 1.5).all()


N, M, D = 5, 6, 4


def _operands():
    return torch.randn(2, 3, N, D), torch.randn(2, 3, M, D), torch.randn(2, 3, M, D)


def _weights(call: Attended) -> torch.Tensor:
    scale = call.terms.scale[:, None, None]
    return (call.query @ call.key.transpose(-1, -2) * scale).softmax(-1)


def _channels_first(q, k, v):
    q, k, v = (t.flatten(0, 1).transpose(1, 2) for t in (q, k, v))
    return torch.einsum("bnm,bcm->bcn", torch.einsum("bcn,bcm->bnm", q, k).softmax(-1), v)


def _keys_first(q, k, v):  # (…, keys, queries), softmax over the keys
    weights = (k @ q.transpose(-1, -2)).softmax(-2)
    return v.transpose(-1, -2) @ weights


def _turned(q, k, v):
    return (k @ q.transpose(-1, -2)).transpose(-1, -2).softmax(-1) @ v


def _five(q, k, v):
    q, k, v = (t.unsqueeze(0) for t in (q, k, v))
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


def _heads_last(q, k, v):
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    weights = torch.einsum("bnhd,bmhd->bnmh", q, k).softmax(2)
    return torch.einsum("bnmh,bmhd->bnhd", weights, v)


def _by_keywords(q, k, v):
    q, k, v = (t.flatten(0, 1) for t in (q, k, v))
    weights = torch.bmm(input=q, mat2=k.transpose(1, 2)).softmax(-1)
    return torch.bmm(input=weights, mat2=v)


WAYS = {
    "ellipsis": lambda q, k, v: torch.einsum(
        "... i j, ... j d -> ... i d",
        torch.einsum("... i d, ... j d -> ... i j", q, k).softmax(-1),
        v,
    ),
    "channels first": _channels_first,
    "keys first": _keys_first,
    "turned": _turned,
    "five axes": _five,
    "heads last": _heads_last,
    "bmm by keywords": _by_keywords,
    "matmul by keywords": lambda q, k, v: torch.matmul(
        input=torch.matmul(input=q, other=k.transpose(-1, -2)).softmax(-1), other=v
    ),
    "method by keyword": lambda q, k, v: q.matmul(other=k.mT).softmax(-1).matmul(other=v),
    "baddbmm by keywords": lambda q, k, v: torch.bmm(
        torch.baddbmm(
            input=torch.zeros(1),
            batch1=q.flatten(0, 1),
            batch2=k.flatten(0, 1).mT,
            beta=0,
        ).softmax(-1),
        v.flatten(0, 1),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_product_is_seen_however_it_is_written(way):
    q, k, v = _operands()
    places = Places(nn.Identity(), (q, k, v))
    (call,) = reported(lambda: WAYS[way](q, k, v), places)
    assert isinstance(call, Attended), call
    expected = (q @ k.mT).softmax(-1)
    torch.testing.assert_close(_weights(call).reshape(expected.shape), expected)
    torch.testing.assert_close(call.output.reshape(2, 3, N, D), expected @ v)
    for source, length in ((call.query_source, N), (call.key_source, M)):
        slots = numbered(places, source)
        assert slots.shape[-1] == length
        torch.testing.assert_close(slots, torch.arange(length).float().expand_as(slots))


def test_keys_that_all_heads_share_are_seen():
    q, k, v = torch.randn(2, 3, N, D), torch.randn(2, M, D), torch.randn(2, M, D)
    expected = (q @ k[:, None].mT).softmax(-1)
    ways = (
        lambda: (q @ k[:, None].mT).softmax(-1) @ v[:, None],
        lambda: torch.einsum("bhnm,bmd->bhnd", torch.einsum("bhnd,bmd->bhnm", q, k).softmax(-1), v),
    )
    for way in ways:
        (call,) = reported(way)
        torch.testing.assert_close(_weights(call), expected)
        torch.testing.assert_close(call.output, expected @ v[:, None])


def test_groups_of_query_heads_share_the_key_head_that_torch_gives_them():
    q, k, v = torch.randn(1, 6, N, D), torch.randn(1, 2, M, D), torch.randn(1, 2, M, D)
    run = lambda: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)  # noqa: E731
    (call,) = reported(run)
    torch.testing.assert_close(_weights(call) @ call.value, run())


@pytest.mark.parametrize("equation", ["i,i->", "i,j->ij", ",ij->ij", "ii,jk->jk"])
def test_an_einsum_that_is_no_attention_passes(equation):
    sizes = [(3,) * len(part) for part in equation.split("->")[0].split(",")]
    assert reported(lambda: torch.einsum(equation, *(torch.randn(s) for s in sizes))) == []


def test_a_fault_of_a_look_refuses_that_call_and_the_pass_goes_on(monkeypatch):
    from nlviz.hooks.attention import calls

    def broken(*_, **__):
        raise TypeError("no such thing")

    monkeypatch.setattr(calls, "fused_terms", broken)
    q, k, v = _operands()
    expected, outs = F.scaled_dot_product_attention(q, k, v), []
    seen = reported(lambda: outs.append(F.scaled_dot_product_attention(q, k, v)))
    torch.testing.assert_close(outs[0], expected)
    assert len(seen) == 1
    assert "calls scaled_dot_product_attention in a way that nlviz does not know" in seen[0]
    assert "no such thing" in seen[0]
