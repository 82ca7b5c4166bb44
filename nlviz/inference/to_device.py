"""A module onto the device that it is to run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlviz.errors import NetworkError

if TYPE_CHECKING:
    import torch


def move(module: torch.nn.Module, name: str) -> None:
    """To a device, unless its loader has spread it over several or offloaded it."""
    from nlviz.inference.offloading import lacks_values, stays_where_it_is
    from nlviz.models.network import device

    if lacks_values(module):
        raise NetworkError(
            f"The {type(module).__name__} has weights without values (on torch's meta device); "
            "build it on a device that holds them."
        )
    wanted = device(name)
    if not stays_where_it_is(module):
        module.to(wanted)
