"""What the watch on attention reports of each call, and that it never breaks what it watches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nlviz.hooks.attention.calls import Attended, Watch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def reported(run) -> list[Attended | str]:
    seen: list[Attended | str] = []
    with torch.no_grad(), Watch(seen.append):
        run()
    return seen


def test_a_call_names_the_tensors_that_the_module_gave_it_and_where_their_slots_are():
    q, k, v = (torch.randn(2, 3, 5, 4) for _ in range(3))
    keys = k.transpose(-1, -2)
    fused = reported(lambda: F.scaled_dot_product_attention(q, k, v))
    written = reported(lambda: (q @ keys).softmax(-1) @ v)
    einsum = reported(lambda: torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1) @ v)
    for (call,), key, axis in ((fused, k, 2), (written, keys, 3), (einsum, k, 2)):
        assert call.query_source is q
        assert call.key_source is key
        assert (call.query_axis, call.key_axis) == (2, axis)
    x, y = torch.randn(5, 2, 12), torch.randn(6, 2, 12)
    (call,) = reported(lambda: nn.MultiheadAttention(12, 3)(x, y, y))
    assert call.query_source is x
    assert call.key_source is y
    assert (call.query_axis, call.key_axis) == (0, 0)
