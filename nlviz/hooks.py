"""Hooks in, affinities out, hooks off: see any module's non-local blocks without editing it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.conventions import LOOKED_FOR, Parts, Pass, settle
from nlviz.errors import CaptureError

_CHECKED_QUERIES = 32


@dataclass(frozen=True, slots=True)
class Capture:
    """What one forward pass showed.

    Args:
        output: what the module's forward returned.
        affinities: block name → Affinity, in order of use; the name is the module's path, and a
            block that ran again in the same pass is numbered: ``nl``, ``nl#2``.
        fidelity: block name → ‖row · g − y‖ over some queries, y being what the block put into
            its output projection, beside the size of y without what all queries have in common:
            about 1e-6 in float32 where the capture is right.
        refused: block name → why it was found but not understood; such a block is never drawn.
    """

    output: Any
    affinities: Mapping[str, Affinity]
    fidelity: Mapping[str, float]
    refused: Mapping[str, str]


def capture(module: nn.Module, inputs: Any, *, sample: int | None = 0) -> Capture:
    """Run a module once and keep the affinity of every non-local block in it.

    A block is any sub-module whose children are named as in the paper: g and an output projection,
    θ and φ unless it is Gaussian, ``concat_project`` if it concatenates. Which pairwise function
    and scale it uses is settled by recomputing its own y and keeping what reproduces it.

    The module runs in evaluation mode without gradients; its training mode, parameters and hooks
    are afterwards what they were, also after an error. Passes over one module wait for each other,
    and calls that other threads make of it are not seen.

    Args:
        module: any module with non-local blocks in it, or a block itself.
        inputs: what to call it with: a tensor, a tuple of arguments or a mapping of keywords.
        sample: which element of the batch to keep; None insists on a batch of one.

    Raises:
        CaptureError: no block was found, none ran, or none was understood.
    """
    blocks = {
        name or type(block).__name__: parts
        for name, block in module.named_modules()
        if (parts := Parts.of(block)) is not None
    }
    if not blocks:
        raise CaptureError(
            f"No non-local block was found in {type(module).__name__}: none of its sub-modules has "
            f"children named {LOOKED_FOR}."
        )
    with evaluating(module):
        with _listening(blocks, sample) as passes:
            output = _call(module, inputs)
        return _understood(output, passes, tuple(blocks))


def _call(module: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


# Two captures at once would see each other's training mode, if only of a shared sub-module.
_one_at_a_time = threading.RLock()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, one thread at a time; the mode is put back at the end."""
    with _one_at_a_time, torch.no_grad():
        modes = {m: m.training for m in module.modules()}
        try:
            module.eval()
            yield
        finally:
            for m, training in modes.items():
                m.training = training


@contextmanager
def _listening(blocks: dict[str, Parts], sample: int | None) -> Iterator[list[Pass]]:
    """Hooks on every block for as long as the context lasts; the passes come in order of use."""
    passes: list[Pass] = []
    with ExitStack() as hooks:
        for name, parts in blocks.items():
            _Listener(name, parts, sample, passes).attach(hooks)
        yield passes


class _Listener:
    """The hooks of one block; they keep what it shows between its entry and its return."""

    def __init__(self, name: str, parts: Parts, sample: int | None, passes: list[Pass]) -> None:
        self.name, self.parts, self.sample, self.passes = name, parts, sample, passes
        self.thread = threading.get_ident()
        self.count = 0
        self.open: Pass | None = None
        self.inside_g = False

    def attach(self, hooks: ExitStack) -> None:
        """Register every hook, and its removal with ``hooks``."""
        parts = self.parts
        handles = [
            parts.block.register_forward_pre_hook(self._enter, with_kwargs=True),
            parts.block.register_forward_hook(self._leave, always_call=True),
            parts.g.register_forward_pre_hook(self._enter_g),
            parts.g.register_forward_hook(self._keeper("g")),
            parts.out.register_forward_pre_hook(self._before_out, with_kwargs=True),
        ]
        if parts.theta is not None:
            handles.append(parts.theta.register_forward_hook(self._keeper("theta")))
        if parts.phi is not None:
            handles.append(parts.phi.register_forward_hook(self._keeper("phi")))
        for handle in handles:
            hooks.callback(handle.remove)

    # Torch may still call a hook that was removed while a pass of another thread was under way,
    # and then without the keywords: hence the defaults.
    def _enter(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        if threading.get_ident() != self.thread:
            return
        self.count += 1
        number = f"#{self.count}" if self.count > 1 else ""
        self.open = Pass(self.name + number, self.parts)
        self.passes.append(self.open)
        if self.parts.theta is None:  # the Gaussian kind: θ is the block's own input
            self._keep("theta", _first_tensor(args, kwargs))

    def _leave(self, *_: Any) -> None:
        if threading.get_ident() == self.thread:
            self.open = None

    def _enter_g(self, *_: Any) -> None:
        self.inside_g = threading.get_ident() == self.thread or self.inside_g

    def _keeper(self, role: str) -> Any:
        def keep(_: nn.Module, __: Any, out: Any) -> None:
            if threading.get_ident() != self.thread:
                return
            if role == "g":
                self.inside_g = False
            elif self.inside_g:  # a Gaussian block's φ is the very pool that also ends its g
                return
            self._keep(role, out)

        return keep

    def _before_out(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        if threading.get_ident() == self.thread:
            self._keep("y", _first_tensor(args, kwargs))

    def _keep(self, role: str, tensor: Any) -> None:
        """A copy of one sample: the module may go on to change its tensors."""
        if self.open is None or not isinstance(tensor, Tensor):
            return
        if not 3 <= tensor.ndim <= 5:
            self.open.refused = (
                f"Block {self.name!r} has a {role} of {tensor.ndim} axes; a non-local block has "
                "batch, channels and one to three more."
            )
            return
        flat = tensor.detach()[self._sample(len(tensor))].flatten(1)
        self.open.shapes[role] = tuple(tensor.shape[2:])
        if role == "y":
            n = flat.shape[1]
            steps = min(n, _CHECKED_QUERIES)
            self.open.checked = torch.linspace(0, n - 1, steps, device=flat.device).round().long()
            flat = flat[:, self.open.checked]
        self.open.seen[role] = flat.clone()

    def _sample(self, batch: int) -> int:
        if self.sample is None and batch != 1:
            raise CaptureError(
                f"Block {self.name!r} ran on a batch of {batch}, as blocks do that see each frame "
                "alone; a clip is analysed where a block sees all of it as one sample."
            )
        sample = self.sample or 0
        if not 0 <= sample < batch:
            raise CaptureError(
                f"Sample {sample} is not in block {self.name!r}'s batch of {batch}; "
                "choose one that is."
            )
        return sample


def _first_tensor(args: Any, kwargs: Any) -> Tensor | None:
    values = (*args, *(kwargs or {}).values())
    return next((value for value in values if isinstance(value, Tensor)), None)


def _understood(output: Any, passes: list[Pass], found: tuple[str, ...]) -> Capture:
    if not passes:
        raise CaptureError(
            f"No non-local block ran in this forward pass; found were {', '.join(found)}."
        )
    affinities: dict[str, Affinity] = {}
    fidelity: dict[str, float] = {}
    refused: dict[str, str] = {}
    for a_pass in passes:
        try:
            affinity, error = settle(a_pass)
        except CaptureError as why:
            refused[a_pass.name] = str(why)
            continue
        affinities[a_pass.name], fidelity[a_pass.name] = affinity, error
    if not affinities:
        raise CaptureError("No block was understood: " + " ".join(refused.values()))
    return Capture(
        output, MappingProxyType(affinities), MappingProxyType(fidelity), MappingProxyType(refused)
    )
