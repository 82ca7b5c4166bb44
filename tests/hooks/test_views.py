"""Several pictures, cross attention and object queries: links lie where the modules look."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from tests.support.vision import transformers

P, WIDE = 8, 16  # pixels of a patch, channels


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Attention(nn.Module):
    """Two heads, of cells to themselves or to others; keeps what it weighed."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDE, WIDE) for _ in range(3))
        for part in (self.q, self.k, self.v):
            nn.init.normal_(part.weight, std=0.4)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        other = x if other is None else other
        q, k, v = (
            part(given).unflatten(-1, (2, -1)).transpose(-3, -2)
            for part, given in ((self.q, x), (self.k, other), (self.v, other))
        )
        self.weighed = (q @ k.mT / 8**0.5).softmax(-1)
        return x + F.scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)


class Views(nn.Module):
    """As VGGT: frame attention and global attention by turns, tokens in every frame.

    The first frame has tokens of its own.
    """

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDE, P, P)
        self.camera_token = nn.Parameter(torch.randn(1, 2, 1, WIDE))
        self.register_token = nn.Parameter(torch.randn(1, 2, 4, WIDE))
        self.frames, self.all = (nn.ModuleList(Attention() for _ in range(2)) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        b, s = images.shape[:2]
        cells = self.patches(images.flatten(0, 1)).flatten(2).transpose(1, 2)

        def spread(token: Tensor) -> Tensor:
            first, rest = token[:, :1], token[:, 1:]
            wide = first.expand(b, 1, -1, -1), rest.expand(b, s - 1, -1, -1)
            return torch.cat(wide, dim=1).flatten(0, 1)

        x = torch.cat([spread(self.camera_token), spread(self.register_token), cells], dim=1)
        per = x.shape[1]
        for of_frame, of_all in zip(self.frames, self.all, strict=True):
            x = of_frame(x)
            x = of_all(x.reshape(b, s * per, -1)).reshape(b * s, per, -1)
        return x


def test_frame_and_global_attention_of_views_are_those_of_the_module():
    model, pictures = Views(), torch.randn(1, 3, 3, 32, 48)
    seen = nlviz.capture(model, pictures)
    assert not seen.refused
    assert max(seen.fidelity.values()) < 1e-5
    per = 5 + 24
    for layer in (0, 1):
        of_frame, of_all = seen.affinities[f"frames.{layer}"], seen.affinities[f"all.{layer}"]
        assert of_frame.query_grid.shape == of_all.query_grid.shape == (3, 4, 6)
        names = [f"{name}@{t}" for t in range(3) for name in TOKENS]
        assert list(of_all.tokens) == names
        cell, at = nlviz.Cell(1, 2, 3), 5 + 2 * 6 + 3
        expected = model.all[layer].weighed[0, 1, per + at].detach().reshape(3, per)
        got = of_all.head(1)
        np.testing.assert_allclose(got.row(cell), expected[:, 5:].reshape(3, 4, 6), atol=1e-5)
        np.testing.assert_allclose(got.token_weights(cell), expected[:, :5].flatten(), atol=1e-5)
        assert of_all.joins_frames
        camera = of_all.head(0).row("camera@2")
        own = model.all[layer].weighed[0, 0, 2 * per].detach().reshape(3, per)[:, 5:]
        np.testing.assert_allclose(camera, own.reshape(3, 4, 6), atol=1e-5)
        alone = of_frame.head(1).row(cell)
        of_view = model.frames[layer].weighed[1, 1, at].detach()
        np.testing.assert_allclose(alone[1].ravel(), of_view[5:], atol=1e-5)
        assert not np.delete(alone, 1, axis=0).any()
        assert not of_frame.joins_frames


TOKENS = ("camera", "register 1", "register 2", "register 3", "register 4")


class Pair(nn.Module):
    """As DUSt3R: two pictures, each by itself and then each into the other."""

    def __init__(self):
        super().__init__()
        self.patches, self.own = nn.Conv2d(3, WIDE, P, P), Attention()
        self.first, self.second = Attention(), Attention()

    def forward(self, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (self.own(self.patches(x).flatten(2).transpose(1, 2)) for x in (one, two))
        return self.first(a, b), self.second(b, a)


def test_cross_attention_of_two_views_leads_from_one_picture_into_the_other():
    model = Pair()
    seen = nlviz.capture(model, (torch.randn(1, 3, 32, 48), torch.randn(1, 3, 32, 48)))
    assert not seen.refused
    first, second = seen.affinities["first"], seen.affinities["second"]
    assert first.query_grid.shape == first.key_grid.shape == (2, 4, 6)
    row = first.head(1).row(nlviz.Cell(0, 1, 2))
    np.testing.assert_allclose(row[1].ravel(), model.first.weighed[0, 1, 8].detach(), atol=1e-5)
    assert not row[0].any()
    back = second.column(nlviz.Cell(0, 3, 5))
    expected = model.second.weighed[0, :, :, 23].mean(0).detach()
    np.testing.assert_allclose(back[1].ravel(), expected, atol=1e-5)
    assert not first.has_query[1].any()
    assert not first.has_key[0].any()


class Captions(nn.Module):
    """A picture and words: each looks at the other, then both at all."""

    def __init__(self):
        super().__init__()
        self.patches, self.words = nn.Conv2d(3, WIDE, P, P), nn.Embedding(50, WIDE)
        self.to_words, self.to_cells, self.all = Attention(), Attention(), Attention()

    def forward(self, picture: Tensor, ids: Tensor) -> Tensor:
        cells, words = self.patches(picture).flatten(2).transpose(1, 2), self.words(ids)
        seen, read = self.to_words(cells, words), self.to_cells(words, cells)
        return self.all(torch.cat([read, seen], dim=1))


def test_words_in_a_sequence_are_tokens_and_cells_are_cells():
    model = Captions()
    seen = nlviz.capture(model, (torch.randn(1, 3, 32, 48), torch.tensor([[7, 3, 7]])))
    assert not seen.refused
    cell, names = nlviz.Cell(0, 2, 1), ("words 1", "words 2", "words 3")
    to_words = seen.affinities["to_words"].head(0)
    assert to_words.tokens == names
    expected = model.to_words.weighed[0, 0, 13].detach()
    np.testing.assert_allclose(to_words.token_weights(cell), expected, atol=1e-5)
    assert not to_words.has_key.any()
    to_cells = seen.affinities["to_cells"].named({"words 2": "dog"})
    assert to_cells.tokens == ("words 1", "dog", "words 3")
    expected = model.to_cells.weighed[0, :, 1].mean(0).detach()
    np.testing.assert_allclose(to_cells.row("dog").ravel(), expected, atol=1e-5)
    both = seen.affinities["all"].head(1)
    row = model.all.weighed[0, 1, 3 + 13].detach()
    np.testing.assert_allclose(both.row(cell).ravel(), row[3:], atol=1e-5)
    np.testing.assert_allclose(both.token_weights(cell), row[:3], atol=1e-5)


def test_names_of_tokens_are_given_one_by_one():
    affinity = nlviz.capture(Views(), torch.randn(1, 2, 3, 32, 48)).affinities["all.0"]
    with pytest.raises(nlviz.QueryError, match="Token 'nothing' is not in this block"):
        affinity.named({"nothing": "x"})
    with pytest.raises(nlviz.QueryError, match="the token 'camera@1' twice"):
        affinity.named({"camera@0": "camera@1"})


def detector(queries: int = 5) -> nn.Module:
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage4"],
    )
    config = transformers.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=queries,
        id2label={0: "cat", 1: "dog", 2: "bird"},
        label2id={"cat": 0, "dog": 1, "bird": 2},
    )
    model = transformers.DetrForObjectDetection(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.4)
    return model


def test_object_queries_are_tokens_named_by_what_they_found():
    model, picture = detector(), torch.randn(1, 3, 128, 160)
    seen = nlviz.named_objects(
        nlviz.capture(model, {"pixel_values": picture}), model.config.id2label
    )
    model.set_attn_implementation("eager")
    with torch.no_grad():
        told = model(pixel_values=picture, output_attentions=True)
    scores = told.logits[0].softmax(-1)[:, :-1]
    for layer, weights in enumerate(told.cross_attentions):
        affinity = seen.affinities[f"model.decoder.layers.{layer}.encoder_attn"]
        assert affinity.key_grid.shape == (1, 4, 5)
        assert not affinity.has_query.any()
        for query, name in enumerate(affinity.tokens):
            score, best = scores[query].max(-1)
            label = model.config.id2label[int(best)]
            assert name == f"{label} {float(score):.0%} (query {query + 1})"
            np.testing.assert_allclose(
                affinity.row(name).ravel(), weights[0, :, query].mean(0), atol=1e-5
            )


def test_an_output_without_detections_names_nothing():
    seen = nlviz.capture(Views(), torch.randn(1, 2, 3, 32, 48))
    with pytest.raises(nlviz.CaptureError, match="no logits of object queries"):
        nlviz.named_objects(seen, {0: "cat"})
