"""Blocks as projects write them, restated from their descriptions: each is seen for what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.models.nonlocal_block import NonLocalBlock


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class ConvModule(nn.Module):
    """mmcv's way of nesting a convolution."""

    def __init__(self, *sizes):
        super().__init__()
        self.conv = nn.Conv3d(*sizes, 1)

    def forward(self, x):
        return self.conv(x)


class Block(nn.Module):
    """A 3-D block with the names, the pooling and the scale of a project.

    ``runs`` folds that many groups of frames into the batch around the block, as SlowFast and
    Caffe2 do with their res3.
    """

    def __init__(self, names, *, before=False, after=False, scale=1.0, softmax=True, nest=False):
        super().__init__()
        self.names, self.before, self.scale, self.softmax = names, before, scale, softmax
        make = ConvModule if nest else (lambda a, b: nn.Conv3d(a, b, 1))
        pool = nn.MaxPool3d((1, 2, 2))
        for role, name in zip(("theta", "phi", "g", "out"), names, strict=True):
            made = make(4, 6) if role == "out" else make(6, 4)
            if after and role in ("phi", "g"):
                made = nn.Sequential(made, pool)
            self.add_module(name, made)
        if before:
            self.pool = pool
        self.norm = nn.BatchNorm3d(6)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.8)

    def forward(self, x):
        theta, phi, g, out = (getattr(self, name) for name in self.names)
        few = self.pool(x) if self.before else x
        logits = theta(x).flatten(2).transpose(1, 2) @ phi(few).flatten(2) * self.scale
        self.weights = logits.softmax(-1) if self.softmax else logits / logits.shape[-1]
        y = self.weights @ g(few).flatten(2).transpose(1, 2)
        y = y.transpose(1, 2).reshape(len(x), 4, *x.shape[2:])
        return x + self.norm(out(y))


SLOWFAST = tuple(f"conv_{role}" for role in ("theta", "phi", "g", "out"))
PLAIN = ("theta", "phi", "g", "out")


@pytest.mark.parametrize(
    "block",
    [
        {"names": SLOWFAST, "before": True, "scale": 0.5},
        {"names": SLOWFAST, "before": True, "softmax": False},
        {"names": PLAIN, "before": True, "scale": 0.5},
        {"names": ("theta", "phi", "g", "conv_out"), "after": True, "nest": True},
        {"names": ("theta", "phi", "g", "conv_out"), "after": True, "nest": True, "scale": 0.5},
        {"names": ("theta", "phi", "g", "W"), "scale": 0.5},
        {"names": ("theta", "phi", "g", "W_z"), "scale": 2.0},
        {"names": ("theta", "phi", "g", "W"), "softmax": False, "scale": 0.5},
    ],
    ids=lambda block: "-".join(f"{key}={value}" for key, value in block.items() if key != "names"),
)
def test_names_pooling_and_scale_of_each_project_are_settled(block):
    module = Block(**block)
    seen = nlviz.capture(module, torch.randn(1, 6, 3, 4, 6))
    affinity = seen.affinities["Block"]
    np.testing.assert_allclose(affinity.matrix(), module.weights[0].detach(), atol=1e-5)
    assert affinity.scale == pytest.approx(block.get("scale", 1.0))
    assert affinity.keys_pooled == (module.before or "after" in block)
    assert seen.kinds == {"Block": "non-local block"}


class Folded(nn.Module):
    """A block that sees groups of two frames, folded into the batch."""

    def __init__(self):
        super().__init__()
        self.block = Block(SLOWFAST, before=True)

    def forward(self, x):
        b, c, t, h, w = x.shape
        x = x.reshape(b, c, t // 2, 2, h, w).transpose(1, 2).reshape(-1, c, 2, h, w)
        x = self.block(x).reshape(b, t // 2, c, 2, h, w)
        return x.transpose(1, 2).reshape(b, c, t, h, w)


@pytest.mark.parametrize("sample", [0, 1])
def test_groups_of_frames_are_put_together_and_links_between_them_do_not_exist(sample):
    module = Folded()
    seen = nlviz.capture(module, torch.randn(2, 6, 4, 4, 6), sample=sample)
    affinity = seen.affinities["block"]
    assert (affinity.query_grid.shape, affinity.key_grid.shape) == ((4, 4, 6), (4, 2, 3))
    expected = np.zeros((96, 24), np.float32)
    for run in (0, 1):
        weights = module.block.weights[2 * sample + run].detach().numpy()
        expected[48 * run : 48 * run + 48, 12 * run : 12 * run + 12] = weights
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-5)
    assert affinity.reached(nlviz.Cell(3, 0, 0))[2:].all()
    assert not affinity.reached(nlviz.Cell(3, 0, 0))[:2].any()


def test_a_block_that_groups_its_frames_by_itself_is_seen_with_its_last_shorter_group():
    block = NonLocalBlock(6, group=2)
    nn.init.normal_(block.theta.weight)
    affinity = nlviz.capture(block, 2 * torch.randn(1, 6, 5, 4, 4)).affinities["NonLocalBlock"]
    reached = [affinity.reached(nlviz.Cell(t, 0, 0)).any((1, 2)).tolist() for t in range(5)]
    assert reached == [[t // 2 == other // 2 for other in range(5)] for t in range(5)]


class Crossed(nn.Module):
    """CCNet's attention, a position at a time, its own counted once; or SAGAN's, over all."""

    def __init__(self, crossed, gamma=0.7):
        super().__init__()
        self.crossed = crossed
        self.query_conv, self.key_conv = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1)
        self.value_conv = nn.Conv2d(8, 8, 1)
        self.gamma = nn.Parameter(torch.tensor([gamma]))

    def forward(self, x):
        b, _, h, w = x.shape
        query, key, value = (part(x) for part in (self.query_conv, self.key_conv, self.value_conv))
        out, self.weights = torch.zeros_like(value), torch.zeros(b, h, w, h, w)
        for row in range(h):
            for col in range(w):
                seen = [
                    (r, c)
                    for r in range(h)
                    for c in range(w)
                    if not self.crossed or r == row or c == col
                ]
                rows, cols = zip(*seen, strict=True)
                logits = torch.einsum("bc,bcm->bm", query[:, :, row, col], key[:, :, rows, cols])
                weights = logits.softmax(1)
                self.weights[:, row, col, rows, cols] = weights
                out[:, :, row, col] = torch.einsum("bm,bcm->bc", weights, value[:, :, rows, cols])
        return self.gamma * out + x


@pytest.mark.parametrize("crossed", [True, False])
def test_criss_cross_and_full_attention_with_a_gamma_are_told_apart(crossed):
    module, x = Crossed(crossed), 3 * torch.randn(2, 8, 4, 5)
    seen = nlviz.capture(module, x, sample=1)
    affinity = seen.affinities["Crossed"]
    expected = module.weights[1].detach().reshape(20, 20)
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-4)
    assert affinity.reached(nlviz.Cell(0, 1, 1)).sum() == (4 + 5 - 1 if crossed else 20)
    assert seen.fidelity["Crossed"] < 1e-4


def test_criss_cross_stays_within_each_frame():
    module = Crossed(True)
    affinity = nlviz.capture(module, torch.randn(3, 8, 4, 5), sample=None).affinities["Crossed"]
    reached = affinity.reached(nlviz.Cell(1, 2, 3))
    assert reached[1].sum() == 8
    assert not reached[[0, 2]].any()


def test_a_gamma_of_nothing_is_refused_because_nothing_can_be_checked():
    with pytest.raises(nlviz.CaptureError, match="gamma of 0, so that its weights leave no trace"):
        nlviz.capture(Crossed(True, gamma=0.0), torch.randn(1, 8, 3, 3))


class Context(nn.Module):
    """GCNet's block: one map for all queries."""

    def __init__(self):
        super().__init__()
        self.conv_mask = nn.Conv2d(6, 1, 1)
        self.channel_add_conv = nn.Sequential(nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Conv2d(2, 6, 1))

    def forward(self, x):
        self.weights = self.conv_mask(x).flatten(2).softmax(-1)
        context = (x.flatten(2) * self.weights).sum(-1)[..., None, None]
        return x + self.channel_add_conv(context)


def test_a_context_block_has_one_row_for_all_queries():
    module = Context()
    seen = nlviz.capture(module, 3 * torch.randn(1, 6, 4, 5))
    matrix = seen.affinities["Context"].matrix()
    expected = np.broadcast_to(module.weights[0].detach(), (20, 20))
    np.testing.assert_allclose(matrix, expected, atol=1e-6)
    assert "one map for all queries" in seen.kinds["Context"]
    assert seen.fidelity["Context"] < 1e-5


def test_what_is_said_about_reach_follows_from_the_groups():
    from nlviz.about import reach_in_words
    from nlviz.groups import across, apart, in_groups, joins_frames

    grid = nlviz.Grid(6, 4, 4)
    place = np.tile(np.arange(16), 6)
    window = np.indices(grid.shape)[2].ravel() // 2
    for reach, words, joins in (
        ((), "from everywhere", True),
        (apart(grid, grid, 6), "own frame only", False),
        (apart(grid, grid, 2), "group of 3 time steps", True),
        (in_groups(grid, grid, 4), "group of 4 time steps", True),
        (across(grid, 6), "criss-cross", False),
        ((nlviz.Groups(place, place),), "own place only, over time", True),
        ((nlviz.Groups(window, window),), "windows of at most 48 cells", True),
    ):
        columns = np.zeros((1, grid.size), np.float32)
        affinity = nlviz.Affinity("gaussian", columns, columns, grid, grid, reach=reach)
        assert words in reach_in_words(affinity)
        assert joins_frames(reach, grid, grid) == joins
    assert not joins_frames((), nlviz.Grid(1, 4, 4), nlviz.Grid(1, 2, 2))


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("shape", [(6, 10), (3, 4, 6), (12,)])
def test_keys_that_a_function_pools_are_seen_as_pooled(softmax, shape):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 1]
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(shape) - 1]

    class Pools(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta, self.phi, self.g = (conv(6, 4, 1) for _ in range(3))
            self.out = conv(4, 6, 1)

        def forward(self, x):
            few = (1, 2, 2) if x.ndim == 5 else 2
            theta, phi, g = self.theta(x), pool(self.phi(x), few), pool(self.g(x), few)
            logits = theta.flatten(2).transpose(1, 2) @ phi.flatten(2)
            self.weights = logits.softmax(-1) if softmax else logits / logits.shape[-1]
            y = (self.weights @ g.flatten(2).transpose(1, 2)).transpose(1, 2)
            return x + self.out(y.reshape(len(x), 4, *x.shape[2:]))

    module = Pools()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.8)
    affinity = nlviz.capture(module, torch.randn(1, 6, *shape)).affinities["Pools"]
    np.testing.assert_allclose(affinity.matrix(), module.weights[0].detach(), atol=1e-5)
    assert affinity.keys_pooled


@pytest.mark.parametrize("shape", [(2, 1, 8), (2, 2, 4)])
def test_a_block_that_is_not_understood_is_refused_whatever_its_shape(shape):
    module = Block(SLOWFAST, scale=-3.0)
    module.scale = torch.tensor(-3.0)  # a number that it would name would be tried
    x = torch.randn(1, 6, *shape)
    with pytest.raises(nlviz.CaptureError, match="none of the known conventions"):
        nlviz.capture(module.half(), x.half())


def test_a_scale_that_a_block_names_itself_is_tried_too():
    module = Block(SLOWFAST, scale=6**-0.5)  # of the input's width, as in timm
    seen = nlviz.capture(module, torch.randn(1, 6, 3, 4, 6))
    assert seen.affinities["Block"].scale == pytest.approx(6**-0.5)
