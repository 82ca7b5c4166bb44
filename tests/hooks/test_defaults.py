"""What torch makes where no type or device is named decides nothing: all is the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.inference.by_name.trial import Axes, takes
from nlviz.models.network import Network
from tests.support import make, tiny_vit


@contextmanager
def doubles() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def masked() -> torch.Tensor:
    at = torch.arange(12, device="cpu")
    return at[None, :] > at[:, None] + 6


@contextmanager
def elsewhere() -> Iterator[None]:
    """On a device without numbers, so that whatever is made there is noticed."""
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


class Biased(nn.Module):
    """Attention with a mask and a bias by position."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(2, 12, 12))
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        logits = (q @ k.mT * 0.5 + self.bias).masked_fill(masked(), -torch.inf)
        return (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Resized(nn.Module):
    """Attention with a mask over places that many an operation has moved."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 3)
        self.back = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.first = Biased()
        self.last = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(self.back(self.patches(x)), (1, 1, 1, 1), mode="reflect")
        x = F.interpolate(x, size=(12, 16), mode="bilinear")
        x = F.interpolate(x, size=(6, 8), mode="bilinear", align_corners=True)
        x = F.adaptive_avg_pool2d(x, (3, 4)).flatten(2).transpose(1, 2)
        x = x + self.first(x)
        y, _ = self.last(x, x, x, attn_mask=masked())
        return self.head((x + y).mean(1))


def resized() -> nlviz.UserNetwork:
    torch.manual_seed(0)
    module = Resized().eval()
    return nlviz.UserNetwork(
        module, nlviz.Input(size=(32, 24), layout="TCHW", classes=tiny_vit.CLASSES)
    )


@pytest.mark.parametrize(
    ("build", "precision"), [(resized, torch.float32), (tiny_vit.network, torch.float64)]
)
def test_an_analysis_and_what_is_made_of_it_are_the_same(build, precision):
    network, clip = build(), make.clip(2 if build is tiny_vit.network else 1)
    network.module.to(precision)

    def made():
        analysis = nlviz.analyse(clip, network, features=["first"] if build is resized else [])
        block = analysis.network_blocks[-1]
        found = nlviz.relevance(analysis, network, "cat")
        place = nlviz.Point(0, 20.0, 20.0)
        mask = np.zeros((len(clip.frames), clip.height, clip.width), np.bool_)
        mask[:, 10:30, 10:30] = True
        yield from (found.affinity(name).matrix() for name in found.blocks)
        yield nlviz.rollout(analysis, [place]).affinities["rollout (derived)"].row("all places")
        yield nlviz.pca(analysis, block, network=network).colours
        yield nlviz.pca(analysis, block, of="output", network=network).colours
        yield nlviz.baseline(analysis, network, block, "cosine").affinity(f"{block} (cosine)").phi
        yield nlviz.receptive_field(analysis, network, block, place).sentence

    expected = list(made())
    for usual in (doubles, elsewhere):
        with usual():
            got = list(made())
        for one, other in zip(expected, got, strict=True):
            if isinstance(one, str):
                assert other == one
            else:
                np.testing.assert_allclose(other, one, atol=1e-5)


def test_what_runs_a_block_again_is_the_same_wherever_torch_would_work():
    module = make.network_that_matters("embedded_gaussian", seed=0).module
    said = nlviz.Input(size=(32, 24), layout="BCTHW", classes=("cat", "dog"))
    network, clip = nlviz.UserNetwork(module, said), make.clip(2)
    query = nlviz.Query(nlviz.Point(5, 20.0, 20.0), "second", exclude="none")

    def made():
        analysis = nlviz.analyse(clip, network)
        found = nlviz.relevance(analysis, network, "cat", block="second")
        yield found.affinities[found.derived[0]].phi
        yield nlviz.baseline(analysis, network, "first", "cosine").affinities["first (cosine)"].phi
        shuffled = nlviz.baseline(analysis, network, "first", "shuffled", seed=1)
        yield shuffled.affinities["first (shuffled, seed 1)"].phi
        yield nlviz.faithfulness(analysis, network, query, fractions=(0.5,), draws=1).by_affinity
        with nlviz.shuffled_weights(network):
            yield nlviz.analyse(clip, network).affinity("first").phi

    expected = list(made())
    with elsewhere():
        got = list(made())
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_a_bundled_network_is_given_its_own_precision(precision):
    module = nn.Conv3d(3, 2, 1).to(precision)
    network = Network(
        "n", "", module, torch.device("cpu"), {}, (), (), 64, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 32
    )
    with doubles():
        module(network.prepare(make.clip(2).frames))


def test_a_module_of_single_precision_is_tried_with_its_own():
    module = nn.Conv2d(3, 2, 1)
    with doubles():
        assert takes(module, Axes("BCHW"), (8, 8), 1)
