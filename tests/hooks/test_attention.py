"""Self-attention: what is captured, fused or not, is what the models say they weigh."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.about import reach_in_words
from nlviz.hooks.attention import masks
from tests.support.plain_block import counted_hooks
from tests.support.vision import timm, torchvision, transformers

HF = {
    "ViT": ((1, 3, 32, 32), {}, (1, 4, 4), 1),
    "Dinov2": ((1, 3, 32, 48), {}, (1, 4, 6), 1),
    "Dinov2WithRegisters": ((1, 3, 32, 32), {}, (1, 4, 4), 5),
    "DINOv3ViT": ((1, 3, 32, 48), {"num_register_tokens": 2}, (1, 4, 6), 3),
    "VideoMAE": ((1, 4, 3, 32, 32), {"num_frames": 4}, (2, 4, 4), 0),
    "Vivit": ((1, 4, 3, 32, 32), {"num_frames": 4, "tubelet_size": [2, 8, 8]}, (2, 4, 4), 1),
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def loud(module: nn.Module) -> nn.Module:
    """Weights large enough for rows that are far from even."""
    for parameter in module.parameters():
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=0.2 if parameter.ndim == 2 else 0.05)
    return module.eval()


def hugging_face(name: str, attention: str, **more):
    config = getattr(transformers, f"{name}Config")(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=16,
        image_size=32,
        **({} if name == "Vivit" else {"patch_size": 8}),
        **more,
    )
    made = getattr(transformers, f"{name}Model")
    return loud(made._from_config(config, attn_implementation=attention))


def tokens_last(weights: Tensor, tokens: int) -> np.ndarray:
    """(…, N, M) with the first tokens moved to the end of both axes."""
    return weights.roll((-tokens, -tokens), (-2, -1)).detach().numpy()


def matches(affinity: nlviz.Affinity, weights: Tensor) -> None:
    """Heads (H, N, M), tokens first, as a model gives them."""
    expected = tokens_last(weights, len(affinity.tokens))
    assert np.ptp(expected, axis=-1).max() > 0.05, "rows that are nearly even test nothing"
    for head, of_head in enumerate(expected):
        np.testing.assert_allclose(affinity.head(head).matrix(), of_head, atol=2e-5)
    np.testing.assert_allclose(affinity.matrix(), expected.mean(0), atol=2e-5)


@pytest.mark.parametrize("name", HF)
def test_hugging_face_models_are_seen_as_their_own_attentions_say(name):
    shape, more, grid, tokens = HF[name]
    fused, x = hugging_face(name, "sdpa", **more), torch.randn(shape)
    plain = hugging_face(name, "eager", **more)
    plain.load_state_dict(fused.state_dict())
    with torch.no_grad():
        expected = plain(x, output_attentions=True).attentions
    for model in (fused, plain):
        seen = nlviz.capture(model, x)
        assert not seen.refused
        assert len(seen.affinities) == 2
        for affinity, weights in zip(seen.affinities.values(), expected, strict=True):
            assert affinity.query_grid.shape == grid
            assert len(affinity.tokens) == tokens
            assert affinity.heads == 3
            matches(affinity, weights[0])
        assert max(seen.fidelity.values()) < 1e-4


def test_divided_attention_is_over_time_at_each_place_and_over_space_in_each_frame():
    x = torch.randn(1, 3, 3, 32, 32)
    model = hugging_face("Timesformer", "eager", num_frames=3)
    over_time = []
    temporal = model.encoder.layer[0].temporal_attention.attention.attn_drop
    temporal.register_forward_hook(lambda m, args, out: over_time.append(out))
    with torch.no_grad():
        over_space = model(x, output_attentions=True).attentions[0]  # (3, H, 17, 17)
    seen = nlviz.capture(model, x)
    time = seen.affinities["encoder.layer.0.temporal_attention.attention"]
    space = seen.affinities["encoder.layer.0.attention.attention"]
    assert time.query_grid.shape == space.query_grid.shape == (3, 4, 4)
    assert time.tokens == ()
    for place in (0, 7, 15):
        row, col = divmod(place, 4)
        got = time.head(1).row(nlviz.Cell(2, row, col))
        np.testing.assert_allclose(got[:, row, col], over_time[0][place, 1, 2], atol=1e-5)
        assert got.sum() == pytest.approx(1, abs=1e-5)
    assert space.tokens == ("class@0", "class@1", "class@2")
    for t in range(3):
        got = space.head(2).row(nlviz.Cell(t, 1, 2))
        np.testing.assert_allclose(got[t].ravel(), over_space[t, 2, 7, 1:], atol=1e-5)
        assert not np.delete(got, t, axis=0).any()
        weights = space.head(2).token_weights(nlviz.Cell(t, 1, 2))
        assert weights[t] == pytest.approx(float(over_space[t, 2, 7, 0]), abs=1e-5)
        of_class = space.head(2).row(f"class@{t}")
        np.testing.assert_allclose(of_class[t].ravel(), over_space[t, 2, 0, 1:], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("vit_tiny_patch16_224", ("class",)),
        ("deit_tiny_distilled_patch16_224", ("class", "distillation")),
        ("vit_small_patch16_dinov3", ("class", *(f"register {i}" for i in (1, 2, 3, 4)))),
    ],
)
def test_timm_models_are_seen_fused_as_they_compute_it_written_out(name, tokens):
    fused, x = loud(timm.create_model(name, img_size=64, depth=2)), 3 * torch.randn(1, 3, 64, 64)
    plain = copy.deepcopy(fused)
    expected = []
    for block in plain.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda m, args, out: expected.append(out))
    with torch.no_grad():
        plain(x)
    assert fused.blocks[0].attn.fused_attn
    seen = nlviz.capture(fused, x)
    assert tuple(seen.affinities) == ("blocks.0.attn", "blocks.1.attn")
    for affinity, weights in zip(seen.affinities.values(), expected, strict=True):
        assert affinity.tokens == tokens
        matches(affinity, weights[0])


def test_norms_of_query_and_key_are_part_of_what_is_seen():
    attention = timm.models.vision_transformer.Attention(
        24, num_heads=3, qk_norm=True, norm_layer=nn.LayerNorm
    ).eval()
    nn.init.normal_(attention.q_norm.weight, mean=2)
    x = torch.randn(1, 10, 24)
    qkv = attention.qkv(x).reshape(1, 10, 3, 3, 8).permute(2, 0, 3, 1, 4)
    q, k = attention.q_norm(qkv[0]), attention.k_norm(qkv[1])
    weights = (q @ k.transpose(-1, -2) / 8**0.5).softmax(-1)
    affinity = nlviz.capture(attention, x).affinities["Attention"]
    matches(affinity, weights[0])


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_multihead_attention_is_seen_as_its_own_weights_say(separate, batch_first):
    widths = {"kdim": 8, "vdim": 8} if separate else {}
    module = loud(nn.MultiheadAttention(12, 3, batch_first=batch_first, **widths))
    x = 3 * torch.randn((2, 7, 12) if batch_first else (7, 2, 12))
    keys = x[..., :8] if separate else x
    for needed in (False, True):
        inputs = {"query": x, "key": keys, "value": keys, "need_weights": needed}
        seen = nlviz.capture(module, inputs, sample=1)
        with torch.no_grad():
            _, weights = module(x, keys, keys, average_attn_weights=False)
        matches(seen.affinities["MultiheadAttention"], weights[1])


def test_the_fast_path_of_an_encoder_layer_is_seen():
    layer = loud(nn.TransformerEncoderLayer(12, 2, 16, batch_first=True))
    x = 2 * torch.randn(1, 6, 12)
    with torch.no_grad():
        _, weights = layer.self_attn(x, x, x, average_attn_weights=False)
        expected = layer(x)
    seen = nlviz.capture(nn.TransformerEncoder(layer, 1), x)
    matches(seen.affinities["layers.0.self_attn"], weights[0])
    torch.testing.assert_close(seen.output, nn.TransformerEncoder(layer, 1).eval()(x))
    torch.testing.assert_close(seen.output, expected, atol=1e-5, rtol=1e-4)


def test_keys_that_are_padded_away_cannot_be_reached():
    module = loud(nn.MultiheadAttention(12, 3, batch_first=True))
    x, padded = torch.randn(1, 7, 12), torch.tensor([[False] * 5 + [True] * 2])
    inputs = {"query": x, "key": x, "value": x, "key_padding_mask": padded}
    affinity = nlviz.capture(module, inputs).affinities["MultiheadAttention"]
    assert affinity.reached(nlviz.Cell(0, 0, 0)).ravel().tolist() == [True] * 5 + [False] * 2
    with torch.no_grad():
        _, weights = module(x, x, x, key_padding_mask=padded, average_attn_weights=False)
    matches(affinity, weights[0])


def test_each_frame_of_an_image_model_is_seen_by_itself():
    model = loud(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1))
    clip = 3 * torch.randn(3, 3, 64, 64)
    together = nlviz.capture(model, clip, sample=None).affinities["blocks.0.attn"]
    assert together.query_grid.shape == (3, 4, 4)
    assert together.tokens == ("class@0", "class@1", "class@2")
    for t in range(3):
        alone = nlviz.capture(model, clip, sample=t).affinities["blocks.0.attn"]
        row = together.row(nlviz.Cell(t, 2, 1))
        np.testing.assert_allclose(row[t], alone.row(nlviz.Cell(0, 2, 1))[0], atol=1e-5)
        assert not np.delete(row, t, axis=0).any()


def test_torchvisions_vision_transformer_is_seen():
    model = loud(torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 16, num_classes=3))
    seen = nlviz.capture(model, 3 * torch.randn(2, 3, 32, 32), sample=1)
    affinity = seen.affinities["encoder.layers.encoder_layer_1.self_attention"]
    assert (affinity.query_grid.shape, affinity.tokens) == ((1, 4, 4), ("class",))
    assert max(seen.fidelity.values()) < 1e-4


def swin(v2: bool = False, dimension: int = 3) -> nn.Module:
    video, image = torchvision.models.video.swin_transformer, torchvision.models.swin_transformer
    sizes = {"patch_size": [2, 4, 4][3 - dimension :], "window_size": [2, 4, 4][3 - dimension :]}
    more = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "num_classes": 3}
    if v2:
        more["block"] = image.SwinTransformerBlockV2
        more["downsample_layer"] = image.PatchMergingV2
    made = video.SwinTransformer3d if dimension == 3 else image.SwinTransformer
    return loud(made(**sizes, **more))


@pytest.mark.parametrize(("v2", "dimension"), [(False, 3), (False, 2), (True, 2)])
def test_windows_lie_where_the_module_puts_them_shifted_or_not(v2, dimension):
    model = swin(v2, dimension)
    x = torch.randn(1, 3, *((8, 64, 32) if dimension == 3 else (64, 32)))
    stage = model.features[0 if dimension == 3 else 1]
    kept = {}
    for number, block in enumerate(stage):
        block.attn.register_forward_hook(
            lambda m, args, out, number=number: kept.update({number: (args[0], out)})
        )
    seen = nlviz.capture(model, x)
    assert not seen.refused
    for number, block in enumerate(stage):
        affinity = next(a for name, a in seen.affinities.items() if name.endswith(f"{number}.attn"))
        given, out = (t[0].flatten(0, -2).detach() for t in kept[number])
        assert affinity.query_grid.size == len(given)
        attn, heads = block.attn, affinity.heads
        value = F.linear(given, attn.qkv.weight, attn.qkv.bias).chunk(3, -1)[2]
        value = value.reshape(-1, heads, value.shape[-1] // heads).transpose(0, 1).detach()
        rows = torch.stack([torch.from_numpy(affinity.head(h).matrix()) for h in range(heads)])
        y = (rows @ value).transpose(0, 1).flatten(1)
        torch.testing.assert_close(attn.proj(y).detach(), out, atol=1e-4, rtol=1e-3)
        reached = affinity.reached(affinity.query_grid.cell(0))
        window = 32 if dimension == 3 else 16
        assert reached.sum() == window if number == 0 else reached.sum() <= window


def test_loud_logits_are_not_taken_for_the_masks_of_shifted_windows():
    model = swin(dimension=2)
    for block in model.features[1]:
        nn.init.normal_(block.attn.qkv.weight, std=1.5)
    seen = nlviz.capture(model, torch.randn(1, 3, 64, 64))
    assert not seen.refused
    shifted = seen.affinities["features.1.1.attn"]
    head = shifted.head(0)
    assert (shifted.scale * head.theta.T @ head.phi).min() < -80
    assert shifted.reached(nlviz.Cell(0, 15, 15)).sum() == 4


def test_joint_attention_that_orders_places_before_time_lies_where_it_looks():
    more = {"num_frames": 3, "attention_type": "joint_space_time"}
    model, x = hugging_face("Timesformer", "eager", **more), torch.randn(1, 3, 3, 32, 32)
    with torch.no_grad():
        weights = model(x, output_attentions=True).attentions[0][0]  # (H, 1 + places × 3, same)
    affinity = next(iter(nlviz.capture(model, x).affinities.values()))
    assert (affinity.query_grid.shape, affinity.tokens) == ((3, 4, 4), ("class",))
    got = affinity.head(1).row(nlviz.Cell(2, 1, 3))  # place 7, frame 2
    expected = weights[1, 1 + 7 * 3 + 2, 1:].reshape(4, 4, 3).permute(2, 0, 1)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_padding_of_windows_that_do_not_divide_the_grid_is_named():
    seen = nlviz.capture(swin(), torch.randn(1, 3, 6, 40, 24))
    affinity = seen.affinities["features.0.0.attn"]  # 3×10×6 cells in windows of 2×4×4
    assert affinity.query_grid.shape == (3, 10, 6)
    assert len(affinity.tokens) == 4 * 12 * 8 - 3 * 10 * 6
    assert affinity.tokens[0] == "padding 1"
    inner, edge = (nlviz.Cell(0, row, col) for row, col in ((0, 0), (9, 5)))
    assert affinity.token_weights(inner).sum() == 0
    assert affinity.token_weights(edge).sum() > 0.1
    assert max(seen.fidelity.values()) < 1e-4


class Written(nn.Module):
    """Attention on the cells of a feature map, as ``how`` writes it."""

    def __init__(self, how, grid=True):
        super().__init__()
        self.how = how
        self.embed = nn.Conv2d(3, 8, 4, 4) if grid else nn.Linear(3, 8)
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in "qkv")

    def forward(self, x):
        x = self.embed(x)
        x = x.flatten(2).transpose(1, 2) if x.ndim == 4 else x
        q, k, v = (
            part(x).unflatten(-1, (2, 4)).transpose(1, 2) for part in (self.q, self.k, self.v)
        )
        return self.how(q, k, v)


def _einsum(q, k, v):
    logits = torch.einsum("bhid,bhjd->bhij", q, k) * 0.7
    return torch.einsum("bhij,bhjd->bhid", logits.softmax(-1), v)


def _added(q, k, v):
    q, k, v = (t.flatten(0, 1) for t in (q, k, v))
    logits = torch.baddbmm(torch.zeros(2, 1, 1), q, k.transpose(1, 2), beta=0, alpha=0.7)
    return torch.bmm(F.softmax(logits, dim=-1), v)[None]


def _biased(q, k, v):
    distance = (torch.arange(q.shape[2])[:, None] - torch.arange(k.shape[2])).abs()
    slopes = torch.tensor([-0.3, 0.2])[:, None, None]
    return torch.softmax(0.7 * q @ k.transpose(-1, -2) + slopes * distance, -1) @ v


@pytest.mark.parametrize("value", [-torch.inf, torch.finfo(torch.float32).min])
def test_a_mask_written_out_forbids_its_links(value):
    def how(q, k, v):
        half = torch.arange(24) < 12
        apart = (half[:, None] != half)[None, None]
        logits = (0.7 * q @ k.transpose(-1, -2)).masked_fill(apart, value)
        return logits.softmax(-1) @ v

    affinity = nlviz.capture(loud(Written(how)), 4 * torch.randn(1, 3, 16, 24)).affinities[
        "Written"
    ]
    assert affinity.reached(nlviz.Cell(0, 0, 0)).ravel().tolist() == [True] * 12 + [False] * 12
    assert affinity.reached(nlviz.Cell(0, 3, 0)).ravel().tolist() == [False] * 12 + [True] * 12
    assert affinity.width == 8


def _cosine(q, k, v):
    factor = torch.tensor([3.0, 7.0])[:, None, None]
    return (factor * F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2)).softmax(
        -1
    ) @ v


def _listed(q, k, v):  # as CvT
    weights = torch.einsum("bhid,bhjd->bhij", [q, k]).softmax(-1)
    return torch.einsum("bhij,bhjd->bhid", [weights, v])


def _turned(q, k, v):  # as BigGAN and EfficientViT-M: v · wᵀ
    weights = (0.7 * q @ k.transpose(-1, -2)).softmax(-1)
    return (v.transpose(-1, -2) @ weights.transpose(-1, -2)).transpose(-1, -2)


def _interrupted(q, k, v):  # as MViT v2, whose bias comes of products too
    logits = 0.7 * q @ k.transpose(-1, -2)
    return (logits + (q @ torch.ones(1, 2, 4, 3)).mean() * 0).softmax(-1) @ v


def _folded(q, k, v):  # as SAM: heads in the batch, in the mask as well
    q, k, v = (t.flatten(0, 1) for t in (q, k, v))
    distance = (torch.arange(24)[:, None] - torch.arange(24)).abs()
    return F.scaled_dot_product_attention(q, k, v, distance.expand(2, 24, 24) * 0.1)[None]


@pytest.mark.parametrize(
    "how",
    [_einsum, _added, _biased, _cosine, _listed, _turned, _interrupted, _folded],
)
def test_attention_is_seen_however_it_is_written(how):
    model, x = loud(Written(how)), 4 * torch.randn(1, 3, 16, 24)
    seen = nlviz.capture(model, x)
    affinity = seen.affinities["Written"]
    assert affinity.query_grid.shape == (1, 4, 6)
    assert affinity.heads == 2
    assert seen.fidelity["Written"] < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_seen_within_its_own_precision(dtype):
    model = loud(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1)).to(dtype)
    seen = nlviz.capture(model, 3 * torch.randn(1, 3, 64, 64).to(dtype))
    assert seen.fidelity["blocks.0.attn"] < 0.05
    for block in model.blocks:
        block.attn.fused_attn = False
    assert nlviz.capture(model, 3 * torch.randn(1, 3, 64, 64).to(dtype)).affinities


def _headed(q, k, v):
    mask = torch.ones(1, 2, 24, 24).bool()
    mask[:, 1, :, 3] = False
    return F.scaled_dot_product_attention(q, k, v, mask)


def _tampered(q, k, v):
    weights = (q @ k.transpose(-1, -2)).softmax(-1)
    return (weights.clamp(max=0.05)) @ v


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (_headed, "heads with masks of their own"),
        (_tampered, "puts out something other than its weights give: relative error"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(how, why):
    model = loud(Written(how))
    with pytest.raises(nlviz.CaptureError, match=why):
        nlviz.capture(model, 4 * torch.randn(1, 3, 16, 24))
    assert counted_hooks(model) == 0


AT = torch.arange(24)
CAUSAL = AT[:, None] >= AT
MASKS = {
    "causal": (CAUSAL, "and those before it in the sequence (causal)"),
    "blocks": (AT[:, None] // 6 >= AT // 6, "causal by blocks, or a prefix"),
    "prefix": (CAUSAL | (AT < 7), "causal by blocks, or a prefix"),
    "window": (CAUSAL & (AT[:, None] - AT < 5), "a sliding window"),
    "global": ((AT[:, None] - AT < 3) & CAUSAL | (AT == 4), "by a mask of the network's own"),
    "nothing for one": (CAUSAL & (AT[:, None] != 9), "(causal)"),
}


def _by_rule(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _fused(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, mask)


def _added(q, k, v, mask):
    low = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    return F.scaled_dot_product_attention(q, k, v, low)


def _eager(q, k, v, mask):
    return (q @ k.mT / 2).masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num(0) @ v


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("how", [_by_rule, _fused, _added, _eager])
def test_masked_rows_are_those_of_the_eager_module(how, name):
    mask, words = MASKS[name]
    if (how is _by_rule and name != "causal") or (how in (_added, _eager) and "nothing" in name):
        pytest.skip("the mask cannot be given that way")
    model, x = loud(Written(lambda q, k, v: how(q, k, v, mask))), 4 * torch.randn(1, 3, 16, 24)
    seen = nlviz.capture(model, x)
    affinity = seen.affinities["Written"]
    cells = model.embed(x).flatten(2).transpose(1, 2)
    q, k = (part(cells).unflatten(-1, (2, 4)).transpose(1, 2) for part in (model.q, model.k))
    expected = (q @ k.mT / 2).masked_fill(~mask, -torch.inf).softmax(-1)[0].nan_to_num(0).detach()
    for head in (0, 1):
        np.testing.assert_allclose(affinity.head(head).matrix(), expected[head], atol=1e-5)
    keys = [affinity.key_grid.cell(j) for j in range(24)]
    columns = affinity.columns(keys).reshape(24, 24).T
    np.testing.assert_allclose(columns, expected.mean(0), atol=1e-5)
    assert seen.fidelity["Written"] < 1e-5
    assert words in reach_in_words(affinity)
    assert affinity.has_query.sum() == mask.any(1).sum()
    assert affinity.reach[0].arrays.keys() == {"bits"} if name == "global" else {"query", "key"}


def test_causal_attention_over_frames_joins_them_and_lies_where_it_looks():
    def how(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    class Clip(Written):
        def forward(self, x):
            cells = self.embed(x[0].transpose(0, 1)).flatten(2).transpose(1, 2).flatten(0, 1)[None]
            parts = (part(cells).unflatten(-1, (2, 4)) for part in (self.q, self.k, self.v))
            q, k, v = (part.transpose(1, 2) for part in parts)
            return how(q, k, v).transpose(1, 2).flatten(2)

    seen = nlviz.capture(loud(Clip(how)), 4 * torch.randn(1, 3, 4, 16, 24))
    (affinity,) = seen.affinities.values()
    assert affinity.query_grid.shape == (4, 4, 6)
    assert affinity.joins_frames
    first, last = (affinity.row(nlviz.Cell(t, 0, 0)) for t in (0, 3))
    assert first[0, 0, 0] == pytest.approx(1, abs=1e-6)
    assert last[:3].all()
    assert not last[3].ravel()[1:].any()


@pytest.mark.parametrize("eager", [False, True])
def test_several_heads_of_queries_share_one_of_keys(eager):
    def how(q, k, v):
        k, v = k[:, :1], v[:, :1]
        if not eager:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        k, v = (each.repeat_interleave(2, dim=1) for each in (k, v))
        return (q @ k.mT / 2).masked_fill(~CAUSAL, -torch.inf).softmax(-1) @ v

    model, x = loud(Written(how)), 4 * torch.randn(1, 3, 16, 24)
    affinity = nlviz.capture(model, x).affinities["Written"]
    cells = model.embed(x).flatten(2).transpose(1, 2)
    q, k = (part(cells).unflatten(-1, (2, 4)).transpose(1, 2) for part in (model.q, model.k))
    expected = (q @ k[:, :1].mT / 2).masked_fill(~CAUSAL, -torch.inf).softmax(-1)[0].detach()
    for head in (0, 1):
        np.testing.assert_allclose(affinity.head(head).matrix(), expected[head], atol=1e-5)


@pytest.mark.parametrize("name", [None, "causal", "global"])
def test_a_sink_takes_weight_as_a_key_without_a_query(name):
    sinks = torch.tensor([0.7, -2.4])
    mask = torch.ones(24, 24, dtype=torch.bool) if name is None else MASKS[name][0]
    low = torch.zeros(24, 24).masked_fill(~mask, torch.finfo(torch.float32).min)

    def with_sinks(q, k):
        logits = q @ k.mT / 2 + low
        both = torch.cat([logits, sinks.reshape(1, 2, 1, 1).expand(*q.shape[:3], 1)], dim=-1)
        return (both - both.amax(-1, keepdim=True)).softmax(-1)

    model = loud(Written(lambda q, k, v: with_sinks(q, k)[..., :-1] @ v))
    x = 4 * torch.randn(1, 3, 16, 24)
    seen = nlviz.capture(model, x)
    affinity = seen.affinities["Written"]
    assert affinity.tokens == ("sink",)
    assert affinity.width == 2 * (4 + 1), "the sink takes one channel of each head"
    cells = model.embed(x).flatten(2).transpose(1, 2)
    q, k = (part(cells).unflatten(-1, (2, 4)).transpose(1, 2) for part in (model.q, model.k))
    expected = with_sinks(q, k)[0].detach()
    assert expected[..., -1].max() > 0.05
    for head in (0, 1):
        whole = affinity.head(head).matrix()
        np.testing.assert_allclose(whole[:-1], expected[head], atol=1e-5)
        assert not whole[-1].any()
    weights = affinity.token_weights(nlviz.Cell(0, 1, 2))
    np.testing.assert_allclose(weights, expected[:, 8, -1].mean()[None], atol=1e-5)
    column = affinity.column(nlviz.Cell(0, 0, 3)).ravel()
    np.testing.assert_allclose(column, expected[:, :, 3].mean(0), atol=1e-5)
    assert seen.fidelity["Written"] < 1e-5


def test_a_mask_without_a_rule_over_too_many_links_is_refused(monkeypatch):
    monkeypatch.setattr(masks, "_MOST_BYTES", 24 * 3 - 1)
    mask = MASKS["global"][0]
    model = loud(Written(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask)))
    with pytest.raises(nlviz.CaptureError, match="mask without a rule over 24 queries and 24 keys"):
        nlviz.capture(model, 4 * torch.randn(1, 3, 16, 24))


def test_queries_of_a_part_of_the_cells_ask_from_there_alone():
    def how(q, k, v):
        return F.scaled_dot_product_attention(q[:, :, 7:10], k, v)

    model = loud(Written(how))
    x = torch.randn(1, 3, 16, 24)
    affinity = nlviz.capture(model, x).affinities["Written"]
    assert affinity.query_grid.shape == affinity.key_grid.shape == (1, 4, 6)
    cells = model.embed(x).flatten(2).transpose(1, 2)
    q, k = (part(cells).unflatten(-1, (2, 4)).transpose(1, 2) for part in (model.q, model.k))
    expected = (q @ k.mT / 2).softmax(-1)[0, :, 8].mean(0).reshape(1, 4, 6).detach()
    np.testing.assert_allclose(affinity.row(nlviz.Cell(0, 1, 2)), expected, atol=1e-6)
    assert not affinity.reached(nlviz.Cell(0, 1, 0)).any()


def test_logits_that_depend_on_more_than_query_and_key_are_refused():
    def talking(q, k, v):  # heads mix their logits
        logits = torch.einsum("bhij,hg->bgij", q @ k.transpose(-1, -2), torch.rand(2, 2))
        return logits.softmax(-1) @ v

    clip = 4 * torch.randn(3, 3, 16, 24)
    with pytest.raises(nlviz.CaptureError, match="logits that depend on more than query, key"):
        nlviz.capture(loud(Written(talking)), clip, sample=None)


def _flex(q, k, v, **more):
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention(q, k, v, **more)


def _empty(q, k, v):
    nothing = F.scaled_dot_product_attention(q, k[:, :, :0], v[:, :, :0])
    return nothing.nan_to_num(0) + F.scaled_dot_product_attention(q, k, v)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_is_seen_and_named_where_it_has_functions_of_its_own():
    x = torch.randn(1, 3, 16, 24)
    model = loud(Written(_flex))
    cells = model.embed(x).flatten(2).transpose(1, 2)
    q, k = (part(cells).unflatten(-1, (2, 4)).transpose(1, 2) for part in (model.q, model.k))
    affinity = nlviz.capture(model, x).affinities["Written"]
    expected = (q @ k.mT / 2).softmax(-1)[0].detach()
    np.testing.assert_allclose(affinity.head(1).matrix(), expected[1], atol=1e-6)
    model.how = lambda q, k, v: _flex(q, k, v, score_mod=lambda score, b, h, i, j: score + i - j)
    with pytest.raises(nlviz.CaptureError, match="by flex attention with a score or mask"):
        nlviz.capture(model, x)


def test_a_memory_without_keys_is_refused_alone():
    seen = nlviz.capture(loud(Written(_empty)), torch.randn(1, 3, 16, 24))
    assert list(seen.affinities) == ["Written#2"]
    assert "no queries or no keys" in seen.refused["Written"]


def test_what_runs_within_vmap_has_no_places_and_is_refused():
    model = Written(lambda q, k, v: torch.vmap(F.scaled_dot_product_attention)(q, k, v))
    with pytest.raises(nlviz.CaptureError, match=r"what torch.func \(vmap\) made of it"):
        nlviz.capture(model, torch.randn(1, 3, 16, 24))


def test_attention_that_runs_twice_is_numbered():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = layer

        def forward(self, x):
            x = self.attention(x, x, x)[0]
            return self.attention(x, x, x)[0]

    seen = nlviz.capture(Twice(), torch.randn(1, 5, 8))
    assert tuple(seen.affinities) == ("attention", "attention#2")
    assert set(seen.kinds.values()) == {"self-attention"}


def test_patches_that_a_linear_layer_makes_lie_where_they_were_cut_out():
    class Patches(Written):
        def forward(self, x):
            patches = F.unfold(x, 4, stride=4).transpose(1, 2)[..., :3]
            return super().forward(patches)

    model = loud(Patches(F.scaled_dot_product_attention, grid=False))
    seen = nlviz.capture(model, torch.randn(1, 3, 16, 24))
    assert seen.affinities["Patches"].query_grid.shape == (1, 4, 6)


class Overwritten(nn.Module):
    """Channels come first, and what was asked with is written over afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(3, 8, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.query(x).flatten(2), self.key(x).flatten(2)
        y = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, k)))
        self.asked = q.clone(), k.clone()
        q.zero_(), k.zero_()
        return y


def test_what_a_module_writes_over_afterwards_changes_no_capture():
    module = loud(Overwritten())
    (affinity,) = nlviz.capture(module, torch.rand(1, 3, 16, 16)).affinities.values()
    for held, given in zip((affinity.theta, affinity.phi), module.asked, strict=True):
        np.testing.assert_array_equal(held, given[0])
