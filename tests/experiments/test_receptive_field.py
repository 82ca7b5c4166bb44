"""The receptive field, on networks where it can be worked out by hand."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.geometry import Footprint
from nlviz.models.nonlocal_block import NonLocalBlock
from tests.support import make
from tests.support.vision import timm


def analysed(module, *, frames=8, size=(64, 48), **said):
    network = nlviz.UserNetwork(module, nlviz.Input(size=size, **said))
    clip = make.clip(frames, width=128, height=96, step=3)  # two source pixels to one of the input
    return nlviz.analyse(clip, network), network


def convolutions():
    """Two 3×3 convolutions and a pool in space, strides 2, 2, 1, and 3 in time with stride 2."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        nn.BatchNorm3d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        nn.Conv3d(4, 4, (3, 3, 3), stride=(2, 1, 1), padding=(1, 1, 1)),
        nn.ReLU6(),
        NonLocalBlock(4),
        nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1)),
        NonLocalBlock(4, sub_sample=False),
    ).eval()


def awake(module):
    for block in module.modules():
        if isinstance(block, NonLocalBlock):
            nn.init.normal_(block.W[1].weight)
    return module


def test_kernels_strides_and_pools_add_up_as_by_hand():
    analysis, network = analysed(awake(convolutions()))
    # Spans 1 + 2 + 2·2 + 4·2 = 15 pixels around input pixel 4·col; three frames around 2·t.
    field = nlviz.receptive_field(analysis, network, "6", nlviz.Point(12, 64, 48))
    cell = analysis.view.cell(nlviz.Point(12, 64, 48), analysis.affinity("6").query_grid)
    assert field.through == ()
    x, y = 4 * cell.col, 4 * cell.row
    around = (2 * (x - 7), 2 * (y - 7), 2 * (x + 8), 2 * (y + 8))
    frames = tuple(3 * t for t in range(2 * cell.t - 1, 2 * cell.t + 2))
    assert field.local == Footprint(*map(float, around), frames=frames)


def test_blocks_before_are_left_out_and_named():
    analysis, network = analysed(awake(convolutions()))
    field = nlviz.receptive_field(analysis, network, "8", nlviz.Point(12, 64, 48))
    assert field.through == ("6",)
    assert (field.local.x1 - field.local.x0, len(field.local.frames)) == (2 * 23, 3)
    assert "by their links also what 6 reach" in field.sentence


def test_the_edges_of_the_clip_cut_the_field():
    analysis, network = analysed(awake(convolutions()))
    field = nlviz.receptive_field(analysis, network, "6", nlviz.Point(0, 0, 0))
    assert field.local == Footprint(0.0, 0.0, 16.0, 16.0, frames=(0, 3))


def test_a_region_joins_the_fields_of_its_cells():
    analysis, network = analysed(awake(convolutions()))
    box = nlviz.Region.box(12, 1, 1, 127, 95)
    field = nlviz.receptive_field(analysis, network, "6", box)
    assert field.local == Footprint(0.0, 0.0, 128.0, 96.0, frames=(9, 12, 15))


@pytest.mark.parametrize("seed", range(3))
def test_no_weights_and_no_dead_unit_change_it(seed):
    module = awake(convolutions())
    analysis, network = analysed(module)
    before = nlviz.receptive_field(analysis, network, "6", nlviz.Point(12, 64, 48))
    torch.manual_seed(seed)
    for number in (0, 4):
        nn.init.normal_(module[number].weight)
        nn.init.constant_(module[number].bias, -100.0)  # nothing gets past the ReLU
    nn.init.zeros_(module[0].weight[1:])
    assert nlviz.receptive_field(analysis, network, "6", nlviz.Point(12, 64, 48)) == before


def test_what_is_outside_does_not_reach_the_block_and_each_edge_does():
    """The box against brute force: changed pixels, and the block's own input."""
    module = convolutions()
    analysis, network = analysed(module)
    point = nlviz.Point(12, 70, 40)
    box = nlviz.receptive_field(analysis, network, "6", point).local
    cell = analysis.view.cell(point, analysis.affinity("6").query_grid)
    plain = nn.Sequential(*[m for m in module[:6] if not isinstance(m, (nn.ReLU, nn.ReLU6))])
    x = torch.randn(1, 3, 8, 48, 64)
    at = lambda x: plain(x)[0, :, cell.t, cell.row, cell.col]  # noqa: E731
    x0, y0, x1, y1 = (round(v / 2) for v in (box.x0, box.y0, box.x1, box.y1))
    inside = torch.zeros(8, 48, 64, dtype=bool)
    inside[[f // 3 for f in box.frames], y0:y1, x0:x1] = True
    with torch.no_grad():
        changed = torch.where(inside, x, torch.randn_like(x))
        assert torch.equal(at(changed), at(x))
        assert not torch.equal(at(torch.where(inside, torch.randn_like(x), x)), at(x))


def test_a_norm_over_positions_lets_a_cell_see_the_whole_frame():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.GroupNorm(1, 4), NonLocalBlock(4, dimension=2)
    )
    analysis, network = analysed(awake(module.eval()), frames=2)
    field = nlviz.receptive_field(analysis, network, "2", nlviz.Point(3, 64, 48))
    assert field.local == Footprint(0.0, 0.0, 128.0, 96.0, frames=(3,))


def test_an_unknown_block_is_refused_with_those_there_are():
    analysis, network = analysed(awake(convolutions()))
    with pytest.raises(nlviz.QueryError, match="choose one of 6, 8"):
        nlviz.receptive_field(analysis, network, "res9", nlviz.Point(12, 64, 48))


def test_an_attention_behind_another_sees_its_patch_and_what_the_first_reaches():
    torch.manual_seed(0)
    size = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 2}
    module = timm.models.vision_transformer.VisionTransformer(**size).eval()
    analysis, network = analysed(module, frames=2, size=(32, 32))
    place = nlviz.Point(3, 70, 50)
    first, second = (
        nlviz.receptive_field(analysis, network, block, place) for block in analysis.blocks
    )
    assert first.local == second.local == Footprint(64.0, 48.0, 96.0, 72.0, frames=(3,))
    assert (first.through, second.through) == ((), ("blocks.0.attn",))


def test_a_pass_of_another_thread_neither_stops_nor_counts():
    network = awake(convolutions())
    other = torch.randn(1, 3, 8, 48, 64)
    answers = []

    class Meddled(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            thread = threading.Thread(target=lambda: answers.append(network(other).shape))
            thread.start()
            thread.join()
            return self.network(x)

    analysis, alone = analysed(network)
    meddled = nlviz.UserNetwork(Meddled(), alone.input)
    point = nlviz.Point(12, 64, 48)
    field = nlviz.receptive_field(
        nlviz.analyse(analysis.clip, meddled), meddled, "network.8", point
    )
    assert len(answers) == 2
    assert field.local == nlviz.receptive_field(analysis, alone, "8", point).local


class SqueezeExcite(nn.Module):
    """Written out, as EfficientNet and others have it."""

    def __init__(self, mean):
        super().__init__()
        self.mean = mean
        self.fc = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return x * self.fc(self.mean(x)).sigmoid()


class Written(nn.Module):
    def __init__(self, does):
        super().__init__()
        self.does = does

    def forward(self, x):
        return self.does(x)


def standardised(x):
    x = x - x.mean((2, 3), keepdim=True)
    return x / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()


MIXING = {
    "group norm": nn.GroupNorm(1, 2),
    "instance norm": nn.InstanceNorm2d(2),
    "batch norm of its own batch": nn.BatchNorm2d(2, track_running_stats=False),
    "squeeze-excite by Tensor.mean": SqueezeExcite(lambda x: x.mean((2, 3), keepdim=True)),
    "squeeze-excite by an adaptive pool": SqueezeExcite(nn.AdaptiveAvgPool2d(1)),
    "squeeze-excite by an adaptive max pool": SqueezeExcite(nn.AdaptiveMaxPool2d(1)),
    "squeeze-excite by avg_pool2d": SqueezeExcite(lambda x: F.avg_pool2d(x, x.shape[-2:])),
    "squeeze-excite by max": SqueezeExcite(lambda x: x.amax((2, 3), keepdim=True)),
    "two pools, one behind the other": SqueezeExcite(
        lambda x: x.mean(3, keepdim=True).mean(2, keepdim=True)
    ),
    "a norm written out": Written(standardised),
    "its mean taken away": Written(lambda x: x - x.mean((2, 3), keepdim=True)),
    "its spread": Written(lambda x: x / x.std((2, 3), keepdim=True)),
    "softmax over places": Written(lambda x: x * x.flatten(2).softmax(-1).reshape(x.shape)),
    "layer norm of the last axes": Written(lambda x: F.layer_norm(x, x.shape[-2:])),
}


class Recorded(nn.Module):
    """A map of any size, then a small non-local block on a few of its cells."""

    def __init__(self, mix):
        super().__init__()
        self.stem, self.mix = nn.Conv2d(3, 2, 1), mix
        self.pool = nn.Conv2d(2, 4, 1, stride=50)
        self.block = NonLocalBlock(4, dimension=2)

    def forward(self, x):
        return self.block(self.pool(self.mix(self.stem(x))))


@pytest.mark.parametrize("side", [100, 400])
@pytest.mark.parametrize("what", MIXING)
def test_what_mixes_a_large_map_lets_a_cell_see_all_of_it(what, side):
    torch.manual_seed(0)
    module = awake(Recorded(MIXING[what]).eval())
    analysis, network = analysed(module, frames=1, size=(side, side))
    field = nlviz.receptive_field(analysis, network, "block", nlviz.Point(0, 20, 20))
    assert field.local == Footprint(0.0, 0.0, 128.0, 96.0, frames=(0,))


@pytest.mark.parametrize(
    "mix",
    [
        nn.Identity(),
        nn.BatchNorm2d(2),
        pytest.param(nn.Conv2d(2, 2, 31, padding=15), marks=pytest.mark.slow),
    ],
)
def test_what_mixes_neighbours_only_stays_small_on_a_large_map(mix):
    torch.manual_seed(0)
    analysis, network = analysed(awake(Recorded(mix).eval()), frames=1, size=(400, 400))
    field = nlviz.receptive_field(analysis, network, "block", nlviz.Point(0, 64, 48))
    cell = analysis.view.cell(nlviz.Point(0, 64, 48), analysis.affinity("block").query_grid)
    half = 15 if isinstance(mix, nn.Conv2d) else 0
    x0, x1 = (128 / 400 * (50 * cell.col + by) for by in (-half, half + 1))
    assert (field.local.x0, field.local.x1) == pytest.approx((x0, x1))


def test_many_means_in_a_row_do_not_fade():
    torch.manual_seed(0)
    mix = nn.Sequential(*[SqueezeExcite(lambda x: x.mean((2, 3), keepdim=True)) for _ in range(9)])
    analysis, network = analysed(awake(Recorded(mix).eval()), frames=1, size=(300, 300))
    field = nlviz.receptive_field(analysis, network, "block", nlviz.Point(0, 20, 20))
    assert field.local == Footprint(0.0, 0.0, 128.0, 96.0, frames=(0,))


@pytest.mark.parametrize("frozen", [False, True])
def test_weights_of_either_sign_shut_no_path(frozen):
    """A path by a plain matrix product and a scale of 0, trained or frozen."""

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
            self.scale = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            near = (x.movedim(1, -1) @ self.weight).movedim(-1, 1)
            return near + self.scale * x.mean((2, 3), keepdim=True)

    module = awake(Recorded(Plain()).eval()).requires_grad_(not frozen)
    analysis, network = analysed(module, frames=1, size=(200, 200))
    field = nlviz.receptive_field(analysis, network, "block", nlviz.Point(0, 20, 20))
    assert field.local == Footprint(0.0, 0.0, 128.0, 96.0, frames=(0,))


def test_a_module_may_write_into_its_input_and_its_maps():
    class InPlace(nn.Module):
        def forward(self, x):
            x -= x.mean((2, 3), keepdim=True)
            x[:, 1:].mul_(2.0)
            return x.div_(3.0)

    torch.manual_seed(0)
    module = awake(nn.Sequential(InPlace(), Recorded(InPlace())).eval())
    analysis, network = analysed(module, frames=1, size=(200, 200))
    field = nlviz.receptive_field(analysis, network, "1.block", nlviz.Point(0, 20, 20))
    assert field.local == Footprint(0.0, 0.0, 128.0, 96.0, frames=(0,))


def test_a_fast_convolution_s_noise_is_no_path():
    """Many channels and a large kernel: what rounding leaves lies far below one path."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 512, 3, padding=1),
        nn.Conv2d(512, 4, 5, stride=10),
        NonLocalBlock(4, dimension=2),
    )
    analysis, network = analysed(awake(module.eval()), frames=1, size=(100, 100))
    box = nlviz.receptive_field(analysis, network, "2", nlviz.Point(0, 64, 48)).local
    assert round((box.x1 - box.x0) * 100 / 128) == 7


class Ordered(nn.Module):
    """Attention on patches of 8 pixels, registers behind, in an order of its own."""

    def __init__(self, order):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 8, 8)
        self.registers = nn.Parameter(torch.randn(1, 3, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.order = order

    def forward(self, x):
        cells = self.embed(x).flatten(2).transpose(1, 2)
        slots = torch.cat([cells, self.registers.expand(len(cells), -1, -1)], 1)[:, self.order]
        return self.attention(slots, slots, slots)[0]


@pytest.mark.parametrize("order", ["registers behind", "backwards", "shuffled"])
def test_a_cell_is_found_in_a_block_s_input_wherever_its_patch_stands(order):
    torch.manual_seed(0)
    slots = 8 * 6 + 3
    orders = {
        "registers behind": torch.arange(slots),
        "backwards": torch.arange(slots).flip(0),
        "shuffled": torch.randperm(slots),
    }
    analysis, network = analysed(Ordered(orders[order]).eval(), frames=2, size=(64, 48))
    field = nlviz.receptive_field(analysis, network, "attention", nlviz.Point(3, 100, 20))
    assert field.local == Footprint(96.0, 16.0, 112.0, 32.0, frames=(3,))


def test_a_cell_of_a_block_on_a_mirrored_picture_is_where_the_picture_has_it():
    class Mirrored(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.block = nn.Conv2d(3, 8, 8, 8), NonLocalBlock(8, dimension=2)

        def forward(self, x):
            return self.block(self.embed(x).flip(-1))

    torch.manual_seed(0)
    analysis, network = analysed(awake(Mirrored().eval()), frames=1, size=(64, 48))
    field = nlviz.receptive_field(analysis, network, "block", nlviz.Point(0, 100, 20))
    assert field.local == Footprint(96.0, 16.0, 112.0, 32.0, frames=(0,))


class Within(nn.Module):
    """Attention of its own, then another in a part of it: the whole is a block, and so is that."""

    def __init__(self):
        super().__init__()
        self.patches, self.qkv = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(8, 24)
        self.last = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = x + F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1))
        return self.last(x, x, x)[0]


def test_a_block_inside_the_module_of_one_before_is_refused():
    torch.manual_seed(0)
    analysis, network = analysed(Within().eval(), frames=1, layout="TCHW")
    assert analysis.blocks == ("Within", "last")
    with pytest.raises(
        nlviz.CaptureError, match="'last' is a part of the module of block 'Within'"
    ):
        nlviz.receptive_field(analysis, network, "last", nlviz.Point(0, 64, 48))
