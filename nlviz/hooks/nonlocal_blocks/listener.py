"""The hooks of one block: they keep what it shows between its entry and its return."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from nlviz.errors import CaptureError, NlvizError
from nlviz.hooks.batch import Sample
from nlviz.hooks.memory import is_out_of_memory
from nlviz.hooks.module_calls import first_tensor, this_thread, unknown_way
from nlviz.hooks.nonlocal_blocks.parts import BlockParts, Pass
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.notes import on_our_own

_called: WeakKeyDictionary[ExitStack, list[Listener]] = WeakKeyDictionary()
"""By the hooks of one capture: those whose blocks were called and are running."""


class Listener:
    """Hooks on a block and its children; each call of the block becomes a ``Pass``.

    It does not see the calls of other threads. Where the module calls ``block.forward(…)``, which
    runs no hooks, a pass begins with the first child that runs and ends behind the output
    projection.

    Args:
        name: what to call the block.
        parts: the block.
        sample: what of each batch to keep.
        places: what the pass shows of places.
        end: called with each pass as it ends.
    """

    def __init__(
        self,
        name: str,
        parts: BlockParts,
        sample: Sample,
        places: Places,
        end: Callable[[Pass], None],
    ) -> None:
        self.name, self.parts, self.sample, self.end = name, parts, sample, end
        self.places = places
        self.open: Pass | None = None
        self.inside_g = False
        self.entered = False
        self.called: list[Listener] = []

    def attach(self, hooks: ExitStack) -> None:
        """Register every hook, and its removal with ``hooks``."""
        parts, self.called = self.parts, _called.setdefault(hooks, [])
        handles = [
            parts.block.register_forward_pre_hook(self._heard(self._enter), with_kwargs=True),
            parts.block.register_forward_hook(self._heard(self._leave), always_call=True),
        ]
        if parts.g is not None:
            handles.append(parts.g.register_forward_pre_hook(self._heard(self._enter_g)))
            handles.append(parts.g.register_forward_hook(self._keeper("g")))
        if parts.out is not None:
            before = self._heard(self._before_out)
            handles.append(parts.out.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(parts.out.register_forward_hook(self._heard(self._after_out)))
        if parts.theta is not None:
            handles.append(parts.theta.register_forward_hook(self._keeper("theta")))
        if parts.phi is not None:
            handles.append(parts.phi.register_forward_hook(self._keeper("phi")))
        if parts.mask is not None:
            handles.append(parts.mask.register_forward_hook(self._keeper("mask")))
        for handle in handles:
            hooks.callback(handle.remove)
        hooks.callback(self._end_unseen)

    def _heard(self, hook: Callable[..., None]) -> Callable[..., None]:
        """The hook on this thread; a fault of it refuses the block, and the pass goes on."""

        def safe(*args: Any, **kwargs: Any) -> None:
            try:
                with on_our_own():
                    hook(*args, **kwargs)
            except NlvizError:
                raise
            except Exception as fault:
                if is_out_of_memory(fault):
                    raise
                # Any other: a look must not end the module's own pass.
                if self.open is not None:
                    self.open.refused = unknown_way(fault)

        return this_thread(safe)

    def _enter(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self._end_unseen()
        self.open, self.entered = Pass(self.name, self.parts), True
        self.called.append(self)
        x = first_tensor(args, kwargs)
        if self.parts.kind == "context" or self.parts.out is None:
            self._keep("x", x)
        if self.parts.kind == "non-local" and self.parts.theta is None:  # θ is the block's input
            self._keep("theta", x)

    def _leave(self, _: nn.Module, __: Any, out: Any) -> None:
        self.called[:] = [each for each in self.called if each is not self]
        if self.open is None:
            return
        if self.parts.out is None:
            self._keep("z", out[0] if isinstance(out, tuple) else out)
        self._end()

    def _end(self) -> None:
        if self.open is not None:
            ended, self.open, self.entered = self.open, None, False
            self.end(ended)

    def _end_unseen(self) -> None:
        """End a pass that began without a call of the block and did not reach its projection.

        One that has but some of the children is none: modules may share them.
        """
        if self.open is None or self.entered:
            return
        parts = {"theta": self.parts.theta, "phi": self.parts.phi, "g": self.parts.g}
        if {role for role, part in parts.items() if part is not None} <= self.open.seen.keys():
            self.open.refused = (
                "was run by its forward(), not called, so that what it put out went unseen; call it"
            )
            self._end()
        self.open = None

    def _began(self, role: str) -> None:
        """A child runs, maybe in a block whose forward() was called directly."""
        if self.open is not None and not self.entered and role in self.open.seen:
            self._end_unseen()
        if self.open is None and not self.called:  # else the child is another block's as well
            self.open = Pass(self.name, self.parts)

    def _enter_g(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self._began("g")
        if self.parts.kind == "non-local" and self.parts.theta is None and not self.entered:
            self._keep("theta", first_tensor(args, kwargs))
        self.inside_g = True

    def _keeper(self, role: str) -> Any:
        def keep(_: nn.Module, args: Any, out: Any) -> None:
            if role == "g":
                self.inside_g = False
            elif self.inside_g:  # a Gaussian block's φ is the very pool that also ends its g
                return
            self._began(role)
            if self.parts.kind == "context" and not self.entered:
                self._keep("x", first_tensor(args))
            self._keep(role, out)

        return self._heard(keep)

    def _before_out(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self._keep("y", first_tensor(args, kwargs))

    def _after_out(self, *_: Any) -> None:
        if not self.entered:
            self._end()

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
        theta = self.open.notes.get("theta")
        if role == "y" and theta is not None and theta.shape[2:] == tuple(tensor.shape[2:]):
            self.places.lies_as(tensor, theta)  # Eq. (1): y_i is of position i, however computed
        if (note := self.places.of(tensor)) is not None:
            self.open.notes[role] = note
        self.open.shapes[role] = tuple(tensor.shape[2:])
        self.open.seen[role] = tensor.detach()[part].flatten(2).clone()
