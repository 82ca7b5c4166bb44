"""A network that sees each frame by itself, by patches alone: no token joins its frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import nlviz


class EachFrame(nn.Module):
    """One attention over the patches of each frame."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 16, 16, stride=16)
        self.qkv = nn.Linear(16, 48)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        q, k, v = (each[:, None] for each in self.qkv(x).chunk(3, dim=-1))
        return x + nn.functional.scaled_dot_product_attention(q, k, v)[:, 0]


def build() -> tuple[nn.Module, nlviz.Input]:
    """As ``FILE.py:FUNCTION`` gives it."""
    return EachFrame(), nlviz.Input(size=64, layout="TCHW")
