"""Hooks in, affinities out, hooks off: see any module's non-local blocks without editing it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.geometry import Grid

# The names that θ, φ, g and W_z go by in the projects we know of.
_THETA = ("theta", "conv_theta")
_PHI = ("phi", "conv_phi")
_G = ("g", "conv_g")
_OUT = ("W", "out", "conv_out")
_CONCAT = ("concat_project",)

_CHECKED_QUERIES = 32
_UNDERSTOOD = 0.05  # half precision stays below 0.01; a wrong convention is far above


@dataclass(frozen=True, slots=True)
class Capture:
    """What one forward pass showed.

    Args:
        output: what the module's forward returned.
        affinities: block name → Affinity, in order of use; the name is the module's path, and a
            block that ran again in the same pass is numbered: ``nl``, ``nl#2``.
        fidelity: block name → ‖row · g − y‖ / ‖y‖ over some queries, y being what the block put
            into its output projection: about 1e-6 in float32 where the capture is right.
        refused: block name → why it was found but not understood; such a block is never drawn.
    """

    output: Any
    affinities: Mapping[str, Affinity]
    fidelity: Mapping[str, float]
    refused: Mapping[str, str]


def capture(module: nn.Module, inputs: Any, *, sample: int = 0) -> Capture:
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
        sample: which element of the batch to keep.

    Raises:
        CaptureError: no block was found, none ran, or none was understood.
    """
    blocks = {
        name or type(block).__name__: parts
        for name, block in module.named_modules()
        if (parts := _parts(block)) is not None
    }
    if not blocks:
        raise CaptureError(
            f"No non-local block was found in {type(module).__name__}: none of its sub-modules has "
            f"children named {' or '.join(_G)} and {' or '.join(_OUT)}."
        )
    with _alone(module), _evaluating(module), torch.no_grad():
        with _listening(blocks, sample) as passes:
            output = _call(module, inputs)
        return _understood(output, passes, tuple(blocks))


class _Parts(NamedTuple):
    """A block and the children that matter, None where it has no such child."""

    block: nn.Module
    theta: nn.Module | None
    phi: nn.Module | None
    g: nn.Module
    out: nn.Module
    concat: nn.Module | None


@dataclass(slots=True)
class _Pass:
    """What one call of one block showed: tensors of one sample, (channels, positions)."""

    name: str
    parts: _Parts
    seen: dict[str, Tensor] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    checked: Tensor | None = None  # which queries' y is kept
    inside_g: bool = False


def _parts(block: nn.Module) -> _Parts | None:
    children = dict(block.named_children())

    def child(names: tuple[str, ...]) -> nn.Module | None:
        return next((children[name] for name in names if name in children), None)

    theta, phi, g, out = child(_THETA), child(_PHI), child(_G), child(_OUT)
    if g is None or out is None or (theta is not None and phi is None):
        return None
    return _Parts(block, theta, phi, g, out, child(_CONCAT))


def _call(module: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


# One lock a module: two passes at once would see each other's training mode.
_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


@contextmanager
def _alone(module: nn.Module) -> Iterator[None]:
    with _locks_guard:
        lock = _locks.setdefault(module, threading.RLock())
    with lock:
        yield


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = {m: m.training for m in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for m, training in modes.items():
            m.training = training


@contextmanager
def _listening(blocks: dict[str, _Parts], sample: int) -> Iterator[list[_Pass]]:
    """Hooks on every block for as long as the context lasts; the passes come in order of use."""
    thread = threading.get_ident()
    passes: list[_Pass] = []
    with ExitStack() as hooks:
        for name, parts in blocks.items():
            _listen(name, parts, sample, thread, passes, hooks)
        yield passes


def _listen(
    name: str, parts: _Parts, sample: int, thread: int, passes: list[_Pass], hooks: ExitStack
) -> None:
    mine: list[_Pass] = []  # this block's passes; the last one is open

    def begin(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != thread:
            return
        number = f"#{len(mine) + 1}" if mine else ""
        mine.append(_Pass(name + number, parts))
        passes.append(mine[-1])
        if parts.theta is None:  # the Gaussian kind: θ is the block's own input
            x = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
            if x is not None:
                _keep(mine[-1], "theta", x, sample)

    def keep(role: str) -> Any:
        def hook(_: nn.Module, __: tuple[Any, ...], out: Any) -> None:
            if threading.get_ident() != thread or not mine or not isinstance(out, Tensor):
                return
            if role == "g":
                mine[-1].inside_g = False
            elif mine[-1].inside_g:  # a Gaussian block's φ is the very pool that also ends its g
                return
            _keep(mine[-1], role, out, sample)

        return hook

    def before_g(_: nn.Module, __: tuple[Any, ...]) -> None:
        if threading.get_ident() == thread and mine:
            mine[-1].inside_g = True

    def before_out(_: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() == thread and mine and args and isinstance(args[0], Tensor):
            _keep(mine[-1], "y", args[0], sample)

    handles = [
        parts.block.register_forward_pre_hook(begin, with_kwargs=True),
        parts.g.register_forward_pre_hook(before_g),
        parts.g.register_forward_hook(keep("g")),
        parts.out.register_forward_pre_hook(before_out),
    ]
    if parts.theta is not None:
        handles.append(parts.theta.register_forward_hook(keep("theta")))
    if parts.phi is not None:
        handles.append(parts.phi.register_forward_hook(keep("phi")))
    for handle in handles:
        hooks.callback(handle.remove)


def _keep(a_pass: _Pass, role: str, tensor: Tensor, sample: int) -> None:
    """A copy of one sample, (channels, positions): the module may go on to change its tensors."""
    if not 0 <= sample < len(tensor):
        raise CaptureError(
            f"Sample {sample} is not in block {a_pass.name!r}'s batch of {len(tensor)}; "
            "choose one that is."
        )
    flat = tensor.detach()[sample].flatten(1)
    a_pass.shapes[role] = tuple(tensor.shape[2:])
    if role == "y":
        n = flat.shape[1]
        steps = min(n, _CHECKED_QUERIES)
        a_pass.checked = torch.linspace(0, n - 1, steps, device=flat.device).round().long()
        flat = flat[:, a_pass.checked]
    a_pass.seen[role] = flat.clone()


def _understood(output: Any, passes: list[_Pass], found: tuple[str, ...]) -> Capture:
    if not passes:
        raise CaptureError(
            f"No non-local block ran in this forward pass; found were {', '.join(found)}."
        )
    affinities: dict[str, Affinity] = {}
    fidelity: dict[str, float] = {}
    refused: dict[str, str] = {}
    for a_pass in passes:
        try:
            affinity, error = _settle(a_pass)
        except CaptureError as why:
            refused[a_pass.name] = str(why)
            continue
        affinities[a_pass.name], fidelity[a_pass.name] = affinity, error
    if not affinities:
        raise CaptureError("No block was understood: " + " ".join(refused.values()))
    return Capture(
        output, MappingProxyType(affinities), MappingProxyType(fidelity), MappingProxyType(refused)
    )


def _settle(a_pass: _Pass) -> tuple[Affinity, float]:
    """The convention that reproduces the block's own y, and its relative error."""
    seen = {role: tensor.float().cpu().numpy() for role, tensor in a_pass.seen.items()}
    seen.setdefault("phi", seen.get("theta", np.empty(0)))  # Gaussian without sub-sampling
    missing = {"theta", "g", "y"} - seen.keys()
    if missing or a_pass.checked is None:
        raise CaptureError(
            f"Block {a_pass.name!r} did not call its {', '.join(sorted(missing))} on a tensor."
        )
    queries = _grid(a_pass.shapes["theta"])
    keys = _grid(a_pass.shapes.get("phi", a_pass.shapes["theta"]))
    cells = [queries.cell(int(i)) for i in a_pass.checked]
    norm = float(np.linalg.norm(seen["y"])) or 1.0
    tried: dict[str, float] = {}
    best: tuple[float, Affinity] | None = None
    for function, scale in _conventions(a_pass.parts, width=len(seen["theta"])):
        theta, phi = seen["theta"], seen["phi"]
        if function == "concatenation":
            theta, phi = _factored(a_pass.parts, theta, phi)
        affinity = Affinity(function, theta, phi, queries, keys, scale)
        rows = affinity.rows(cells).reshape(len(cells), -1)
        if rows.shape[1] != seen["g"].shape[1]:
            raise CaptureError(
                f"Block {a_pass.name!r} has {rows.shape[1]} keys but {seen['g'].shape[1]} values g."
            )
        error = float(np.linalg.norm(rows @ seen["g"].T - seen["y"].T)) / norm
        tried[f"{function} × {scale:.3g}"] = error
        if best is None or error < best[0]:
            best = (error, affinity)
    if best is None or not best[0] < _UNDERSTOOD:
        errors = ", ".join(f"{what}: {error:.2g}" for what, error in tried.items())
        raise CaptureError(
            f"Block {a_pass.name!r} computes none of the known conventions (relative error of y — "
            f"{errors})."
        )
    return best[1], best[0]


def _conventions(parts: _Parts, width: int) -> tuple[tuple[str, float], ...]:
    """(function, scale) pairs worth trying; the paper's own come first and win a tie."""
    if parts.concat is not None:
        return (("concatenation", 1.0),)
    root = float(width) ** 0.5
    if parts.theta is None:
        return (("gaussian", 1.0), ("gaussian", 1 / root))
    embedded = "embedded_gaussian"
    return ((embedded, 1.0), ("dot_product", 1.0), (embedded, 1 / root), (embedded, root))


def _factored(
    parts: _Parts, theta: np.ndarray[Any, Any], phi: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """w_fᵀ[θ_i, φ_j] = a_i + b_j as a product of two-channel vectors: (a_i, 1) · (1, b_j)."""
    weights = list(parts.concat.parameters()) if parts.concat is not None else []
    width = len(theta)
    if len(weights) != 1 or weights[0].numel() != 2 * width:
        raise CaptureError(
            f"The concatenation weight must have {2 * width} numbers and no bias; "
            f"got {[tuple(w.shape) for w in weights]}."
        )
    w = weights[0].detach().float().cpu().numpy().ravel()
    a, b = w[:width] @ theta, w[width:] @ phi
    return np.stack([a, np.ones_like(a)]), np.stack([np.ones_like(b), b])


def _grid(shape: tuple[int, ...]) -> Grid:
    """(L,) is time, (H, W) one frame, (T, H, W) spacetime."""
    if len(shape) == 1:
        return Grid(shape[0], 1, 1)
    t, rows, cols = shape if len(shape) == 3 else (1, *shape)
    return Grid(t, rows, cols)
