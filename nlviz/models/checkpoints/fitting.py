"""Translated weights into a network of ours, or one sentence on why they do not fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from nlviz.errors import CheckpointError
from nlviz.models.checkpoints.dialects import recognise, translate
from nlviz.models.nonlocal_block import NonLocalBlock

_GROUPS = 4  # how many groups of keys an error names


def fit(weights: Mapping[str, Tensor], module: nn.Module, *, name: str = "the network") -> str:
    """Load a checkpoint of any known dialect into a module of ours; gives the dialect's name.

    Args:
        weights: as ``read`` gives them.
        module: a ``VideoResNet``, or anything whose names the weights have after translation.
        name: what to call the module in an error.

    What the projects leave out is filled in: a bias of zero where a batch norm follows, and the
    statistics 0 and 1 where a batch norm was frozen into a scale and a bias, as Caffe2's "affine"
    models have it.

    Raises:
        CheckpointError: weights of another network; with the keys in groups.
    """
    dialect, ours = translate(weights)
    wanted = module.state_dict()
    ours = _placed(ours, module)
    ours = _filled(ours, wanted, module)
    ours = {key: _shaped(value, wanted.get(key)) for key, value in ours.items()}
    if wrong := misfit(ours, wanted):
        raise CheckpointError(f"The checkpoint is not for {name}: {wrong}; {likeness(weights)}.")
    module.load_state_dict(ours, assign=True)
    return dialect


def misfit(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Which keys keep weights from fitting, in groups and in words; "" where they fit."""
    counted = {
        "missing": [key for key in wanted if key not in given],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": [
            key for key in wanted if key in given and wanted[key].shape != given[key].shape
        ],
    }
    said = [f"{len(keys)} {what} ({_grouped(keys)})" for what, keys in counted.items() if keys]
    return f"of {len(wanted)} keys {', '.join(said)}" if said else ""


def likeness(weights: Mapping[str, Tensor]) -> str:
    """Which known project's names they are, in words."""
    found = recognise(weights)
    if found is None:
        return "no known project uses its names"
    dialect, share = found
    return f"{share:.0%} of its names are {dialect.name}'s"


def _placed(weights: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Children of non-local blocks where this module has them: ``phi`` or ``phi.0``."""
    moves = {}
    for path, block in module.named_modules():
        if isinstance(block, NonLocalBlock):
            at = path + "." if path else ""
            for child in ("phi", "g"):
                if isinstance(block._modules.get(child), nn.Sequential):
                    moves[f"{at}{child}."] = f"{at}{child}.0."
            if not isinstance(block.W, nn.Sequential):
                moves[f"{at}W.0."] = f"{at}W."
    placed = {}
    for key, value in weights.items():
        stem, leaf = key[: key.rfind(".") + 1], key[key.rfind(".") + 1 :]
        placed[moves.get(stem, stem) + leaf] = value
    return placed


def _filled(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], module: nn.Module
) -> dict[str, Tensor]:
    filled = {key: value for key, value in weights.items() if not key.endswith("batches_tracked")}
    frozen = not any(key.endswith("running_var") for key in weights)
    for key, value in wanted.items():
        path, _, leaf = key.rpartition(".")
        if leaf == "num_batches_tracked":
            filled[key] = torch.zeros(value.shape, dtype=value.dtype)
        elif leaf == "bias" and path.endswith(".W.0") and f"{path}.weight" in filled:
            filled.setdefault(key, torch.zeros(value.shape))
        elif frozen and leaf in ("running_mean", "running_var") and f"{path}.weight" in filled:
            # Divided by √(1 − ε + ε) = 1: what is left is the scale and the bias.
            eps = getattr(module.get_submodule(path), "eps", 0.0)
            level = 0.0 if leaf == "running_mean" else 1.0 - eps
            filled[key] = torch.full(value.shape, level)
    return filled


def _shaped(value: Tensor, wanted: Tensor | None) -> Tensor:
    """Kernels of one frame as 3-D kernels, a 1×1×1 classifier as a matrix, single precision."""
    if wanted is None:
        return value
    if value.ndim != wanted.ndim and value.numel() == wanted.numel():
        squeezed = [n for n in wanted.shape if n != 1] == [n for n in value.shape if n != 1]
        value = value.reshape(wanted.shape) if squeezed else value
    return value.to(wanted.dtype) if value.shape == wanted.shape else value


def _grouped(keys: Iterable[str]) -> str:
    """Keys with their numbers as stars, the commonest first."""
    groups = Counter(re.sub(r"\d+", "*", key.rpartition(".")[0] or key) for key in keys)
    named = [f"{group} {count}×" for group, count in groups.most_common(_GROUPS)]
    more = len(groups) - len(named)
    return ", ".join(named) + (f" and {more} more kinds" if more else "")
