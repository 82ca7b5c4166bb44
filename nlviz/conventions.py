"""Which pairwise function and scale a block uses: settled by recomputing its own output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlviz.affinity import SOFTMAX_FUNCTIONS, Affinity
from nlviz.errors import CaptureError
from nlviz.geometry import Grid

Array = NDArray[np.float32]

# The names that θ, φ, g and W_z go by in the projects we know of.
_THETA = ("theta", "conv_theta")
_PHI = ("phi", "conv_phi")
_G = ("g", "conv_g")
_OUT = ("W", "out", "conv_out")
_CONCAT = ("concat_project",)
LOOKED_FOR = f"{' or '.join(_G)} and {' or '.join(_OUT)}"

# By precision: the greatest relative error of a capture that is right, and the least size of y
# (beside the size of what all queries have in common) that rounding leaves something to check in.
_LIMITS = {True: (0.02, 1e-3), False: (0.05, 0.2)}


class Parts(NamedTuple):
    """A block and the children that matter, None where it has no such child."""

    block: nn.Module
    theta: nn.Module | None
    phi: nn.Module | None
    g: nn.Module
    out: nn.Module
    concat: nn.Module | None

    @classmethod
    def of(cls, block: nn.Module) -> Parts | None:
        """The parts of a module whose children are named as a non-local block's; else None."""
        children = dict(block.named_children())

        def child(names: tuple[str, ...]) -> nn.Module | None:
            return next((children[name] for name in names if name in children), None)

        theta, phi, g, out = child(_THETA), child(_PHI), child(_G), child(_OUT)
        if g is None or out is None or (theta is not None and phi is None):
            return None
        return cls(block, theta, phi, g, out, child(_CONCAT))


@dataclass(slots=True)
class Pass:
    """What one call of one block showed.

    ``seen`` has θ, φ, g and y of one sample, (channels, positions); of y the queries ``checked``
    only. ``shapes`` are the axes behind the channels.
    """

    name: str
    parts: Parts
    seen: dict[str, Tensor] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    checked: Tensor | None = None
    refused: str | None = None


def settle(a_pass: Pass) -> tuple[Affinity, float]:
    """The convention that reproduces the block's own y, and its relative error.

    What all queries have in common says nothing about the weights: under a softmax that is the
    mean of g, which is taken off y before its size is what the error is measured by.

    Raises:
        CaptureError: the block did not do what a non-local block does, or computes none of the
            known conventions; with the errors that were measured.
    """
    if a_pass.refused is not None:
        raise CaptureError(a_pass.refused)
    seen = {role: tensor.float().cpu().numpy() for role, tensor in a_pass.seen.items()}
    seen.setdefault("phi", seen.get("theta", np.empty(0)))  # Gaussian without sub-sampling
    missing = {"theta", "g", "y"} - seen.keys()
    if missing or a_pass.checked is None:
        raise CaptureError(
            f"Block {a_pass.name!r} did not call its {', '.join(sorted(missing))} on a tensor."
        )
    queries = _grid(a_pass.shapes["theta"])
    keys = _grid(a_pass.shapes.get("phi", a_pass.shapes["theta"]))
    g, y = seen["g"], seen["y"].T
    if keys.size != g.shape[1]:
        raise CaptureError(f"Block {a_pass.name!r} has {keys.size} keys but {g.shape[1]} values g.")
    size = float(np.linalg.norm(y))
    if not size or not np.isfinite(size):
        raise CaptureError(
            f"Block {a_pass.name!r} puts out {size:g} for this input, so its weights cannot be "
            "checked; give it another input or weights."
        )
    limit, least = _LIMITS[a_pass.seen["y"].dtype in (torch.float32, torch.float64)]
    cells = [queries.cell(int(i)) for i in a_pass.checked]
    tried: list[tuple[float, Affinity]] = []
    for function, scale in _conventions(a_pass.parts, width=len(seen["theta"])):
        theta, phi = seen["theta"], seen["phi"]
        if function == "concatenation":
            theta, phi = _factored(a_pass.parts, theta, phi)
        affinity = Affinity(function, theta, phi, queries, keys, scale)
        off = float(np.linalg.norm(affinity.rows(cells).reshape(len(cells), -1) @ g.T - y))
        common = g.mean(axis=1) if function in SOFTMAX_FUNCTIONS else 0
        tried.append((off / max(float(np.linalg.norm(y - common)), least * size), affinity))
    error, best = min(tried, key=lambda pair: pair[0])
    if not error < limit:
        errors = ", ".join(f"{a.function} × {a.scale:.3g}: {off:.2g}" for off, a in tried)
        raise CaptureError(
            f"Block {a_pass.name!r} computes none of the known conventions (relative error of y — "
            f"{errors})."
        )
    return best, error


def _conventions(parts: Parts, width: int) -> tuple[tuple[str, float], ...]:
    """(function, scale) pairs worth trying; the paper's own come first and win a tie."""
    if parts.concat is not None:
        return (("concatenation", 1.0),)
    root = float(width) ** 0.5
    if parts.theta is None:
        return (("gaussian", 1.0), ("gaussian", 1 / root))
    embedded = "embedded_gaussian"
    return ((embedded, 1.0), ("dot_product", 1.0), (embedded, 1 / root), (embedded, root))


def _factored(parts: Parts, theta: Array, phi: Array) -> tuple[Array, Array]:
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
