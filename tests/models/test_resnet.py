"""The video ResNets: the paper's tables, where blocks sit, and where their cells lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nlviz.models.nonlocal_block import FUNCTIONS, NonLocalBlock
from nlviz.models.published.catalogue import RECORDS
from nlviz.models.resnet import VideoResNet, shifted
from nlviz.models.resnet_plan import R50, R101, paper, spread
from tests.support.restated import PROJECTS


def sizes(network: VideoResNet, frames: int) -> dict[str, tuple[int, ...]]:
    """What the children put out for a clip of 224×224, on the meta device: shapes, no numbers."""
    seen = {}
    for name, child in network.named_children():
        child.register_forward_hook(
            lambda _, inputs, output, name=name: seen.__setitem__(name, tuple(output.shape[1:]))
        )
    network(torch.empty(1, 3, frames, 224, 224, device="meta"))
    return seen


def test_table_1_of_the_paper():
    with torch.device("meta"):
        network = VideoResNet(paper("c2d")).eval()
    # The authors' code pools without padding, so that res2 has 55 cells where the table says 56.
    assert sizes(network, 32) == {
        "stem": (64, 8, 55, 55), "res2": (256, 8, 55, 55), "pool2": (256, 4, 55, 55),
        "res3": (512, 4, 28, 28), "res4": (1024, 4, 14, 14), "res5": (2048, 4, 7, 7),
        "classifier": (400,),
    }  # fmt: skip


def test_parameters_are_as_many_as_they_should_be():
    # ResNet-50's 23.5 million and a classifier of 400; a block adds its four matrices.
    def count(plan) -> float:
        with torch.device("meta"):
            return sum(p.numel() for p in VideoResNet(plan).parameters()) / 1e6

    none = ((), (), (), ())
    c2d, i3d = (count(replace(paper(kind), places=none)) for kind in ("c2d", "i3d"))
    assert c2d == pytest.approx(24.3, abs=0.1)
    assert i3d == pytest.approx(28.0, abs=0.1)
    one = count(paper("c2d", blocks=1)) - c2d
    assert one == pytest.approx(4 * 1024 * 512 / 1e6, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [8, 32, 128])
@pytest.mark.parametrize("kind", ["c2d", "i3d"])
def test_clips_of_8_to_128_frames_are_seen(kind, frames):
    with torch.device("meta"):
        network = VideoResNet(paper(kind, blocks=10)).eval()
    assert sizes(network, frames)["res4"] == (1024, frames // 8, 14, 14)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("blocks", [1, 5, 10])
def test_every_function_sits_where_the_paper_puts_it(function, depth, blocks):
    plan = paper("i3d", depth=depth, blocks=blocks, function=function)
    with torch.device("meta"):
        network = VideoResNet(replace(plan, width=8))
    found = [name for name, m in network.named_modules() if isinstance(m, NonLocalBlock)]
    assert found == list(plan.taps)
    assert len(found) == blocks
    assert all(network.get_submodule(name).function == function for name in found)


def test_fresh_blocks_change_nothing():
    torch.manual_seed(0)
    plan = replace(paper("i3d"), width=8)
    network = VideoResNet(plan).eval()
    plain = VideoResNet(replace(plan, places=((), (), (), ()))).eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if ".nl" not in k})
    x = torch.randn(1, 3, 16, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), plain(x))


@pytest.mark.parametrize("wrong", [{"kind": "r2d"}, {"kind": "c2d", "depth": 18}])
def test_a_network_that_the_paper_does_not_have_is_named(wrong):
    with pytest.raises(ValueError, match="choose c2d or i3d, 50 or 101"):
        paper(**wrong)


def test_frames_are_shifted_by_one_and_zeros_come_in():
    x = torch.arange(1.0, 33).reshape(1, 8, 4, 1, 1)
    y = shifted(x).reshape(8, 4)
    assert y[0].tolist() == [2, 3, 4, 0]
    assert y[1].tolist() == [0, 5, 6, 7]
    assert torch.equal(y[2:], x.reshape(8, 4)[2:])


def test_the_paper_places_its_blocks():
    assert spread(R50, 1) == ((), (), (4,), ())
    assert spread(R50, 5) == ((), (1, 3), (1, 3, 5), ())
    assert sum(map(len, spread(R50, 10))) == sum(map(len, spread(R101, 10))) == 10
    assert spread(R101, 5)[2] == (6, 13, 20)
    with pytest.raises(ValueError, match="choose 1, 5 or 10"):
        spread(R50, 2)


@pytest.mark.slow
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_blocks_of_full_size_lie_where_their_taps_say(record):
    # On the meta device: shapes without numbers, so that a ResNet-101 takes no time.
    with torch.device("meta"):
        network = VideoResNet(record.plan).eval()
        x = torch.empty(1, 3, record.frames, 224, 224)
    shapes = {}
    for name in record.taps:
        network.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: shapes.__setitem__(name, output.shape)
        )
    assert network(x).shape == (1, 400)
    for name, tap in record.taps.items():
        assert shapes[name][2] == record.frames / tap.stride[0]
        assert shapes[name][3] == shapes[name][4] == 224 / tap.stride[1]
        assert 0 < tap.first[0] <= tap.stride[0] / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Caffe2 I3D", "mmaction2 I3D gaussian", "SlowFast", "TSM"])
def test_taps_are_the_centres_of_what_the_cells_read(name):
    # With all weights positive and mean for max, a gradient reaches all that a cell reads.
    plan = PROJECTS[name].plan
    network = VideoResNet(replace(plan, places=((), (), (), ()), shift=False)).eval()
    for parameter in network.parameters():
        torch.nn.init.ones_(parameter)
    for parent, pool in ((network.stem, "pool"), (network, "pool2")):
        old = parent.get_submodule(pool)
        parent.add_module(pool, torch.nn.AvgPool3d(old.kernel_size, old.stride, old.padding))
    x = torch.rand(1, 3, 64, 192, 192, requires_grad=True)
    cells = network.res3(network.pool2(network.res2(network.stem(x))))
    middle = [n // 2 for n in cells.shape[2:]]
    cells[0, 0, middle[0], middle[1], middle[2]].backward()
    tap = next(iter(plan.taps.values()))
    for axis, index in enumerate(middle):
        reached = x.grad[0].sum(0).transpose(0, axis).flatten(1).sum(1).nonzero()
        centre = (reached.min() + reached.max() + 1).item() / 2
        assert centre == tap.first[axis] + tap.stride[axis] * index
