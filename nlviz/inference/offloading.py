"""Modules whose weights are elsewhere until they run: offloaded, or spread over devices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


def lacks_values(module: nn.Module) -> bool:
    """Whether a weight is on torch's meta device, and nothing will bring it when the module runs.

    What brings one is a hook before the forward pass, or a forward that was put in place of the
    class's, on the module that has it or on one around it, as accelerate does.
    """
    bringing = [path for path, part in module.named_modules() if _brings(part)]
    return any(
        not any(path == each or not each or path.startswith(f"{each}.") for each in bringing)
        for path, part in module.named_modules()
        if any(tensor.is_meta for tensor in _own(part))
    )


def stays_where_it_is(module: nn.Module) -> bool:
    """Whether moving a module would undo where its loader has put its parts."""
    tensors = [*module.parameters(), *module.buffers()]
    devices = {tensor.device for tensor in tensors}
    return len(devices) > 1 or bool(tensors and _is_offloaded(module))


def input_like(module: nn.Module) -> Tensor:
    """An empty tensor of the device and the precision that a module's input has.

    The device is the one that accelerate runs the first part on, else that of the first weight
    with values; the precision is the first weight's.
    """
    weights = [t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point()]
    dtype = weights[0].dtype if weights else torch.float32
    placed = (_execution_device(getattr(part, "_hf_hook", None)) for part in module.modules())
    there = (weight.device for weight in weights if not weight.is_meta)
    device = next((each for each in placed if each is not None), None)
    if device is None:
        device = next(there, torch.device("cpu"))
    return torch.empty(0, dtype=dtype, device=device)


def _own(part: nn.Module) -> Iterator[Tensor]:
    return chain(part.parameters(recurse=False), part.buffers(recurse=False))


def _brings(part: nn.Module) -> bool:
    own = vars(part)
    return "_hf_hook" in own or "forward" in own or bool(part._forward_pre_hooks)


def _is_offloaded(module: nn.Module) -> bool:
    return any(t.is_meta for t in chain(module.parameters(), module.buffers())) or any(
        "_hf_hook" in vars(part) for part in module.modules()
    )


def _execution_device(hook: Any) -> torch.device | None:
    """Where a hook of accelerate runs its module; of several hooks, the first that says so."""
    for each in (hook, *getattr(hook, "hooks", ())):
        device = getattr(each, "execution_device", None)
        if device is not None:
            return torch.device(device)
    return None
