"""EfficientNet-Lite0 on each frame, with three spacetime non-local blocks between its stages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nlviz.models.efficientnet_lite import backbone
from nlviz.models.nonlocal_block import Function, NonLocalBlock

# Of each block: its name, the stage it follows, channels, stride in pixels, keys sub-sampled.
BLOCKS = (
    ("nl3", "stage3", 40, 8, True),
    ("nl4", "stage4", 80, 16, False),
    ("nl5", "stage5", 112, 16, False),
)
# A GPU likes several frames at once. On a CPU one frame's activations stay below the size at which
# the C library maps fresh pages for each tensor: twice as fast as eight at 641×353.
FRAMES_AT_ONCE = {"cpu": 1}


class NonLocalLite(nn.Module):
    """A C2D network in the paper's sense: 2-D convolutions, and non-local blocks over spacetime.

    Children in order of use: stem, stage1, stage2, stage3, nl3, stage4, nl4, stage5, nl5, stage6,
    stage7, head, classifier. The blocks start as the identity, so a fresh network that holds the
    backbone's weights classifies as EfficientNet-Lite0 does.

    Args:
        function: the blocks' pairwise function, Eqs. (2) to (5).
        inner: C', the width of θ, φ and g of nl3, nl4 and nl5; the Gaussian kind needs no θ, φ.
        context: side of the window that θ and φ of nl3, nl4 and nl5 read, 1 being the paper's.
        norm: what the blocks compare is normalised, as ``NonLocalBlock`` says.
    """

    def __init__(
        self,
        function: Function = "embedded_gaussian",
        inner: Sequence[int] = (20, 40, 56),
        *,
        context: Sequence[int] = (1, 1, 1),
        norm: bool = False,
    ) -> None:
        super().__init__()
        blocks = {
            stage: (
                name,
                NonLocalBlock(
                    channels,
                    function=function,
                    inner=width,
                    sub_sample=pooled,
                    context=side,
                    norm=norm,
                ),
            )
            for (name, stage, channels, _, pooled), width, side in zip(
                BLOCKS, inner, context, strict=True
            )
        }
        for name, child in backbone().items():
            self.add_module(name, child)
            if name in blocks:
                self.add_module(*blocks[name])

    def forward(self, x: Tensor) -> Tensor:
        """Class logits (B, 1000), averaged over frames, of prepared clips (B, 3, T, H, W).

        Between the blocks a few frames at a time go through the backbone, so that the memory of
        a long clip is that of the blocks.
        """
        segment: list[nn.Module] = []
        for child in self.children():
            if isinstance(child, NonLocalBlock):
                x = child(_each_frame(segment, x))
                segment = []
            else:
                segment.append(child)
        return _each_frame(segment, x).mean(2)


def _each_frame(children: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Children in order on each frame of (B, C, T, …): (B, C', T, …)."""
    clips, _, frames = x.shape[:3]
    parts = []
    at_once = FRAMES_AT_ONCE.get(x.device.type, 8)
    for part in torch.split(x.transpose(1, 2).flatten(0, 1), at_once):
        for child in children:
            part = child(part)
        parts.append(part)
    joined = torch.cat(parts)
    joined = joined.reshape(clips, frames, *joined.shape[1:])
    return joined.transpose(1, 2).contiguous()
