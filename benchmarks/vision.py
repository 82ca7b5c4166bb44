"""Small vision transformers to measure with: a ViT and a Swin, fused or written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW = 7


class Attention(nn.Module):
    """Attention of heads over sequences (b, N, width), with what is added to the logits."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        b, n, width = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, added)
        else:
            logits = q * (width // self.heads) ** -0.5 @ k.transpose(-2, -1)
            y = (logits if added is None else logits + added).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, width))


class WindowAttention(Attention):
    """The same with a bias by position, and the mask that keeps shifted windows apart."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__(width, heads, fused)
        self.window_size = (WINDOW, WINDOW)
        self.bias = nn.Parameter(torch.randn(heads, WINDOW**2, WINDOW**2) / 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Windows (b, N, width); the mask is (windows of a frame, N, N)."""
        if mask is None:
            return super().forward(x, self.bias[None])
        mask = mask.to(self.bias.dtype).repeat(len(x) // len(mask), 1, 1)
        added = mask[:, None] + self.bias
        return super().forward(x, added)


class Block(nn.Module):
    """Norm, attention, norm, two layers: on frames (b, N, width)."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), attention
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def attend(self, x: Tensor) -> Tensor:
        return self.attn(x)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class WindowBlock(Block):
    """A block of maps (b, H, W, width) whose attention is within windows, maybe shifted."""

    def __init__(self, width: int, heads: int, fused: bool, shift: int) -> None:
        super().__init__(width, WindowAttention(width, heads, fused))
        self.window_size, self.shift_size = (WINDOW, WINDOW), (shift, shift)

    def attend(self, x: Tensor) -> Tensor:
        b, height, width, channels = x.shape
        shift = self.shift_size[0] if min(height, width) > WINDOW else 0
        mask = _mask(height, width, shift) if shift else None
        y = self.attn(_windows(x.roll((-shift, -shift), (1, 2))), mask)
        y = y.reshape(b, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
        return y.transpose(2, 3).reshape(x.shape).roll((shift, shift), (1, 2))


def _windows(x: Tensor) -> Tensor:
    """(b, H, W, channels) as (b · windows, WINDOW², channels)."""
    b, height, width, channels = x.shape
    x = x.reshape(b, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(-1, WINDOW**2, channels)


def _mask(height: int, width: int, shift: int) -> Tensor:
    """-100 between cells that only the roll has brought together, (windows, N, N)."""
    part = torch.zeros(height, width)
    part[-shift:] += 1
    part[:, -shift:] += 2
    part[-WINDOW:] += 4
    part[:, -WINDOW:] += 8
    of_cell = _windows(part[None, :, :, None])[..., 0]
    return torch.where(of_cell[:, None] == of_cell[:, :, None], 0.0, -100.0)


class ViT(nn.Module):
    """Patches of 16 pixels and a class token, as in ViT-S."""

    def __init__(self, fused: bool, width: int = 384, heads: int = 6, depth: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        blocks = (Block(width, Attention(width, heads, fused)) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.blocks(torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1))
        return self.head(x[:, 0])


class Merge(nn.Module):
    """Four neighbouring cells become one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        b, height, width, channels = x.shape
        x = x.reshape(b, height // 2, 2, width // 2, 2, channels).transpose(2, 3)
        return self.reduction(self.norm(x.reshape(b, height // 2, width // 2, 4 * channels)))


class Swin(nn.Module):
    """Windows of 7 × 7 cells, shifted in every second block, as in Swin-T."""

    def __init__(
        self, fused: bool, width: int = 96, depths: tuple[int, ...] = (2, 2, 6, 2)
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        layers: list[nn.Module] = []
        for stage, depth in enumerate(depths):
            wide = width << stage
            layers += [Merge(wide // 2)] if stage else []
            layers += [
                WindowBlock(wide, wide // 32, fused, WINDOW // 2 * (i % 2)) for i in range(depth)
            ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width << len(depths) - 1, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.patches(x).permute(0, 2, 3, 1)).mean((1, 2)))
