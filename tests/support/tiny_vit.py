"""A tiny vision transformer of our own, whose attention is written out or fused."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

import nlviz

CLASSES = ("dog, hound", "cat", "bird")


class Attention(nn.Module):
    """Self-attention over the last axis but one; ``seen`` keeps A where it is written out."""

    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.seen: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, width = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
            if weights.requires_grad:
                weights.retain_grad()
            self.seen = weights
            y = weights @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, width))


class Layer(nn.Module):
    """Attention and an MLP, each with its residual connection."""

    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(width), Attention(width, heads, fused=fused)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm(x))
        return x + self.mlp(x)


class TinyViT(nn.Module):
    """Frames (T, 3, H, W) as patches of 8 × 8 pixels of all frames together, and a class token.

    Divided, the layers are in turn over time at each place and over space in each frame, the class
    token copied into each frame and averaged after it, as in TimeSformer. ``pooled`` reads the
    scores from the mean of the patches and has no class token.
    """

    def __init__(
        self,
        width: int = 12,
        heads: int = 3,
        depth: int = 3,
        *,
        fused: bool = True,
        divided: bool = False,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        self.cls_token = None if pooled else nn.Parameter(torch.zeros(1, 1, width))
        self.layers = nn.ModuleList(Layer(width, heads, fused=fused) for _ in range(depth))
        self.divided = divided
        self.head = nn.Linear(width, len(CLASSES))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = self.patches(frames)
        width = x.shape[1]
        x = x.flatten(2).transpose(1, 2)  # (T, places, width)
        if self.divided:
            return self.head(self._divided(x)[:, 0])
        x = x.reshape(1, -1, width)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token, x], dim=1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1) if self.cls_token is None else x[:, 0])

    def _divided(self, x: torch.Tensor) -> torch.Tensor:
        token = self.cls_token
        assert token is not None
        for number, layer in enumerate(self.layers):
            if number % 2 == 0:
                x = layer(x.transpose(0, 1)).transpose(0, 1)
                continue
            both = torch.cat([token.expand(len(x), -1, -1), x], dim=1)
            added = layer.attn(layer.norm(both))
            token = token + added[:, :1].mean(0, keepdim=True)
            token, x = token + layer.mlp(token), x + added[:, 1:]
            x = x + layer.mlp(x)
        return token


def network(seed: int = 0, size: tuple[int, int] = (32, 24), **how: object) -> nlviz.UserNetwork:
    """Random weights, large enough that rows are far from even."""
    said = nlviz.Input(size=size, layout="TCHW", classes=CLASSES)
    return nlviz.UserNetwork(_random(seed, **how), said)


def build() -> tuple[nn.Module, nlviz.Input]:
    """For ``--model FILE.py:build``."""
    return _random(0), nlviz.Input(size=(64, 48), layout="TCHW", classes=CLASSES)


def _random(seed: int, **how: object) -> TinyViT:
    torch.manual_seed(seed)
    module = TinyViT(**how).eval()  # type: ignore[arg-type]
    for parameter in module.parameters():
        parameter.data = 0.4 * torch.randn_like(parameter)
    return module
