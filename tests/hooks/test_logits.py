"""What logits are made of: the scale, bias and mask that went in come out, or it is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nlviz.errors import CaptureError
from nlviz.hooks.attention.logits import fused_terms, terms_of

WINDOWS, H, N, D = 24, 3, 49, 32
SCALE = torch.tensor([0.1, 0.3, 0.2])
KINDS = {torch.float32: 5e-6, torch.float64: 5e-6, torch.float16: 6e-3, torch.bfloat16: 5e-2}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def _products(sequences: int = WINDOWS) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and scale · query · keyᵀ."""
    query, key = torch.randn(sequences, H, N, D), torch.randn(sequences, H, N, D)
    return query, key, query @ key.mT * SCALE[:, None, None]


def _shifted(by: float) -> Tensor:
    """Masks of 24 windows of which three of four fall into parts, as in a shifted Swin."""
    place = torch.arange(N)
    right, lower = (place % 7 > 3).long(), (place // 7 > 3).long()
    parts = torch.stack([0 * place, right, lower, right + 2 * lower])
    same = parts[:, :, None] == parts[:, None, :]
    return torch.where(same, 0.0, by).repeat(WINDOWS // 4, 1, 1)


@pytest.mark.parametrize("by", [-100.0, -torch.inf, -65504.0])
@pytest.mark.parametrize("kind", KINDS)
def test_scale_bias_and_mask_are_found_in_every_precision(kind, by):
    query, key, product = _products()
    bias, mask = torch.randn(H, N, N) / 4, _shifted(by)  # less than 2 % of a mask of -100
    logits = (product + bias + mask[:, None]).to(kind)
    terms = terms_of(logits, query.to(kind), key.to(kind))
    torch.testing.assert_close(terms.scale, SCALE, atol=0, rtol=KINDS[kind])
    torch.testing.assert_close(terms.bias, bias, atol=KINDS[kind], rtol=0)
    assert torch.equal(terms.allowed, mask == 0)


@pytest.mark.parametrize("masked", [False, True])
def test_what_a_fused_call_adds_is_taken_apart_and_left_as_it_is(masked):
    bias, mask = torch.randn(H, N, N), _shifted(-torch.inf if masked else 0)
    given = bias + mask[:, None]
    before = given.clone()
    terms = fused_terms(given, 0.5, tuple(given.shape))
    assert torch.equal(given, before)
    assert torch.equal(terms.bias, bias)
    assert terms.allowed is None if not masked else torch.equal(terms.allowed, mask == 0)
    assert terms.scale.tolist() == [0.5] * H


@pytest.mark.parametrize("boolean", [False, True])
def test_a_mask_that_all_sequences_share_is_theirs_each(boolean):
    causal = torch.ones(N, N, dtype=torch.bool).tril()
    mask = causal if boolean else torch.zeros(N, N).masked_fill(~causal, -torch.inf)
    terms = fused_terms(mask, 0.5, (WINDOWS, H, N, N))
    assert terms.bias is None
    assert torch.equal(terms.allowed, causal.expand(WINDOWS, N, N))


def test_a_scale_alone_is_found_as_such():
    query, key, logits = _products()
    terms = terms_of(logits, query, key)
    torch.testing.assert_close(terms.scale, SCALE)
    assert terms.bias is None
    assert terms.allowed is None


@pytest.mark.parametrize("blank", [slice(0, 1), slice(None, None, 2), [0, 8, 15, 23]])
def test_sequences_of_nothing_hide_neither_scale_nor_bias_of_the_others(blank):
    query, key, _ = _products()
    query[blank] = 0
    bias = torch.randn(H, N, N)
    logits = query @ key.mT * SCALE[:, None, None]
    for added in (None, bias):
        terms = terms_of(logits if added is None else logits + added, query, key)
        torch.testing.assert_close(terms.scale, SCALE)
        if added is None:
            assert terms.bias is None
        else:
            torch.testing.assert_close(terms.bias, bias, atol=5e-6, rtol=0)


@pytest.mark.parametrize("number", [0, 5, 23])
def test_one_sequence_that_is_masked_is_found_among_many(number):
    query, key, logits = _products()
    logits[number, :, :, 40:] = -torch.inf
    allowed = terms_of(logits, query, key).allowed
    expected = torch.ones(WINDOWS, N, N, dtype=torch.bool)
    expected[number, :, 40:] = False
    assert torch.equal(allowed, expected)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("number", [0, 5, 23])
def test_a_single_logit_that_owes_to_something_else_is_refused(biased, number):
    query, key, logits = _products()
    if biased:
        logits += torch.randn(H, N, N)
    logits[number, 1, 16, 7] += 1
    with pytest.raises(CaptureError, match="more than query, key and position"):
        terms_of(logits, query, key)
    added = torch.randn(H, N, N).repeat(WINDOWS, 1, 1, 1)
    added[number, 1, 16, 7] += 1
    with pytest.raises(CaptureError, match="more than query, key and position"):
        fused_terms(added, 1.0, tuple(added.shape))


def test_heads_with_masks_of_their_own_are_refused():
    query, key, logits = _products()
    logits[:, 1, :, 40:] = -torch.inf
    with pytest.raises(CaptureError, match="heads with masks of their own"):
        terms_of(logits, query, key)
