"""The hooks of one block: they keep what it shows between its entry and its return."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from nlviz.errors import CaptureError
from nlviz.hooks.batch import Sample
from nlviz.hooks.module_calls import first_tensor, this_thread
from nlviz.hooks.nonlocal_blocks.parts import BlockParts, Pass


class Listener:
    """Hooks on a block and its children; each call of the block becomes a ``Pass``.

    It does not see the calls of other threads.

    Args:
        name: what to call the block.
        parts: the block.
        sample: what of each batch to keep.
        end: called with each pass as it ends.
    """

    def __init__(
        self, name: str, parts: BlockParts, sample: Sample, end: Callable[[Pass], None]
    ) -> None:
        self.name, self.parts, self.sample, self.end = name, parts, sample, end
        self.open: Pass | None = None
        self.inside_g = False

    def attach(self, hooks: ExitStack) -> None:
        """Register every hook, and its removal with ``hooks``."""
        parts = self.parts
        handles = [
            parts.block.register_forward_pre_hook(this_thread(self._enter), with_kwargs=True),
            parts.block.register_forward_hook(this_thread(self._leave), always_call=True),
        ]
        if parts.g is not None:
            handles.append(parts.g.register_forward_pre_hook(this_thread(self._enter_g)))
            handles.append(parts.g.register_forward_hook(self._keeper("g")))
        if parts.out is not None:
            before = this_thread(self._before_out)
            handles.append(parts.out.register_forward_pre_hook(before, with_kwargs=True))
        if parts.theta is not None:
            handles.append(parts.theta.register_forward_hook(self._keeper("theta")))
        if parts.phi is not None:
            handles.append(parts.phi.register_forward_hook(self._keeper("phi")))
        for handle in handles:
            hooks.callback(handle.remove)

    def _enter(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self.open = Pass(self.name, self.parts)
        x = first_tensor(args, kwargs)
        if self.parts.kind != "non-local":
            self._keep("x", x)
        elif self.parts.theta is None:  # the Gaussian kind: θ is the block's own input
            self._keep("theta", x)

    def _leave(self, _: nn.Module, __: Any, out: Any) -> None:
        if self.open is None:
            return
        if self.parts.kind == "gamma":
            self._keep("z", out[0] if isinstance(out, tuple) else out)
        ended, self.open = self.open, None
        self.end(ended)

    def _enter_g(self, *_: Any) -> None:
        self.inside_g = True

    def _keeper(self, role: str) -> Any:
        def keep(_: nn.Module, __: Any, out: Any) -> None:
            if role == "g":
                self.inside_g = False
            elif self.inside_g:  # a Gaussian block's φ is the very pool that also ends its g
                return
            self._keep(role, out)

        return this_thread(keep)

    def _before_out(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self._keep("y", first_tensor(args, kwargs))

    def _keep(self, role: str, tensor: Any) -> None:
        """A copy of one sample: the module may go on to change its tensors."""
        if self.open is None or not isinstance(tensor, Tensor):
            return
        if not 3 <= tensor.ndim <= 5:
            self.open.refused = (
                f"has a {role} of {tensor.ndim} axes; a non-local block has batch, channels and "
                "one to three more"
            )
            return
        try:
            part = self.sample.elements(len(tensor))
        except CaptureError as why:
            self.open.refused = str(why)
            return
        self.open.shapes[role] = tuple(tensor.shape[2:])
        self.open.seen[role] = tensor.detach()[part].flatten(2).clone()
