"""Which pairwise function and scale a block uses: found by recomputing its own output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.geometry import Grid
from nlviz.groups import Groups, across, apart, in_groups
from nlviz.hooks.fidelity import checked_queries, even_weights, is_right, relative_error
from nlviz.hooks.memory import is_out_of_memory
from nlviz.hooks.module_calls import unknown_way
from nlviz.hooks.nonlocal_blocks.parts import BlockParts, Pass

Array = NDArray[np.float32]

_LOST = 0.03  # of y, from which on rounding may be what makes it look wrong
_OFFLOADED = "has offloaded its {}, which is needed to check it; keep that on a device"


class _Convention(NamedTuple):
    function: str
    scale: float = 1.0
    reach: tuple[Groups, ...] = ()
    words: str = ""

    def __str__(self) -> str:
        return f"{self.function} × {self.scale:.3g}{self.words}"


def affinity_of(a_pass: Pass) -> tuple[Affinity, float]:
    """The affinity by the convention that reproduces the block's own y, and its relative error.

    Raises:
        CaptureError: the block did not do what such a block does, or computes none of the known
            conventions; with the measured errors.
    """
    if a_pass.refused is not None:
        raise CaptureError(a_pass.refused)
    try:
        return _affinity_of(a_pass)
    except Exception as fault:
        if isinstance(fault, CaptureError) or is_out_of_memory(fault):
            raise
        raise CaptureError(unknown_way(fault)) from fault


def _affinity_of(a_pass: Pass) -> tuple[Affinity, float]:
    seen, shapes = _complete(a_pass)
    dtype = seen["y"].dtype
    tried = list(_tries(a_pass.parts, seen, shapes))
    right = is_right(min(error for error, *_ in tried), dtype)
    if not right and (alone := _disentangled(a_pass.parts, seen)) is not None:
        tried += _tries(a_pass.parts, alone, shapes, ", θ and φ less their means")
        right = is_right(min(error for error, *_ in tried), dtype)
    if not right and shapes["theta"] == shapes["phi"] and min(shapes["phi"][-2:]) > 1:
        # What φ and g put out may be pooled by a call that is not a module of the block.
        tried += _tries(a_pass.parts, *_pooled(seen, shapes), ", keys pooled")
    error, _, best = min(tried, key=itemgetter(0))
    if not is_right(error, dtype):
        if (why := _rounded_away(a_pass, seen["y"])) is not None:
            raise CaptureError(why)
        errors = ", ".join(f"{convention}: {off:.2g}" for off, convention, _ in tried)
        raise CaptureError(
            f"computes none of the known conventions (relative error of y — {errors})"
        )
    return best, error


def _tries(
    parts: BlockParts,
    seen: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    words: str = "",
) -> Iterator[tuple[float, _Convention, Affinity]]:
    """The error of each convention, its name, and its affinity."""
    dtype, elements = seen["y"].dtype, len(seen["y"])
    stitched = {role: _stitched(tensor) for role, tensor in seen.items()}
    queries, keys = (_grid(shapes[role], elements) for role in ("theta", "phi"))
    theta, phi, g = (stitched[role] for role in ("theta", "phi", "g"))
    if keys.size != g.shape[1]:
        raise CaptureError(f"has {keys.size} keys but {g.shape[1]} values g")
    if parts.concat is not None:
        theta, phi = _factored(parts, theta, phi)
    for convention in _conventions(parts, len(theta), queries, keys, elements):
        function, scale, reach, _ = convention
        affinity = Affinity(function, theta, phi, queries, keys, scale, reach=reach)
        cells = checked_queries(affinity.query_grid)
        y = stitched["y"][:, [affinity.index(cell) for cell in cells]].T
        even = even_weights(affinity, cells) @ g.T if affinity.rows_sum_to_one else 0 * y
        error = relative_error(affinity.weights(cells) @ g.T, even, y, dtype)
        yield error, convention._replace(words=convention.words + words), affinity


def _pooled(
    seen: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Tensor], dict[str, tuple[int, ...]]]:
    """The same with φ and g max-pooled by two over space."""
    shape = shapes["phi"]
    kernel = (1, 2, 2) if len(shape) == 3 else 2
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(shape) - 1]
    fewer = {role: pool(_folded(seen[role], shape), kernel) for role in ("phi", "g")}
    flat = {role: tensor.flatten(2) for role, tensor in fewer.items()}
    return {**seen, **flat}, {**shapes, "phi": tuple(fewer["phi"].shape[2:])}


def _rounded_away(a_pass: Pass, y: Tensor) -> str | None:
    """Why y cannot be judged where z = γ y + x has rounded away what queries do not share of it."""
    z = a_pass.seen.get("z")
    if z is None or z.dtype.itemsize > 2:
        return None
    gamma = float(getattr(a_pass.parts.block, "gamma", 1.0))
    lost = torch.finfo(z.dtype).eps / 4 * float(z.float().norm()) / abs(gamma)
    told = y.float() - y.float().mean(2, keepdim=True)
    if lost < _LOST * float(told.norm()):
        return None
    kind = str(z.dtype).removeprefix("torch.")
    return (
        f"adds so little to its input (gamma {gamma:.3g}) that {kind} rounds its weights away, "
        "and they cannot be checked; run it in float32"
    )


def _disentangled(parts: BlockParts, seen: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The same with the pairwise term alone in y, and θ and φ less their means; None if it cannot.

    Yin et al., Disentangled Non-Local Neural Networks, Eq. (7).
    """
    if parts.kind != "disentangled" or parts.theta is None or parts.phi is None:
        return None
    apart = {
        role: seen[role].float() - seen[role].float().mean(2, keepdim=True)
        for role in ("theta", "phi")
    }
    mask, g = seen.get("mask"), seen["g"].float()
    if mask is None or mask.shape[1:] != (1, g.shape[2]):
        return {**seen, **apart}
    unary = (g * mask.float().softmax(2)).sum(2, keepdim=True)
    return {**seen, **apart, "y": (seen["y"].float() - unary).to(seen["y"].dtype)}


def _complete(a_pass: Pass) -> tuple[dict[str, Tensor], dict[str, tuple[int, ...]]]:
    """θ, φ, g and y, each (elements, channels, positions), and the axes of θ and φ."""
    seen, shapes, kind = dict(a_pass.seen), dict(a_pass.shapes), a_pass.parts.kind
    if a_pass.parts.out is None and {"x", "z"} <= seen.keys():
        gamma = getattr(a_pass.parts.block, "gamma", 1.0)
        gamma = torch.tensor(gamma) if isinstance(gamma, float) else gamma
        if isinstance(gamma, Tensor) and gamma.is_meta:
            raise CaptureError(_OFFLOADED.format("gamma"))
        if not isinstance(gamma, Tensor) or gamma.numel() != 1 or not float(gamma):
            raise CaptureError(
                f"has a gamma of {_said(gamma)}, so that its weights leave no trace in what it "
                "puts out and cannot be checked; load trained weights"
            )
        # In single precision, as MPS has no doubles; then judged in the precision of the block.
        y = (seen["z"].float() - seen["x"].float()) / float(gamma)
        seen["y"] = y.to(seen["z"].dtype)
    if kind == "context" and {"x", "phi", "y"} <= seen.keys():
        seen["g"], shapes["theta"] = seen["x"], shapes["phi"]
        seen["theta"] = torch.ones_like(seen["phi"])
        seen["y"] = seen["y"].expand(-1, -1, seen["phi"].shape[2])
    if "theta" in seen and "phi" not in seen:  # Gaussian without sub-sampling
        seen["phi"], shapes["phi"] = seen["theta"], shapes["theta"]
    missing = {"theta", "g", "y"} - seen.keys()
    if missing:
        raise CaptureError(f"did not call its {', '.join(sorted(missing))} on a tensor")
    if len({len(tensor) for role, tensor in seen.items() if role != "mask"}) != 1:
        raise CaptureError("works on parts of different batches")
    return seen, shapes


def _folded(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    return tensor.float().reshape(*tensor.shape[:2], *shape)


def _conventions(
    parts: BlockParts, width: int, queries: Grid, keys: Grid, elements: int
) -> Iterator[_Convention]:
    """What is worth trying; the paper's own come first and win a tie."""
    reach = apart(queries, keys, elements)
    group = getattr(parts.block, "group", None)
    if not reach and isinstance(group, int) and 0 < group < queries.t:
        reach = in_groups(queries, keys, group)
    own_word = getattr(parts.block, "function", None)  # a Gaussian block may normalise x by a child
    embedded = "gaussian" if own_word == "gaussian" else "embedded_gaussian"
    root = float(width) ** 0.5
    if parts.kind == "context":
        yield _Convention(embedded, 1.0, reach)
    elif parts.kind == "gamma":
        yield _Convention(embedded, 1.0, reach)
        if queries.shape == keys.shape:
            crossing = across(queries, elements)
            yield _Convention(embedded, 1.0, crossing, " over its row and column")
    elif parts.concat is not None:
        yield _Convention("concatenation", 1.0, reach)
    elif parts.theta is None:
        yield _Convention("gaussian", 1.0, reach)
        yield _Convention("gaussian", 1 / root, reach)
    else:
        for function, scale in ((embedded, 1.0), ("dot_product", 1.0)):
            yield _Convention(function, scale, reach)
        yield _Convention(embedded, 1 / root, reach)
        yield _Convention(embedded, root, reach)
        yield _Convention("dot_product", 1 / root, reach)
        own = getattr(parts.block, "scale", None)
        if isinstance(own, float) and own not in (1.0, 1 / root, root):
            yield _Convention(embedded, own, reach)
        temperature = getattr(parts.block, "temperature", None)
        if isinstance(temperature, float) and temperature not in (0.0, 1.0):
            yield _Convention(embedded, 1 / temperature, reach)
            yield _Convention(embedded, 1 / (root * temperature), reach)


def _factored(parts: BlockParts, theta: Array, phi: Array) -> tuple[Array, Array]:
    """w_fᵀ[θ_i, φ_j] = a_i + b_j as a product of two-channel vectors: (a_i, 1) · (1, b_j)."""
    weights = list(parts.concat.parameters()) if parts.concat is not None else []
    width = len(theta)
    if len(weights) != 1 or weights[0].numel() != 2 * width:
        raise CaptureError(
            f"must have a concatenation weight of {2 * width} numbers and no bias; "
            f"it has {[tuple(w.shape) for w in weights]}"
        )
    if weights[0].is_meta:
        raise CaptureError(_OFFLOADED.format("concatenation weight"))
    w = weights[0].detach().float().cpu().numpy().ravel()
    a, b = w[:width] @ theta, w[width:] @ phi
    return np.stack([a, np.ones_like(a)]), np.stack([np.ones_like(b), b])


def _stitched(tensor: Tensor) -> Array:
    """(elements, channels, positions) as (channels, all positions): elements follow in time."""
    array: Array = tensor.float().cpu().transpose(0, 1).flatten(1).numpy()
    return array


def _grid(shape: tuple[int, ...], elements: int) -> Grid:
    """(L,) is time, (H, W) one frame, (T, H, W) spacetime; elements follow each other in time."""
    if len(shape) == 1:
        return Grid(elements * shape[0], 1, 1)
    t, rows, cols = shape if len(shape) == 3 else (1, *shape)
    return Grid(elements * t, rows, cols)


def _said(value: object) -> str:
    if isinstance(value, Tensor) and value.numel() == 1:
        return f"{float(value):g}"
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
