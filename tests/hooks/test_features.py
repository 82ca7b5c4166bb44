"""Any layer's features: the cosines of what it puts out, where it looks, or a reason why not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.about import SIMILARITY
from nlviz.experiments.ablation import effects
from tests.support import make
from tests.support.plain_block import counted_hooks


class Plain(nn.Module):
    """A network of pictures without any block or attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 4, stride=4)
        self.deep = nn.Sequential(nn.ReLU(), nn.Conv2d(5, 7, 3, stride=2, padding=1))
        self.idle = nn.Linear(7, 7)
        self.head = nn.Linear(7, 2)

    def forward(self, x):
        return self.head(self.deep(self.stem(x)).mean((2, 3)))


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain().eval()


def slow_cosines(maps: torch.Tensor) -> np.ndarray:
    """(N, N) cosines of the vectors of maps (elements, channels, rows, columns), one by one."""
    vectors = [
        maps[t, :, y, x].double().numpy()
        for t in range(maps.shape[0])
        for y in range(maps.shape[2])
        for x in range(maps.shape[3])
    ]
    return np.array([[a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)) for b in vectors] for a in vectors])


class FrameByFrame(Plain):
    """The same for a clip: one frame of (1, 3, T, H, W) after the other, as our own networks do."""

    def forward(self, x):
        return torch.stack([super(FrameByFrame, self).forward(f) for f in x.unbind(2)]).mean(0)


def test_a_layer_that_is_called_for_each_frame_is_one_map_of_all():
    torch.manual_seed(0)
    module = FrameByFrame().eval()
    x = torch.rand(1, 3, 4, 32, 48)
    seen = nlviz.capture(module, x, features=["deep"])
    (name,) = seen.affinities
    deep = seen.affinities[name]
    assert (name, deep.query_grid.shape, deep.reach) == ("deep (similarity)", (4, 4, 6), ())
    with torch.no_grad():
        expected = slow_cosines(module.deep(module.stem(x[0].transpose(0, 1))))
    np.testing.assert_allclose(deep.matrix(), expected, atol=1e-5)


def test_the_similarity_of_a_convolution_is_its_cosines_computed_one_by_one(plain):
    x = torch.rand(2, 3, 32, 48)
    seen = nlviz.capture(plain, x, sample=None, features=["deep", "stem"])
    with torch.no_grad():
        expected = slow_cosines(plain.deep(plain.stem(x)))
    assert list(seen.affinities) == ["stem (similarity)", "deep (similarity)"]
    deep = seen.affinities["deep (similarity)"]
    assert deep.query_grid.shape == (2, 4, 6)
    np.testing.assert_allclose(deep.matrix(), expected, atol=1e-5)
    assert seen.kinds["deep (similarity)"] == SIMILARITY
    assert seen.fidelity["deep (similarity)"] is None
    assert counted_hooks(plain) == 0


def test_the_same_vectors_are_read_from_a_map_and_from_a_sequence():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 5, 8, stride=8)
            self.map, self.sequence, self.turned = nn.Identity(), nn.Identity(), nn.Identity()
            self.token = nn.Parameter(torch.rand(1, 1, 5))

        def forward(self, x):
            x = self.map(self.stem(x))
            cells = x.flatten(2).mT
            x = self.sequence(torch.cat([self.token.expand(len(x), 1, 5), cells], 1))
            return self.turned(x.transpose(0, 1))

    torch.manual_seed(0)
    layers = ["map", "sequence", "turned"]
    seen = nlviz.capture(Both(), torch.rand(2, 3, 24, 32), sample=None, features=layers)
    one, two, three = (seen.affinities[f"{layer} (similarity)"] for layer in layers)
    assert one.query_grid == two.query_grid == three.query_grid
    assert not two.tokens
    np.testing.assert_array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(one.theta, three.theta)


def test_one_sample_of_a_batch_has_its_own_vectors_alone(plain):
    x = torch.rand(3, 3, 32, 48)
    whole = nlviz.capture(plain, x, sample=1, features=["stem"]).affinities["stem (similarity)"]
    alone = nlviz.capture(plain, x[1:2], features=["stem"]).affinities["stem (similarity)"]
    np.testing.assert_allclose(whole.theta, alone.theta, atol=1e-6)


def test_a_layer_that_mirrors_the_picture_is_drawn_where_it_looks(plain):
    class Mirrored(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = plain.stem

        def forward(self, x):
            return self.body(x.flip(-1))

    x = torch.rand(1, 3, 16, 24)
    mirrored = nlviz.capture(Mirrored(), x, features=["body"]).affinities["body (similarity)"]
    with torch.no_grad():
        put_out = plain.stem(x.flip(-1)).flip(-1)
    np.testing.assert_allclose(mirrored.matrix(), slow_cosines(put_out), atol=1e-5)


def test_a_layer_whose_places_are_lost_is_refused_and_says_why(plain):
    class Lost(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.after = plain.stem, nn.Identity()

        def forward(self, x):
            x = self.stem(x)
            return self.after(torch.from_numpy(x.numpy()[..., ::-1].copy()))

    seen = nlviz.capture(Lost(), torch.rand(1, 3, 16, 24), features=["after", "stem"])
    assert list(seen.affinities) == ["stem (similarity)"]
    assert "places are lost" in seen.refused["after (similarity)"]


def test_a_path_that_names_nothing_is_told_the_nearest_ones(plain):
    with pytest.raises(nlviz.CaptureError, match=r"'dep\.1' does not exist in Plain.*deep\.1"):
        nlviz.capture(plain, torch.rand(1, 3, 16, 24), features=["dep.1"])


def test_layers_that_are_no_map_are_refused_in_one_sentence_each(plain):
    x = torch.rand(1, 3, 16, 24)
    seen = nlviz.capture(plain, x, features=["stem", "idle"])
    assert seen.refused["idle (similarity)"] == "Layer 'idle' did not run in this forward pass."

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.sums, self.stem = nn.Identity(), plain.stem

        def forward(self, x):
            self.stem(x)
            return self.sums(x.mean((0, 2, 3))[None])

    seen = nlviz.capture(Whole(), torch.rand(2, 3, 16, 24), sample=None, features=["sums", "stem"])
    why = "Layer 'sums' has one vector for the whole clip, which is no map of several places."
    assert seen.refused["sums (similarity)"] == why


def test_each_call_of_a_layer_is_a_block_of_its_own(plain):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = plain.stem

        def forward(self, x):
            return self.stem(x) + self.stem(-x)

    x = torch.rand(1, 3, 16, 24)
    seen = nlviz.capture(Twice(), x, features=["stem"])
    assert list(seen.affinities) == ["stem (similarity)", "stem#2 (similarity)"]
    second = nlviz.capture(Twice(), x, features=["stem#2"]).affinities["stem#2 (similarity)"]
    with torch.no_grad():
        np.testing.assert_allclose(second.matrix(), slow_cosines(plain.stem(-x)), atol=1e-5)


def test_numbers_that_are_not_finite_are_refused(plain):
    with torch.no_grad():
        plain.stem.bias[0] = torch.nan
    with pytest.raises(nlviz.CaptureError, match="not finite, at 24 of its places"):
        nlviz.capture(plain, torch.rand(1, 3, 16, 24), features=["stem"])


def test_similarity_stands_behind_the_blocks_and_on_their_places():
    network = make.network()
    analysis = nlviz.analyse(make.clip(), network, features=["stem", "second"])
    blocks = ("first", "second", "stem (similarity)", "second (similarity)")
    assert analysis.blocks == blocks
    assert analysis.network_blocks == blocks[:2]
    assert analysis.default_block == "second (similarity)"
    grid = analysis.affinity("second").query_grid
    assert analysis.affinity("second (similarity)").query_grid == grid
    about = analysis.about("stem (similarity)")
    assert about.kind == SIMILARITY == "similarity, not a weight of the network"
    assert (about.function, about.fidelity) == ("cosine of features", None)
    links = nlviz.top_links(analysis, nlviz.Query(nlviz.Point(0, 20, 20), blocks[2], k=3))
    assert len(links) == 3
    assert 1 >= links[0].weight >= links[2].weight


def test_what_changes_a_block_leaves_similarity_alone():
    network = make.network()
    analysis = nlviz.analyse(make.clip(2), network, features=["stem"])
    assert [each.block for each in effects(analysis, network)] == ["first", "second"]
    with pytest.raises(nlviz.CaptureError, match="not a weight of the network"):
        nlviz.baseline(analysis, network, "stem (similarity)", "cosine")
