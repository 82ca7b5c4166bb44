"""A checkpoint's weights into a module that has them under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nlviz.errors import NetworkError

if TYPE_CHECKING:
    import torch


def load_into(module: torch.nn.Module, weights: str | Path) -> str:
    """Weights under the module's own names, or under these behind one prefix; their checksum."""
    from nlviz.models.checkpoints import checksum, likeness, misfit, read

    given = read(weights)
    wanted = module.state_dict()
    given = _without_prefix(given, wanted)
    if wrong := misfit(given, wanted):
        raise NetworkError(
            f"{Path(weights).name} is not for this {type(module).__name__}: {wrong}; "
            f"{likeness(given)}. Give weights that were saved from it."
        )
    if any(tensor.is_meta for tensor in wanted.values()):
        raise NetworkError(
            f"This {type(module).__name__} has offloaded its weights, so {Path(weights).name} "
            "cannot be loaded into it; load it in the function that builds it."
        )
    module.load_state_dict(given)
    return checksum(weights)


def _without_prefix(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """``module.…`` and the like taken off, where that makes more keys known."""
    prefixes = {key.split(".", 1)[0] + "." for key in given if "." in key}
    ways = [dict(given)]
    ways += [{k.removeprefix(prefix): v for k, v in given.items()} for prefix in sorted(prefixes)]
    return max(ways, key=lambda way: len(way.keys() & wanted.keys()))
