"""The page on fused attention: its code prints what the page says."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

from tests.support.vision import timm
from tools.ladder import blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "no-weights.md"


def test_its_code_prints_what_it_says():
    names: dict[str, object] = {}
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        out = io.StringIO()
        with redirect_stdout(out), warnings.catch_warnings():
            exec(compile(block.code, PAGE.name, "exec"), names)
        assert out.getvalue() == block.printed


def test_the_ways_out_that_it_names_are_there():
    text = PAGE.read_text(encoding="utf-8")
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.rand(1, 3, 8)
    assert attention(x, x, x, need_weights=False)[1] is None
    weights = attention(x, x, x, need_weights=True, average_attn_weights=False)[1]
    assert weights.shape == (1, 2, 3, 3)
    assert callable(timm.layers.set_fused_attn)
    (positions, megabytes) = (
        int(each.replace(",", ""))
        for each in re.search(r"([\d,]+) positions, that is (\d+) MB", text).groups()
    )
    assert positions == 64 // 2 * 16 * 16
    assert round(positions**2 * 4 / 1e6) == pytest.approx(megabytes, abs=1)
