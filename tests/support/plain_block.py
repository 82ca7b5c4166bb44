"""A block as other projects write it: the matrix built by a product and kept by nobody."""

from __future__ import annotations

import torch
from torch import nn


class PlainBlock(nn.Module):
    """Embedded Gaussian or dot product in 2-D, with a scale on the logits and other names."""

    def __init__(self, channels=6, *, softmax=True, scale=1.0, names=("theta", "phi", "g", "W")):
        super().__init__()
        self.names, self.softmax, self.factor = names, softmax, scale
        inner = channels // 2
        for name in names[:3]:
            self.add_module(name, nn.Conv2d(channels, inner, 1))
        self.add_module(names[3], nn.Conv2d(inner, channels, 1))

    def forward(self, x):
        theta, phi, g, out = (getattr(self, name) for name in self.names)
        logits = self.factor * theta(x).flatten(2).transpose(1, 2) @ phi(x).flatten(2)
        weights = logits.softmax(-1) if self.softmax else logits / logits.shape[-1]
        y = weights @ g(x).flatten(2).transpose(1, 2)
        self.weights = weights
        return x + out(y.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]))


class PlainBlock3D(PlainBlock):
    """One that nobody knows: its softmax has a temperature of its own."""

    def __init__(self):
        super().__init__(scale=-7.0)
        for name in self.names[:3]:
            self.add_module(name, nn.Conv3d(6, 3, 1))
        self.add_module(self.names[3], nn.Conv3d(3, 6, 1))
        nn.init.normal_(self.theta.weight)
        nn.init.normal_(self.phi.weight)


class PlainNetwork(nn.Module):
    """Two blocks between convolutions, called nl_1 and nl_2 as in the seed's MNIST network."""

    def __init__(self):
        super().__init__()
        self.conv_1 = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.nl_1 = PlainBlock()
        self.pool = nn.MaxPool2d(2)
        self.nl_2 = PlainBlock()

    def forward(self, x):
        return self.nl_2(self.pool(self.nl_1(self.conv_1(x))))


def counted_hooks(module: torch.nn.Module) -> int:
    """How many forward hooks there are in a module and all its children."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())
