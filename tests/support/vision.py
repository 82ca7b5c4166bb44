"""timm, TorchVision and transformers, whose real attention modules the tests run."""

from __future__ import annotations

import importlib.metadata

import pytest
import torch


def _declare_operators() -> torch.library.Library | None:
    """TorchVision's wheel is compiled for CUDA's torch; with CPU's, its operators are missing.

    Attention needs none of them, but the import wants two of them declared.
    """
    try:
        importlib.metadata.version("torchvision")
    except importlib.metadata.PackageNotFoundError:
        return None
    if torch.version.cuda is not None:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


_KEPT = _declare_operators()  # operators live as long as their library

timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")
