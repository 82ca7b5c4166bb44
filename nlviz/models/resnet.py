"""C2D, I3D, SlowOnly and TSM on a ResNet with non-local blocks: one module built from a plan."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.models.nonlocal_block import NonLocalBlock
from nlviz.models.resnet_plan import Plan

_SHIFTED = 8  # an eighth of the channels each way


class VideoResNet(nn.Module):
    """Children in order of use: stem, res2, pool2, res3, res4, res5, classifier.

    Inside a stage residual blocks are called 0, 1, … and the non-local block behind block i is
    called nl{i}, so that ``res4.nl3`` is the paper's block after the fourth of res4. Weights are
    random, non-local blocks the identity.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        kernel, padding = plan.kernels[0][0], plan.pool1_padding
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv3d(
                    3,
                    plan.width,
                    (kernel, 7, 7),
                    stride=(plan.stem_stride, 2, 2),
                    padding=(kernel // 2, 3, 3),
                    bias=False,
                ),
                norm=nn.BatchNorm3d(plan.width),
                activation=nn.ReLU(inplace=True),
                pool=nn.MaxPool3d(
                    (plan.pool1[0], 3, 3),
                    stride=(plan.pool1[1], 2, 2),
                    padding=(0, padding, padding),
                ),
            )
        )
        self.pool2 = nn.MaxPool3d((plan.pool2, 1, 1))
        self.res2, self.res3, self.res4, self.res5 = (_stage(plan, i) for i in range(4))
        self.classifier = nn.Linear(32 * plan.width, plan.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class logits (B, classes) of prepared clips (B, 3, T, H, W), averaged over all cells."""
        x = self.pool2(self.res2(self.stem(x)))
        x = self.res5(self.res4(self.res3(x)))
        logits: Tensor = self.classifier(x.mean((2, 3, 4)))
        return logits


class Bottleneck(nn.Module):
    """A residual block: k×1×1, 1×3×3 and 1×1×1 convolutions beside a shortcut.

    Args:
        channels: of the input; the output has 4 · ``width``.
        width: of the convolutions between.
        kernel: size in time of the first.
        stride: in space, of the second.
        shift: whether the convolutions see the input shifted in time.
    """

    def __init__(self, channels: int, width: int, *, kernel: int, stride: int, shift: bool) -> None:
        super().__init__()
        self.shift = shift
        self.a = _unit(channels, width, (kernel, 1, 1))
        self.b = _unit(width, width, (1, 3, 3), stride)
        self.c = _unit(width, 4 * width, (1, 1, 1))
        same = stride == 1 and channels == 4 * width
        self.shortcut = nn.Identity() if same else _unit(channels, 4 * width, (1, 1, 1), stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, 4 · width, T, H / stride, W / stride)."""
        y = F.relu(self.a(shifted(x) if self.shift else x), inplace=True)
        y = self.c(F.relu(self.b(y), inplace=True))
        return F.relu(y + self.shortcut(x), inplace=True)


def shifted(x: Tensor) -> Tensor:
    """The first eighth of the channels from the next frame, the second from the one before.

    Lin et al., *TSM* (ICCV 2019); zeros come in where the clip ends. (B, C, T, H, W) both ways.
    """
    fold = x.shape[1] // _SHIFTED
    y = torch.zeros_like(x)
    y[:, :fold, :-1] = x[:, :fold, 1:]
    y[:, fold : 2 * fold, 1:] = x[:, fold : 2 * fold, :-1]
    y[:, 2 * fold :] = x[:, 2 * fold :]
    return y


def _stage(plan: Plan, stage: int) -> nn.Sequential:
    width = plan.width * 2**stage
    channels = plan.width if stage == 0 else 2 * width
    inner = 2 * width
    scale = inner**-0.5 if plan.scaled and plan.function == "embedded_gaussian" else 1.0
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for block in range(plan.blocks[stage]):
        parts[str(block)] = Bottleneck(
            channels,
            width,
            kernel=plan.kernel(stage, block),
            stride=2 if stage > 0 and block == 0 else 1,
            shift=plan.shifts(block),
        )
        channels = 4 * width
        if block in plan.places[stage]:
            parts[f"nl{block}"] = NonLocalBlock(
                channels,
                function=plan.function,
                inner=inner,
                sub_sample=plan.sub_sample,
                pool_first=plan.pool_first,
                scale=scale,
                group=plan.group if stage == 1 else None,
            )
    return nn.Sequential(parts)


def _unit(channels: int, out: int, kernel: tuple[int, int, int], stride: int = 1) -> nn.Sequential:
    """A convolution that keeps its input's size but for the stride in space, and a batch norm."""
    down, right = kernel[1] // 2, kernel[2] // 2
    conv = nn.Conv3d(
        channels,
        out,
        kernel,
        stride=(1, stride, stride),
        padding=(kernel[0] // 2, down, right),
        bias=False,
    )
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm3d(out)))
