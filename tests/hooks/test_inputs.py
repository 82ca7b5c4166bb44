"""Which inputs places are counted from: pictures and clips in every shape that people give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.errors import CaptureError

PATCH, WIDTH = 8, 12


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Patches(nn.Module):
    """Attention over the patches of pictures (elements, channels, rows, columns)."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, WIDTH, PATCH, PATCH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(self.embed(x).flatten(2).transpose(1, 2)).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)


class Taking(Patches):
    """The same, called with what ``pixels`` makes pictures of."""

    def __init__(self, pixels, channels: int = 3) -> None:
        super().__init__(channels)
        self.pixels = pixels

    def forward(self, *args, **kwargs):
        return super().forward(self.pixels(*args, **kwargs))


def bytes_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 255, shape, dtype=torch.uint8)


def normalised(x):
    return (x.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25


WAYS = {
    "bytes, channels last": (normalised, bytes_of(1, 24, 32, 3), 3),
    "bytes, divided at once": (lambda x: x / 255, bytes_of(1, 3, 24, 32), 3),
    "a mapping in a tuple": (
        lambda batch: batch["pixels"],
        ({"pixels": torch.rand(1, 3, 24, 32)},),
        3,
    ),
    "mappings in a list": (
        lambda batch: torch.stack([each["image"] for each in batch]),
        ([{"image": torch.rand(3, 24, 32), "height": 24}],),
        3,
    ),
    "a picture without a batch": (lambda x: x[None], torch.rand(3, 24, 32), 3),
    "a list of pictures": (torch.stack, ([torch.rand(3, 24, 32)],), 3),
    "six channels behind": (lambda x: x.movedim(-1, 1), torch.rand(1, 24, 32, 6), 6),
    "four channels behind": (lambda x: x.movedim(-1, 1), torch.rand(1, 24, 32, 4), 4),
    "a clip of three frames": (lambda x: x.flatten(0, 1)[:1], torch.rand(1, 3, 3, 24, 32), 3),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_one_however_it_is_given(way):
    pixels, given, channels = WAYS[way]
    seen = nlviz.capture(Taking(pixels, channels), given, sample=None)
    (affinity,) = seen.affinities.values()
    grid = affinity.query_grid
    assert (grid.rows, grid.cols) == (3, 4)
    assert grid.stride in (None, (1.0, 8.0, 8.0))


def test_the_pictures_of_a_list_are_the_elements_of_a_batch():
    given = [torch.rand(3, 24, 32), torch.rand(3, 24, 32)]
    module = Taking(torch.stack)
    alone = nlviz.capture(module, (given,), sample=1)
    (affinity,) = alone.affinities.values()
    assert affinity.query_grid.shape == (1, 3, 4)
    together = nlviz.capture(module, (given,), sample=None)
    (both,) = together.affinities.values()
    assert both.query_grid.shape == (2, 3, 4)
    np.testing.assert_allclose(both.theta[:, 12:], affinity.theta, atol=1e-6)


class Beside(Patches):
    """Masks what it looks at, or adds something to it, from a second input."""

    def __init__(self, joining, channels: int = 3) -> None:
        super().__init__(channels)
        self.joining = joining

    def forward(self, x, other):
        return super().forward(self.joining(x, other))


@pytest.mark.parametrize("shape", [(2, 1, 24, 32), (1, 1, 24, 32), (2, 2, 24, 32)])
def test_a_mask_depth_or_flow_lies_on_its_picture(shape):
    other = torch.rand(shape)
    if shape[1] == 1:
        module = Beside(lambda x, mask: x * mask)
    else:
        module = Beside(lambda x, flow: torch.cat([x, flow], 1), 5)
    seen = nlviz.capture(module, (torch.rand(2, 3, 24, 32), other), sample=1)
    (affinity,) = seen.affinities.values()
    assert affinity.query_grid.shape == (1, 3, 4)


def test_a_sum_of_two_pictures_lies_on_both():
    pictures = torch.rand(1, 3, 24, 32), torch.rand(1, 3, 24, 32)
    (affinity,) = nlviz.capture(Beside(torch.add), pictures).affinities.values()
    assert affinity.query_grid.shape == (1, 3, 4)
    assert affinity.query_grid.stride in (None, (2.0, 8.0, 8.0))


class Pair(Patches):
    """Queries of the first picture, keys of the second."""

    def forward(self, x, other):
        q, _, _ = self.qkv(self.embed(x).flatten(2).mT).chunk(3, -1)
        _, k, v = self.qkv(self.embed(other).flatten(2).mT).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)


@pytest.mark.parametrize("sample", [0, 1])
def test_the_sample_of_two_pictures_is_its_element_of_both(sample):
    module, x, other = Pair(), torch.rand(2, 3, 24, 32), torch.rand(2, 3, 24, 32)
    seen = nlviz.capture(module, (x, other), sample=sample)
    (affinity,) = seen.affinities.values()
    (alone,) = nlviz.capture(module, (x[sample, None], other[sample, None])).affinities.values()
    assert affinity.query_grid == alone.query_grid
    assert affinity.query_grid.shape == (2, 3, 4)
    np.testing.assert_allclose(affinity.theta, alone.theta, atol=1e-6)
    np.testing.assert_allclose(affinity.phi, alone.phi, atol=1e-6)
    assert affinity.has_query.tolist() == [[[True] * 4] * 3, [[False] * 4] * 3]


def test_all_elements_of_one_picture_come_before_the_other():
    module, x, other = Pair(), torch.rand(2, 3, 24, 32), torch.rand(2, 3, 24, 32)
    (affinity,) = nlviz.capture(module, (x, other), sample=None).affinities.values()
    assert affinity.query_grid.shape == (4, 3, 4)
    assert affinity.has_query.all((1, 2)).tolist() == [True, True, False, False]
    assert not affinity.has_query[2:].any()


def test_a_smaller_second_picture_lies_in_pixels_of_its_own():
    module = Pair()
    seen = nlviz.capture(module, (torch.rand(1, 3, 32, 64), torch.rand(1, 3, 16, 16)))
    (affinity,) = seen.affinities.values()
    assert affinity.query_grid.shape == affinity.key_grid.shape == (2, 4, 8)
    there = affinity.reached(nlviz.Cell(0, 3, 7))
    assert np.argwhere(there).tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize("shape", [(1, 6, 4, 4), (1, 16, 8, 8)])
def test_matrices_of_cameras_and_small_states_are_no_pictures(shape):
    module = Taking(lambda _, x: x)
    (affinity,) = nlviz.capture(
        module, (torch.rand(shape), torch.rand(1, 3, 24, 32))
    ).affinities.values()
    assert affinity.query_grid.shape == (1, 3, 4)


def test_a_batch_of_fused_pairs_is_no_clip_of_them():
    module = Beside(lambda a, b: torch.cat([a, b], 1), 6)
    pair = torch.rand(4, 3, 24, 32), torch.rand(4, 3, 24, 32)
    (affinity,) = nlviz.capture(module, pair, sample=2).affinities.values()
    assert affinity.query_grid.shape == (1, 3, 4)
    with pytest.raises(CaptureError, match="sums over many places"):
        nlviz.capture(module, pair, sample=None)


@pytest.mark.parametrize("order", [[0, 0, 0, 0], [0, 2, 3, 0]])
def test_the_asked_sample_must_be_looked_at(order):
    module = Taking(lambda x: x[order])
    with pytest.raises(CaptureError, match="looks at no place of sample 1"):
        nlviz.capture(module, torch.rand(4, 3, 24, 32), sample=1)


class Clip(Patches):
    """Frames of clips (elements, frames, channels, rows, columns), one by one."""

    def forward(self, x):
        return super().forward(x.flatten(0, 1))


def test_as_many_frames_as_channels_are_told_by_the_layout_only_where_they_matter():
    x = torch.rand(1, 3, 3, 24, 32)
    seen = nlviz.capture(Clip(), x)
    (affinity,) = seen.affinities.values()
    assert affinity.query_grid.shape == (3, 3, 4)
    turned = Taking(lambda x: x.transpose(1, 2).flatten(0, 1))
    with pytest.raises(CaptureError, match="which of its axes is time"):
        nlviz.capture(turned, x)
    (told,) = nlviz.capture(turned, x, layout="BCTHW").affinities.values()
    assert told.query_grid.shape == (3, 3, 4)


@pytest.mark.parametrize("layout", ["BTHW", "BCTHX", "BBTHW", "BCTHWW"])
def test_a_layout_that_does_not_fit_is_an_error(layout):
    x = torch.rand(1, 3, 3, 24, 32)
    with pytest.raises(CaptureError, match="does not fit an input of 5 axes"):
        nlviz.capture(Clip(), x, layout=layout)


class Shared(Patches):
    """One head of keys for all heads of queries, or learned queries for all elements."""

    def __init__(self, latents: bool) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, 3, 5, 4)) if latents else None

    def forward(self, x):
        q, k, v = self.qkv(self.embed(x).flatten(2).mT).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (3, 4)).transpose(1, 2) for t in (q, k, v))
        if self.latents is not None:
            return F.scaled_dot_product_attention(self.latents, k, v)
        return F.scaled_dot_product_attention(q, k[:, :1], v[:, :1])


@pytest.mark.parametrize("latents", [False, True])
def test_a_fused_call_spreads_what_it_has_one_of(latents):
    module, x = Shared(latents), torch.rand(2, 3, 24, 32)
    (affinity,) = nlviz.capture(module, x, sample=1).affinities.values()
    assert affinity.heads == 3
    assert affinity.key_grid.shape == (1, 3, 4)
    assert affinity.tokens == (tuple(f"latents {i + 1}" for i in range(5)) if latents else ())
    (alone,) = nlviz.capture(module, x[1:]).affinities.values()
    np.testing.assert_allclose(affinity.phi, alone.phi, atol=1e-6)
