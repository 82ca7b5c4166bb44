"""Tiny models as their libraries save them: folders of transformers and timm, a torch.hub one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.support.vision import timm, transformers

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "intermediate_size": 48,
}
PROCESSOR: dict[str, Any] = {
    "do_resize": True,
    "size": {"height": 64, "width": 64},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}
_OF_PICTURES = {"image_size": 64, "patch_size": 16}

# Kind → its class, its configuration's fields, and those.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vit": (
        "ViTForImageClassification",
        "ViTConfig",
        {**SMALL, **_OF_PICTURES, "id2label": {0: "cat", 1: "dog", 2: "cow"}},
    ),
    "dinov2": ("Dinov2Model", "Dinov2Config", {**SMALL, "image_size": 56, "patch_size": 14}),
    "dinov3": (
        "DINOv3ViTModel",
        "DINOv3ViTConfig",
        {**SMALL, **_OF_PICTURES, "num_register_tokens": 4},
    ),
    "siglip": (
        "SiglipModel",
        "SiglipConfig",
        {
            "text_config": {**SMALL, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2},
            "vision_config": {**SMALL, **_OF_PICTURES},
        },
    ),
    "swin": (
        "SwinForImageClassification",
        "SwinConfig",
        {"embed_dim": 12, "depths": [1, 1], "num_heads": [2, 3], "window_size": 8},
    ),
    "vitmae": (
        "ViTMAEForPreTraining",
        "ViTMAEConfig",
        {
            **SMALL,
            **_OF_PICTURES,
            **{f"decoder_{name}": value for name, value in SMALL.items()},
        },
    ),
    "videomae": (
        "VideoMAEForVideoClassification",
        "VideoMAEConfig",
        {**SMALL, **_OF_PICTURES, "num_frames": 4, "tubelet_size": 2},
    ),
    "vivit": (
        "VivitForVideoClassification",
        "VivitConfig",
        {**SMALL, "image_size": 64, "num_frames": 4, "tubelet_size": [2, 16, 16]},
    ),
    "timesformer": (
        "TimesformerForVideoClassification",
        "TimesformerConfig",
        {**SMALL, **_OF_PICTURES, "num_frames": 4},
    ),
    "vjepa2": (
        "VJEPA2Model",
        "VJEPA2Config",
        {
            **{name: value for name, value in SMALL.items() if name != "intermediate_size"},
            "crop_size": 64,
            "patch_size": 16,
            "frames_per_clip": 8,
            "pred_hidden_size": 24,
            "pred_num_attention_heads": 3,
            "pred_num_hidden_layers": 1,
        },
    ),
}


def save(kind: str, folder: Path, processor: dict[str, Any] | None = PROCESSOR, **more: Any) -> str:
    """A folder as ``save_pretrained`` writes it, and its processor's file; the spec of it."""
    model, config, fields = KINDS[kind]
    torch.manual_seed(0)
    made = getattr(transformers, model)(getattr(transformers, config)(**{**fields, **more}))
    made.save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return f"hf:{folder}"


def save_timm(folder: Path, **more: Any) -> str:
    """A folder as timm's ``save_for_hf`` writes it; the spec of it."""
    torch.manual_seed(0)
    # The name has the sizes of a real one; the rest is as small as it may be.
    made = timm.create_model("vit_tiny_patch16_224", **{"depth": 1, "img_size": 64, **more})
    made.pretrained_cfg["input_size"] = (3, 64, 64)
    timm.models.save_for_hf(
        made, folder, model_config={"label_names": [f"thing {n}" for n in range(made.num_classes)]},
        model_args={"depth": 1, "img_size": 64}, safe_serialization=True,
    )  # fmt: skip
    return f"timm:{folder}"


HUBCONF = """
import torch

from models import Net  # half of all repositories call it so


def told(pretrained=True):
    torch.manual_seed(0)
    net = Net()
    net.filled = pretrained
    return net, {"size": 32, "mean": [0.5] * 3, "deviation": [0.5] * 3, "layout": "TCHW"}


def silent(pretrained=True):
    return Net()


def of_timm():
    net = Net()
    net.pretrained_cfg = {
        "input_size": (3, 32, 48), "mean": (0.1, 0.2, 0.3), "std": (1, 2, 4),
        "interpolation": "bilinear",
    }
    return net


def pair():
    return Net(), torch.nn.Linear(2, 2)


def pickled():
    import pathlib

    return torch.load(pathlib.Path(__file__).with_name("code.pt"))


def word():
    return "no module"
"""

NET = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 16, 16)
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v).squeeze(1)
"""


def write_repository(folder: Path) -> Path:
    """A torch.hub repository on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "models.py").write_text(NET)
    return folder
