"""The same forward pass once more, with hooks on one block to see and change what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.analysis import Analysis
from nlviz.errors import CaptureError
from nlviz.hooks.capture import evaluating
from nlviz.hooks.module_calls import first_tensor, this_thread
from nlviz.hooks.nonlocal_blocks.parts import BlockParts
from nlviz.inference.passes import network_input
from nlviz.inference.protocol import Network
from nlviz.query import layer_of


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

    def forget(self) -> None:
        """Let go of every tensor."""
        self.args, self.kwargs = (), None
        self.x = self.g = self.y = self.added = self.z = None


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))


def run(analysis: Analysis, network: Network) -> Any:
    """The network's output for the clip and input size of an analysis."""
    with evaluating(network.module):
        return network.module(network_input(analysis.clip, analysis.view, network))


def parts_of(module: nn.Module, block: str) -> BlockParts:
    """The parts of a non-local block by its name in an analysis.

    CaptureError for a name that is not such a block of the module.
    """
    _, parts, _ = find_block(module, block)
    if parts is None or parts.kind not in ("non-local", "disentangled"):
        raise CaptureError(
            f"Block {block!r} of {type(module).__name__} is not a non-local block, so it cannot be "
            "changed this way; choose another block."
        )
    return parts


def find_block(module: nn.Module, block: str) -> tuple[nn.Module, BlockParts | None, int]:
    """A block's module, its parts unless it is an attention, and which call is meant, from 1.

    CaptureError for a name that is not a module with children.
    """
    if layer_of(block) is not None:
        raise CaptureError(
            f"{block!r} is the similarity of a layer's features, not a weight of the network: "
            "there is nothing in it to run again or to change; choose a block of the network."
        )
    path, _, number = block.partition("#")
    modules = dict(module.named_modules())
    there = modules.get(path, module if path == type(module).__name__ else None)
    if there is None or not any(there.children()):
        raise CaptureError(
            f"Block {block!r} of {type(module).__name__} cannot be changed from outside: it is not "
            "a module that holds a non-local block or an attention."
        )
    return there, BlockParts.of(there), int(number or 1)


Change = Callable[[Call], Tensor | None]


@contextmanager
def one_call(
    module: nn.Module, block: str, *, y: Change | None = None, z: Change | None = None
) -> Iterator[Call]:
    """While it lasts, see one call of a block in each forward pass, and change its y or z.

    Only calls by this thread are seen. The hooks leave at the end, also after an error.

    Args:
        module: the network.
        block: the block's name in an analysis; ``#2`` is its second call.
        y: given the call so far, what goes into the output projection instead of y, or None.
        z: likewise, what the block puts out instead of z.

    Raises:
        CaptureError: a name that is not a block of the module.
    """
    probe = CallProbe(*find_block(module, block), y, z)
    with ExitStack() as hooks:
        probe.attach(module, hooks)
        yield probe.call


class CallProbe:
    """Hooks on a block and its children that see, and may change, one of its calls in a pass.

    Args:
        block: the block's module.
        parts: its children; None if it is an attention.
        number: which of its calls in each pass, from 1.
        y: what goes into the output projection instead of y, or None; see ``one_call``.
        z: what the block puts out instead of z, or None.
    """

    def __init__(
        self,
        block: nn.Module,
        parts: BlockParts | None,
        number: int,
        y: Change | None,
        z: Change | None,
    ) -> None:
        self.block, self.parts, self.number = block, parts, number
        self.y, self.z = y, z
        self.call = Call(attention=parts is None)
        self.count = 0

    def attach(self, module: nn.Module, hooks: ExitStack) -> None:
        """Register every hook, and its removal with ``hooks``; a pass is a call of ``module``."""
        block, enter = self.block, this_thread(self._enter)
        handles = [
            module.register_forward_pre_hook(this_thread(self._begin)),
            block.register_forward_pre_hook(enter, with_kwargs=True),
        ]
        if self.parts is not None and self.parts.g is not None and self.parts.out is not None:
            g, out = self.parts.g, self.parts.out
            handles.append(g.register_forward_hook(self._meant(self._after_g)))
            handles.append(out.register_forward_pre_hook(self._meant(self._before_out)))
            handles.append(out.register_forward_hook(self._meant(self._after_out)))
        handles.append(block.register_forward_hook(self._meant(self._leave)))
        for handle in handles:
            hooks.callback(handle.remove)

    def _meant(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """The hook, during the call that is meant only."""

        def heard(*args: Any) -> Any:
            return hook(*args) if self.count == self.number else None

        return this_thread(heard)

    def _begin(self, *_: Any) -> None:
        self.count = 0

    def _enter(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self.count += 1
        if self.count == self.number:
            call = self.call
            call.args = tuple(a.detach().clone() if isinstance(a, Tensor) else a for a in args)
            call.kwargs = dict(kwargs or {})
            call.x = first_tensor(call.args, call.kwargs)

    def _after_g(self, _: nn.Module, __: Any, out: Tensor) -> None:
        self.call.g = out.detach().clone()

    def _before_out(self, _: nn.Module, args: Any) -> Any:
        self.call.y = args[0].detach().clone()
        changed = self.y(self.call) if self.y is not None else None
        return None if changed is None else (changed, *args[1:])

    def _after_out(self, _: nn.Module, __: Any, out: Tensor) -> None:
        self.call.added = out.detach().clone()

    def _leave(self, _: nn.Module, __: Any, out: Any) -> Any:
        first, *others = out if isinstance(out, tuple) else (out,)
        self.call.z = first.detach().clone() if isinstance(first, Tensor) else None
        changed = self.z(self.call) if self.z is not None else None
        if changed is None or not isinstance(out, tuple):
            return changed
        return (changed, *others)
