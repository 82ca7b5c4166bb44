"""The same forward pass once more, with hooks on one block to see and change what it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.analysis import Analysis
from nlviz.errors import CaptureError
from nlviz.hooks.capture import evaluating
from nlviz.hooks.nonlocal_blocks.parts import Parts
from nlviz.inference.forward import network_input
from nlviz.inference.protocol import Network


@dataclass(slots=True)
class Call:
    """One call of a block.

    Args:
        args: positional arguments it was given, copied.
        kwargs: keywords it was given.
        x: the first tensor among them.
        g: what its g put out.
        y: what its output projection was given.
        added: W_z y, what the projection put out.
        z: what the block put out; the first tensor of several.
        attention: whether it is a self-attention, whose caller adds x.
    """

    args: tuple[Any, ...] = ()
    kwargs: Any = None
    x: Tensor | None = None
    g: Tensor | None = None
    y: Tensor | None = None
    added: Tensor | None = None
    z: Tensor | None = None
    attention: bool = False

    @property
    def adds_outside(self) -> bool:
        """Whether x is added by the block's caller, so that the block puts out W_z y alone."""
        if self.attention:
            return True
        return self.z is not None and self.added is not None and _same(self.z, self.added)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))


def run(analysis: Analysis, network: Network) -> Any:
    """The network's output for the clip and input size of an analysis."""
    with evaluating(network.module):
        return network.module(network_input(analysis.clip, analysis.view, network))


def parts_of(module: nn.Module, block: str) -> Parts:
    """The parts of a non-local block by its name in an analysis.

    CaptureError for a name that is not such a block of the module.
    """
    _, parts, _ = found(module, block)
    if parts is None or parts.kind != "non-local":
        raise CaptureError(
            f"Block {block!r} of {type(module).__name__} has not the parts of a non-local block, "
            "so this cannot be done to it; choose another block."
        )
    return parts


def found(module: nn.Module, block: str) -> tuple[nn.Module, Parts | None, int]:
    """A block's module, its parts unless it is an attention, and which call is meant, from 1.

    CaptureError for a name that is no module with children.
    """
    path, _, number = block.partition("#")
    modules = dict(module.named_modules())
    there = modules.get(path, module if path == type(module).__name__ else None)
    if there is None or not any(there.children()):
        raise CaptureError(
            f"Block {block!r} of {type(module).__name__} cannot be changed from outside: it is no "
            "module that holds a non-local block or an attention."
        )
    return there, Parts.of(there), int(number or 1)


Change = Callable[[Call], Tensor | None]


@contextmanager
def calls(
    module: nn.Module, block: str, *, y: Change | None = None, z: Change | None = None
) -> Iterator[Call]:
    """While it lasts, see one call of a block in each forward pass, and change its y or z.

    Only calls by this thread are seen. The hooks leave at the end, also after an error.

    Args:
        module: the network.
        block: the block's name in an analysis; ``#2`` is its second call.
        y: given the call so far, what goes into the output projection in place of y, or None.
        z: likewise, what the block puts out in place of z.
    """
    there, parts, number = found(module, block)
    thread, seen, count = threading.get_ident(), Call(attention=parts is None), 0

    def begin(*_: Any) -> None:
        nonlocal count
        count = count if threading.get_ident() != thread else 0

    def mine(hook: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            now = threading.get_ident() == thread and (hook is enter or count == number)
            return hook(*arguments) if now else None

        return called

    def enter(_: nn.Module, args: Any, kwargs: Any = None) -> None:
        nonlocal count
        count += 1
        if count == number:
            seen.args = tuple(a.detach().clone() if isinstance(a, Tensor) else a for a in args)
            seen.kwargs = dict(kwargs or {})
            values = (*seen.args, *seen.kwargs.values())
            seen.x = next((value for value in values if isinstance(value, Tensor)), None)

    def before_out(_: nn.Module, args: Any) -> Any:
        seen.y = args[0].detach().clone()
        changed = y(seen) if y is not None else None
        return None if changed is None else (changed, *args[1:])

    def after_g(_: nn.Module, __: Any, out: Tensor) -> None:
        seen.g = out.detach().clone()

    def after_out(_: nn.Module, __: Any, out: Tensor) -> None:
        seen.added = out.detach().clone()

    def leave(_: nn.Module, __: Any, out: Any) -> Any:
        first, *others = out if isinstance(out, tuple) else (out,)
        seen.z = first.detach().clone() if isinstance(first, Tensor) else None
        changed = z(seen) if z is not None else None
        if changed is None or not isinstance(out, tuple):
            return changed
        return (changed, *others)

    handles = [module.register_forward_pre_hook(begin)]
    handles.append(there.register_forward_pre_hook(mine(enter), with_kwargs=True))
    if parts is not None and parts.g is not None and parts.out is not None:
        handles.append(parts.g.register_forward_hook(mine(after_g)))
        handles.append(parts.out.register_forward_pre_hook(mine(before_out)))
        handles.append(parts.out.register_forward_hook(mine(after_out)))
    handles.append(there.register_forward_hook(mine(leave)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
