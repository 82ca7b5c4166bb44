"""A user's own network for the comparison: self-attention over the patches of each frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import nlviz

SIZE, PATCH, CHANNELS = 64, 16, 32


class Patches(nn.Module):
    """Patches with their places, two layers of attention, and scores; random but seeded."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, CHANNELS, PATCH, PATCH)
        self.places = nn.Parameter(torch.randn(1, (SIZE // PATCH) ** 2, CHANNELS))
        layer = nn.TransformerEncoderLayer(CHANNELS, 4, 64, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.scores = nn.Linear(CHANNELS, 3)

    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.patches(frames).flatten(2).transpose(1, 2) + self.places
        return self.scores(self.layers(tokens).mean(1))


def build() -> tuple[nn.Module, nlviz.Input]:
    torch.manual_seed(0)
    return Patches(), nlviz.Input(size=(SIZE, SIZE), classes=("one", "two", "three"))
