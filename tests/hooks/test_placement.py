"""Where cells lie: what changes in one place of the input changes the queries and keys there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.hooks.places.layout import token_name
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support import make
from tests.support.vision import timm, torchvision, transformers


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def hugging_face(name: str, **more):
    config = getattr(transformers, f"{name}Config")(**more)
    return getattr(transformers, f"{name}Model")(config).eval()


def mvit():
    """TorchVision's MViT, small: heads double and queries are pooled between its stages."""
    made = torchvision.models.video.mvit
    plan = [
        made.MSBlockConfig(heads, width, 2 * heads * 4, *strides)
        for heads, width, *strides in (
            (1, 8, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 4, 4]),
            (2, 8, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 2, 2]),
            (4, 16, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1]),
            (4, 32, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 1, 1]),
        )
    ]
    more = dict.fromkeys(
        ("residual_pool", "residual_with_cls_embed", "rel_pos_embed", "proj_after_attn"), False
    )
    return made.MViT((64, 64), 8, plan, num_classes=3, **more)


NETWORKS = {
    "timm MViT": (
        lambda: timm.create_model("mvitv2_tiny", img_size=128),
        (1, 3, 128, 128),
    ),
    "Hiera, in the order of its unrolling": (
        lambda: timm.models.hiera.Hiera((64, 64), embed_dim=16, num_heads=1, stages=(1, 2, 1, 1)),
        (1, 3, 64, 64),
    ),
    "Twins, in windows and pooled": (
        lambda: timm.models.twins.Twins(
            img_size=64,
            embed_dims=(16, 16, 32, 32),
            num_heads=(1, 1, 2, 2),
            mlp_ratios=(1, 1, 1, 1),
            depths=(2, 2, 1, 1),
            sr_ratios=(4, 2, 1, 1),
            wss=(4, 4, 2, 2),
        ),
        (1, 3, 64, 64),
    ),
    "MaxViT, in windows and on grids": (
        lambda: timm.create_model("maxvit_pico_rw_256", img_size=128),
        (1, 3, 128, 128),
    ),
    "SAM's encoder, its windows padded": (
        lambda: timm.create_model(
            "samvit_base_patch16",
            img_size=320,
            depth=2,
            embed_dim=48,
            num_heads=2,
            global_attn_indexes=(1,),
        ),
        (1, 3, 320, 320),
    ),
    "TorchVision MViT": (mvit, (1, 3, 8, 64, 64)),
    "TorchVision Swin, frame by frame": (
        lambda: torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [2, 3], [4, 4]),
        (3, 3, 64, 32),
    ),
    "Hugging Face Swin, frame by frame": (
        lambda: hugging_face(
            "Swin",
            image_size=64,
            embed_dim=12,
            depths=[2, 2],
            num_heads=[2, 3],
            window_size=4,
        ),
        (3, 3, 64, 64),
    ),
    "CvT": (
        lambda: hugging_face("Cvt", embed_dim=[8, 12, 24], num_heads=[1, 1, 2], depth=[1, 2, 3]),
        (1, 3, 128, 128),
    ),
    "CLIP": (
        lambda: transformers.CLIPVisionModel(
            transformers.CLIPVisionConfig(
                hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=64
            )
        ),
        (1, 3, 64, 64),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_change_of_the_input_changes_the_cells_of_its_place_most(name):
    make, shape = NETWORKS[name]
    model, x = make().eval(), torch.randn(shape)
    for path, part in model.named_modules():  # attention's own mixing would blur the place
        if path.endswith(("attn.proj", "attn.project.0", "output.dense", "out_proj", "o_proj")):
            nn.init.zeros_(part.weight)
    seen = nlviz.capture(model, x, sample=None)
    assert not seen.refused
    assert len(seen.affinities) >= 2
    *_, height, width = shape
    frames = shape[2] if len(shape) == 5 else shape[0]
    frame, y, x0 = frames - 1, height * 5 // 8, width // 8
    changed = x.clone()
    part = changed[0, :, frame] if len(shape) == 5 else changed[frame]
    part[:, y : y + height // 8, x0 : x0 + width // 8] += 4
    after = nlviz.capture(model, changed, sample=None)
    for block, affinity in seen.affinities.items():
        other = after.affinities[block]
        for columns, moved, grid in (
            (affinity.theta, other.theta, affinity.query_grid),
            (affinity.phi, other.phi, affinity.key_grid),
        ):
            change = np.linalg.norm(moved - columns, axis=0)[: grid.size] ** 2
            where = np.indices(grid.shape).reshape(3, -1) + 0.5
            centre = where @ change / change.sum() / grid.shape
            off = np.abs(centre - ((frame + 0.5) / frames, 11 / 16, 3 / 16)) * grid.shape
            assert off.max() < 1, f"{block}: changed at {centre} of {grid}"


def test_the_non_local_and_context_blocks_of_timm_are_seen():
    block = timm.layers.NonLocalAttn(32).eval()
    nn.init.ones_(block.norm.weight)
    x = torch.randn(1, 32, 6, 8)
    weights = block.t(x).flatten(2).transpose(1, 2) @ block.p(x).flatten(2) * block.scale
    seen = nlviz.capture(block, x)
    matrix = seen.affinities["NonLocalAttn"].matrix()
    np.testing.assert_allclose(matrix, weights.softmax(-1)[0].detach(), atol=1e-6)
    context = timm.layers.GlobalContext(32).eval()
    row = nlviz.capture(context, x).affinities["GlobalContext"].row(nlviz.Cell(0, 2, 2))
    expected = context.conv_attn(x).flatten().softmax(0).reshape(row.shape)
    np.testing.assert_allclose(row, expected.detach(), atol=1e-6)


def test_learned_vectors_behind_the_patches_are_tokens_of_their_parameters_name():
    class Extra(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 8, 8)
            self.message = nn.Parameter(torch.randn(1, 2, 8))

        def forward(self, x):
            cells = self.embed(x).flatten(2).transpose(1, 2)
            slots = torch.cat([cells, self.message], 1)[:, None]
            return F.scaled_dot_product_attention(slots, slots, slots)

    affinity = nlviz.capture(Extra(), torch.randn(1, 3, 32, 32)).affinities["Extra"]
    assert (affinity.query_grid.shape, affinity.tokens) == ((1, 4, 4), ("message 1", "message 2"))


class Slots(nn.Module):
    """Attention over what ``made`` makes of 4×4 patches."""

    def __init__(self, made):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 8, 8)
        self.mix = nn.Linear(16, 16)
        self.codes = nn.Parameter(torch.randn(32, 8))
        self.mask_token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 16, 8))
        self.made = made

    def forward(self, x):
        slots = self.made(self, self.embed(x).flatten(2).transpose(1, 2))[:, None]
        return F.scaled_dot_product_attention(slots, slots, slots)


def test_a_class_token_that_asks_alone_is_the_one_among_the_keys():
    class Asking(Slots):
        def forward(self, x):
            cells = self.embed(x).flatten(2).mT
            token = self.mask_token.expand(len(cells), -1, -1)
            keys = torch.cat([token, cells], 1)
            return F.scaled_dot_product_attention(token, keys, keys)

    x = torch.randn(2, 3, 32, 32)
    (affinity,) = nlviz.capture(Asking(None), x, sample=None).affinities.values()
    assert affinity.tokens == ("mask@0", "mask@1")
    assert affinity.theta[:, -2:].any(0).all()
    assert affinity.phi[:, -2:].any(0).all()
    (alone,) = nlviz.capture(Asking(None), x[:1]).affinities.values()
    assert alone.tokens == ("mask",)


def test_a_gate_of_another_frames_mean_moves_no_place():
    def gated(module, cells):
        return cells * cells[:1].mean(1, keepdim=True).sigmoid()

    x = torch.randn(2, 3, 32, 32)
    (affinity,) = nlviz.capture(Slots(gated), x, sample=None).affinities.values()
    assert affinity.query_grid.shape == (2, 4, 4)


def test_a_mean_beside_the_cells_is_no_cell():
    module = Slots(lambda _, cells: torch.cat([cells.mean(1, keepdim=True), cells], 1))
    affinity = nlviz.capture(module, torch.randn(1, 3, 32, 32)).affinities["Slots"]
    assert (affinity.query_grid.shape, affinity.tokens) == ((1, 4, 4), ("mixture",))


def test_one_vector_at_all_masked_positions_is_one_token_for_each():
    def decoded(module, cells):  # as MAE's decoder puts the kept patches back
        kept, masks = cells[:, [9, 2, 5]], module.mask_token.expand(1, 13, -1)
        order = torch.cat([torch.tensor([9, 2, 5]), torch.tensor([*{*range(16)} - {9, 2, 5}])])
        return torch.cat([kept, masks], 1)[:, order.argsort()] + module.positions

    (affinity,) = nlviz.capture(Slots(decoded), torch.randn(1, 3, 32, 32)).affinities.values()
    assert affinity.tokens == tuple(f"mask {i + 1}" for i in range(13))
    assert np.argwhere(affinity.has_query.ravel())[:, 0].tolist() == [2, 5, 9]


def test_a_learned_vector_behind_each_row_is_a_token_of_each():
    def rows(module, cells):
        map_ = cells.unflatten(1, (4, 4))
        return torch.cat([map_, module.mask_token[:, None].expand(1, 4, 1, 8)], 2).flatten(1, 2)

    (affinity,) = nlviz.capture(Slots(rows), torch.randn(1, 3, 32, 32)).affinities.values()
    assert affinity.tokens == ("mask 1", "mask 2", "mask 3", "mask 4")
    assert affinity.has_query.all()


def test_a_list_of_no_registers_is_nothing():
    module = Slots(lambda module, cells: torch.cat([module.positions[:, :0], cells], 1))
    (affinity,) = nlviz.capture(module, torch.randn(1, 3, 32, 32)).affinities.values()
    assert (affinity.query_grid.shape, affinity.tokens) == ((1, 4, 4), ())


class Frames(nn.Module):
    """Space within frames, then time over what stands for each, as ViViT's factorised encoder."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, 8, (2, 8, 8), (2, 8, 8))
        self.space_token = nn.Parameter(torch.randn(1, classes, 8))
        self.time_token = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x):
        cells = self.embed(x).flatten(3).permute(0, 2, 3, 1).flatten(0, 1)
        slots = torch.cat([self.space_token.expand(len(cells), -1, -1), cells], 1)
        slots = slots + F.scaled_dot_product_attention(slots, slots, slots)
        frames = slots[:, : self.space_token.shape[1]].reshape(len(x), -1, 8)
        frames = torch.cat([self.time_token.expand(len(x), -1, -1), frames], 1)
        return F.scaled_dot_product_attention(frames, frames, frames)


def test_a_class_token_of_each_frame_stands_for_its_frame_among_themselves():
    seen = nlviz.capture(Frames(1), torch.randn(1, 3, 8, 16, 24))
    space, time = seen.affinities.values()
    assert (space.query_grid.shape, time.query_grid.shape) == ((4, 2, 3), (4, 1, 1))
    assert space.tokens == ("space@0", "space@1", "space@2", "space@3")
    assert time.tokens == ("time",)
    assert time.row(nlviz.Cell(2, 0, 0)).shape == (4, 1, 1)


def test_several_tokens_of_each_frame_are_no_frames():
    seen = nlviz.capture(Frames(2), torch.randn(1, 3, 8, 16, 24))
    assert len(seen.affinities) == 1
    (why,) = seen.refused.values()
    assert "has more than one query for a place" in why


NO_GRID = {
    "sums over all places": (
        lambda module, cells: module.mix(cells.transpose(1, 2)).transpose(1, 2),
        "sums, each of which stands for all places",
    ),
    "places twice": (
        lambda _, cells: torch.cat([cells, cells], 1),
        "more than one query for a place",
    ),
    "two scales": (
        lambda _, cells: torch.cat(
            [cells, F.avg_pool1d(cells.mT, 2).mT],
            1,
        ),
        "cells of several sizes",
    ),
    "two scales, the places of one among those of the other": (
        lambda _, cells: torch.cat(
            [cells, F.avg_pool2d(cells.mT.unflatten(2, (4, 4)), 3, 2, 1).flatten(2).mT],
            1,
        ),
        "cells of several sizes",
    ),
    "the nearest of learned vectors": (
        lambda module, cells: F.embedding(
            torch.cdist(cells, module.codes[None]).argmin(-1), module.codes
        ),
        r"they are learned vectors \(codes\)",
    ),
    "what a memory was written over": (
        lambda _, cells: cells.clone().copy_(torch.arange(128.0).view(1, 16, 8).sin()),
        "they are constants",
    ),
    "what ToMe merges": (
        lambda _, cells: cells[:, :8].scatter_reduce(
            1, torch.randint(8, (1, 8, 8)), cells[:, 8:], "mean"
        ),
        "cannot follow 'scatter_reduce'",
    ),
    "channels": (lambda _, cells: cells.mT, "they are channels, or sums"),
}


@pytest.mark.parametrize("what", NO_GRID)
def test_slots_that_make_no_grid_are_refused(what):
    made, why = NO_GRID[what]
    with pytest.raises(nlviz.CaptureError, match=why):
        nlviz.capture(Slots(made), torch.randn(1, 3, 32, 32))


def test_the_one_learned_query_of_an_attention_pool_is_a_token():
    config = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3}
    pooled = hugging_face("SiglipVision", image_size=32, patch_size=8, **config)
    seen = nlviz.capture(pooled, torch.randn(1, 3, 32, 32))
    assert not seen.refused
    affinity = seen.affinities["head.attention"]
    assert affinity.tokens == ("probe",)
    assert affinity.row("probe").shape == (1, 4, 4)
    assert affinity.row("probe").sum() == pytest.approx(1, abs=1e-5)
    assert not affinity.reached(nlviz.Cell(0, 1, 1)).any()  # no cell asks there
    assert not affinity.has_query.any()
    network = nlviz.UserNetwork(pooled, nlviz.Input(size=32))
    analysis = nlviz.analyse(make.clip(1, 32, 32), network)
    assert analysis.blocks[-1] == "head.attention"
    assert analysis.default_block == analysis.blocks[-2]


def test_a_predictors_mask_tokens_stand_beside_the_cells():
    config = {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 1}
    config |= {f"pred_{name}": size for name, size in config.items()}
    model = hugging_face("VJEPA2", crop_size=32, patch_size=8, frames_per_clip=8, **config)
    seen = nlviz.capture(model, torch.randn(1, 8, 3, 32, 32))
    assert not seen.refused
    assert [a.query_grid.shape for a in seen.affinities.values()] == [(4, 4, 4)] * 2
    predictor = seen.affinities["predictor.layer.0.attention"]
    assert predictor.tokens == tuple(f"mask {i + 1}" for i in range(64))


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("v.cls_token", "class"),
        ("class_embedding", "class"),
        ("reg_token", "register"),
        ("dist_token", "distillation"),
        ("camera_token", "camera"),
        ("query_embed.weight", "query"),
        ("latents", "latents"),
    ],
)
def test_a_token_is_known_by_its_parameters_name(parameter, name):
    assert token_name(parameter) == name


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_a_network_without_attention_is_told_what_was_looked_for(name):
    model = getattr(torchvision.models.video, name)(weights=None)
    with pytest.raises(nlviz.CaptureError, match="no self-attention was seen: none of its"):
        nlviz.capture(model, torch.randn(1, 3, 4, 16, 16))


class Turned(nn.Module):
    """A block on a mirrored picture, or on one of which the places are lost."""

    def __init__(self, block, turn):
        super().__init__()
        self.embed, self.block, self.turn = nn.Conv2d(3, 8, 8, 8), block, turn

    def forward(self, x):
        return self.block(self.turn(self.embed(x)))


def changed_most(module, x, row, col, **more):
    """The query cell of the only block that changes most where a patch of 8 pixels is changed."""
    before, y = nlviz.capture(module, x, **more), x.clone()
    y[..., 8 * row : 8 * row + 8, 8 * col : 8 * col + 8] += 4
    after = nlviz.capture(module, y, **more)
    (block,) = before.affinities
    a, b = before.affinities[block], after.affinities[block]
    change = np.linalg.norm(a.theta - b.theta, axis=0)
    cell = a.query_grid.cell(int(change.argmax()))
    return cell.row, cell.col


@pytest.mark.parametrize("kind", ["non-local", "context"])
def test_a_block_on_a_mirrored_picture_lies_where_it_looks_or_is_refused(kind):
    block = NonLocalBlock(8, dimension=2) if kind == "non-local" else Context(8)
    for weight in block.parameters():
        nn.init.normal_(weight)
    x = torch.randn(1, 3, 32, 48)
    mirrored = Turned(block.eval(), lambda x: x.flip(-1)).eval()
    if kind == "non-local":
        assert changed_most(mirrored, x, 1, 4) == (1, 4)
        network = nlviz.UserNetwork(mirrored, nlviz.Input(size=(48, 32)))
        analysis = nlviz.analyse(make.clip(1, 48, 32), network)
        assert "put back where they look" in analysis.about("block").places
        assert "block" not in nlviz.with_sizes(analysis, network).sizes
        # The shuffled twin would lie in the block's own order.
        with pytest.raises(nlviz.CaptureError, match="in another order than the picture"):
            nlviz.baseline(analysis, network, "block", "shuffled")
    else:
        affinity = nlviz.capture(mirrored, x).affinities["block"]
        logits = block.conv_mask(mirrored.embed(x)).flatten().softmax(0).detach()
        np.testing.assert_allclose(affinity.row(nlviz.Cell(0, 0, 0)).ravel(), logits, atol=1e-6)
    lost = Turned(block, lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real).eval()
    with pytest.raises(nlviz.CaptureError, match="lost on the way: nlviz cannot follow 'fft_"):
        nlviz.capture(lost, x)


class Context(nn.Module):
    """GCNet's block, adding."""

    def __init__(self, width):
        super().__init__()
        self.conv_mask, self.channel_add_conv = nn.Conv2d(width, 1, 1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        weights = self.conv_mask(x).flatten(2).softmax(2)
        context = (x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(-1)
        return x + self.channel_add_conv(context)


def test_frames_are_told_from_channels_where_a_head_comes_first():
    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.embed = nn.Conv2d(64, 4, 1), nn.Conv2d(3, 16, 8, 8)

        def forward(self, x):
            slots = self.embed(x.flatten(0, 1)).flatten(2).transpose(1, 2)[:, None]
            return F.scaled_dot_product_attention(slots, slots, slots)

    affinity = nlviz.capture(Clip(), torch.randn(1, 8, 3, 32, 32), sample=None).affinities["Clip"]
    assert (affinity.query_grid.shape, affinity.heads) == ((8, 4, 4), 1)


def test_a_batch_in_another_order_is_no_sample():
    block = NonLocalBlock(8, dimension=2)
    for weight in block.parameters():
        nn.init.normal_(weight)
    module = Turned(block, lambda x: x.flip(0)).eval()
    with pytest.raises(nlviz.CaptureError, match="a batch in another order"):
        nlviz.capture(module, torch.randn(2, 3, 32, 32), sample=1)


class WindowsAndPool(nn.Module):
    """Windows with registers of their own in each, then two learned queries for each picture."""

    def __init__(self, side: int):
        super().__init__()
        self.side, self.embed = side, nn.Conv2d(3, 8, 4, 4)
        self.registers = nn.Parameter(torch.randn(1, 2, 8))
        self.probe = nn.Parameter(torch.randn(1, 2, 8))
        self.windows, self.pool = (nn.MultiheadAttention(8, 1, batch_first=True) for _ in "ab")

    def forward(self, x):
        x = self.embed(x)
        (count, _, rows, cols), side = x.shape, self.side
        x = x.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 3, 5, 1)
        x = x.reshape(-1, side * side, 8)
        x = torch.cat([self.registers.expand(len(x), -1, -1), x], 1)
        x = self.windows(x, x, x)[0][:, 2:]
        x = x.unflatten(1, (side, side)).unflatten(0, (count, rows // side, cols // side))
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(count, rows * cols, 8)
        return self.pool(self.probe.expand(count, -1, -1), x, x)[0]


@pytest.mark.parametrize(
    ("frames", "side", "registers", "probes"),
    [
        (1, 2, "1#1 2#1 1#2 2#2 1#3 2#3 1#4 2#4", "1 2"),
        (2, 4, "1@0 2@0 1@1 2@1", "1@0 2@0 1@1 2@1"),
        (
            2,
            2,
            "1@0#1 2@0#1 1@0#2 2@0#2 1@0#3 2@0#3 1@0#4 2@0#4 "
            "1@1#1 2@1#1 1@1#2 2@1#2 1@1#3 2@1#3 1@1#4 2@1#4",
            "1@0 2@0 1@1 2@1",
        ),
    ],
)
def test_tokens_are_named_by_their_frame_and_their_window(frames, side, registers, probes):
    network = nlviz.UserNetwork(WindowsAndPool(side), nlviz.Input(size=16, multiple=4))
    analysis = nlviz.analyse(make.clip(frames, 16, 16), network)
    assert not analysis.refused
    windows, pool = (analysis.affinity(name) for name in ("windows", "pool"))
    assert windows.tokens == tuple(f"register {each}" for each in registers.split())
    assert pool.tokens == tuple(f"probe {each}" for each in probes.split())
    for t in range(frames):  # a pool's token asks the frame that it is named by
        token = "probe 2" if frames == 1 else f"probe 2@{t}"
        at = pool.row(token).sum(axis=(1, 2))
        assert at[t] == pytest.approx(1, abs=1e-5)
        # and a window's register the window whose number it has, by rows
        names = [name for name in windows.tokens if name.startswith("register 2")]
        of_frame = names[t * len(names) // frames : (t + 1) * len(names) // frames]
        for number, name in enumerate(of_frame):
            inside = windows.row(name)[t] > 0
            corner = np.argwhere(inside)[0] // side
            assert inside.sum() == side**2
            assert corner[0] * (4 // side) + corner[1] == number
