"""The table of families in docs/dialects.md, by running them: ``python -m tools.families``.

Each family of timm, transformers and TorchVision runs with random weights at several sizes. The
numbers are nlviz's own check, the relative error of each block's recomputed output. The places are
measured without what nlviz knows of them: one place of the input is changed, and in each captured
block the query and the key that change most must lie there, no more than a cell away.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import nlviz
from tests.support.vision import timm, torchvision, transformers

PAGE = Path(__file__).resolve().parents[1] / "docs" / "dialects.md"
_MARKS = "<!-- families -->\n", "<!-- end of families -->\n"

_SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
_ALIKE = 0.9  # of the greatest change: where half of the cells change so much, none stands out
_SPOTS = ((0.3, 0.2), (0.7, 0.6))  # of height and width, changed one at a time


class Family(NamedTuple):
    """A family and the inputs that it is run on."""

    name: str
    make: Callable[..., nn.Module]
    shapes: Sequence[tuple[int, ...]]


class Seen(NamedTuple):
    """What was measured of one family."""

    name: str
    shapes: str
    captured: int
    refused: int
    error: float
    right: int
    told: int
    why: str


def _timm(name: str, *sizes: tuple[int, int], **more: Any) -> Family:
    def make(height: int, width: int) -> nn.Module:
        sized = {"img_size": (height, width)} if more.get("img_size", True) else {}
        kept = {key: value for key, value in more.items() if key != "img_size"}
        return timm.create_model(name, **sized, **kept)

    return Family(f"timm {name}", make, [(1, 3, *size) for size in sizes])


def _hugging_face(name: str, *shapes: tuple[int, ...], **more: Any) -> Family:
    def make(height: int, width: int) -> nn.Module:
        size = {} if "crop_size" in more else {"image_size": (height, width)}
        if height == width and size:
            size = {"image_size": height}
        said = {key: value for key, value in (_SMALL | size | more).items() if value is not None}
        config = getattr(transformers, f"{name}Config")(**said)
        return getattr(transformers, f"{name}Model")(config)

    return Family(f"transformers {name}", make, shapes)


def _plain(name: str, make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Family:
    return Family(name, lambda *_: make(), shapes)


_SQUARE, _WIDE = (224, 224), (160, 288)
_FRAMES = (2, 3, 64, 64)

FAMILIES = (
    _timm("vit_tiny_patch16_224", _SQUARE, _WIDE, depth=2),
    _timm("deit_tiny_distilled_patch16_224", _SQUARE, _WIDE, depth=2),
    _timm("vit_small_patch14_reg4_dinov2", (224, 224), (140, 252), depth=2),
    _timm("vit_small_patch16_dinov3", _SQUARE, _WIDE, depth=2),
    _timm("beit_base_patch16_224", _SQUARE, depth=2),
    _timm("eva02_tiny_patch14_224", (224, 224), (140, 252), depth=2),
    _timm("samvit_base_patch16", (320, 320), (256, 320), depth=2, global_attn_indexes=(1,)),
    _timm("hiera_tiny_224", _SQUARE, (160, 288)),
    _timm("sam2_hiera_tiny", (256, 256), img_size=False),
    _timm("swin_tiny_patch4_window7_224", _SQUARE, (224, 448)),
    _timm("swinv2_tiny_window8_256", (256, 256)),
    _timm("twins_svt_small", _SQUARE),
    _timm("maxvit_pico_rw_256", (128, 128), (128, 192)),
    _timm("coatnet_pico_rw_224", _SQUARE),
    _timm("efficientvit_m0", _SQUARE, img_size=False),
    _timm("levit_128s", _SQUARE, img_size=False),
    _timm("mobilevit_xxs", (128, 128), (128, 192), img_size=False),
    _timm("mvitv2_tiny", (128, 128)),
    _timm("pvt_v2_b0", (128, 128), (128, 192), img_size=False),
    _timm("crossvit_tiny_240", (240, 240)),
    _timm("tnt_s_patch16_224", _SQUARE, depth=2),
    _timm("davit_tiny", _SQUARE, img_size=False),
    _timm("xcit_nano_12_p16_224", _SQUARE, depth=2),
    _timm("cait_xxs24_224", _SQUARE, depth=2),
    _hugging_face("ViT", (1, 3, 64, 64), (1, 3, 64, 96), patch_size=16),
    _hugging_face("Dinov2WithRegisters", (1, 3, 56, 56), patch_size=14),
    _hugging_face("ViTMAE", (1, 3, 64, 64), patch_size=8),
    _hugging_face("SiglipVision", (1, 3, 64, 64), patch_size=8),
    _hugging_face("VideoMAE", (1, 4, 3, 64, 64), num_frames=4, patch_size=16),
    _hugging_face("Timesformer", (1, 4, 3, 64, 64), num_frames=4, patch_size=16),
    _hugging_face("VJEPA2", (1, 8, 3, 64, 64), crop_size=64, patch_size=16, frames_per_clip=8,
                  pred_hidden_size=24, pred_num_attention_heads=3, pred_num_hidden_layers=1),
    _hugging_face("Swin", _FRAMES, embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=4,
                  num_attention_heads=None, num_hidden_layers=None, hidden_size=None),
    _plain("TorchVision vit_b_16", lambda: torchvision.models.VisionTransformer(
        64, 16, 2, 3, 24, 48), (1, 3, 64, 64)),
    _plain("TorchVision swin_t", lambda: torchvision.models.SwinTransformer(
        [4, 4], 12, [2, 2], [2, 3], [4, 4]), (2, 3, 64, 64), (1, 3, 64, 48)),
    _plain("TorchVision swin3d_t", lambda: torchvision.models.video.SwinTransformer3d(
        [2, 4, 4], 12, [2, 2], [2, 3], [2, 4, 4]), (1, 3, 8, 64, 64)),
)  # fmt: skip


def measured(family: Family) -> Seen:
    """What nlviz captures of a family, and whether it lies where the input was changed."""
    captured, refused, right, told, error, why = 0, 0, 0, 0, 0.0, ""
    for shape in family.shapes:
        torch.manual_seed(0)
        module = family.make(*shape[-2:]).eval()
        x = torch.randn(shape)
        seen = _captured(module, x)
        if isinstance(seen, str):
            refused, why = refused + 1, why or seen
            continue
        captured, refused = captured + len(seen.affinities), refused + len(seen.refused)
        why = why or next((w.split("' ", 1)[-1] for w in seen.refused.values()), "")
        error = max(error, *seen.fidelity.values())
        verdicts = _verdicts(module, x, seen)
        right, told = right + sum(verdicts.values()), told + len(verdicts)
    sizes = ", ".join("×".join(map(str, shape)) for shape in family.shapes)
    return Seen(family.name, sizes, captured, refused, error, right, told, why)


def _captured(module: nn.Module, x: torch.Tensor) -> nlviz.Capture | str:
    torch.manual_seed(1)  # of what a module draws while it runs, as MAE its patches
    try:
        return nlviz.capture(module, x, sample=None)
    except nlviz.CaptureError as refused:
        return str(refused)


def _verdicts(module: nn.Module, x: torch.Tensor, seen: nlviz.Capture) -> dict[str, bool]:
    """For each block in which it can be told: whether what changed lies where the input did."""
    verdicts: dict[str, bool] = {}
    *_, height, width = x.shape
    for down, across in _SPOTS:
        y, x0 = int(down * height) // 32 * 32, int(across * width) // 32 * 32
        changed = x.clone()
        frames = changed.reshape(-1, *x.shape[-3:]) if x.ndim == 4 else changed[0].unsqueeze(0)
        frames[-1][..., y : y + 16, x0 : x0 + 16] += 6
        after = _captured(module, changed)
        others = {} if isinstance(after, str) else after.affinities
        for block, affinity in seen.affinities.items():
            if block not in others:
                verdicts[block] = False
                continue
            for there in _there(affinity, others[block], (y + 8, x0 + 8), (height, width)):
                verdicts[block] = there and verdicts.get(block, True)
    return verdicts


def _there(
    before: nlviz.Affinity, after: nlviz.Affinity, at: tuple[int, int], size: tuple[int, int]
) -> Iterator[bool]:
    """For queries and keys, if what changed stands out: whether it lies at (y, x)."""
    for columns, moved, grid in (
        (before.theta, after.theta, before.query_grid),
        (before.phi, after.phi, before.key_grid),
    ):
        change = np.linalg.norm(moved - columns, axis=0)[: grid.size]
        if np.median(change) > _ALIKE * change.max() or not change.any():
            continue
        cell = grid.cell(int(change.argmax()))
        stride, first = grid.stride, grid.first
        near = True
        for axis, place in enumerate((cell.row, cell.col)):
            step = size[axis] / grid.shape[axis + 1] if stride is None else stride[axis + 1]
            start = step / 2 if first is None else first[axis + 1]
            near &= abs(start + step * place - at[axis]) <= 1.5 * step + 8
        yield near


def table(seen: Sequence[Seen]) -> str:
    """As Markdown."""
    lines = [
        "| family | inputs | blocks captured | largest relative error | places right | refused |",
        "|---|---|---|---|---|---|",
    ]
    for each in seen:
        refused = f"{each.refused}: {each.why.rstrip('.')[:90]}" if each.refused else "none"
        lines.append(
            f"| {each.name} | {each.shapes} | {each.captured} | "
            + (f"{each.error:.1e}" if each.captured else "")
            + f" | {each.right} of {each.told} | {refused} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every family and write the table into the page."""
    warnings.simplefilter("ignore")
    seen = []
    for family in FAMILIES:
        seen.append(measured(family))
        sys.stderr.write(" | ".join(map(str, seen[-1])) + "\n")
    start, end = _MARKS
    page = PAGE.read_text(encoding="utf-8")
    made = f"{start}\n{table(seen)}\n{end}"
    PAGE.write_text(
        re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: made, page, flags=re.DOTALL),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
