"""Equations (1) to (6) as slow loops over a state dict with the seed project's key names."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from nlviz.models.nonlocal_block import FUNCTIONS

CASES = list(itertools.product(FUNCTIONS, (1, 2, 3), (True, False), (True, False)))
SHAPES = {1: (11,), 2: (5, 6), 3: (2, 4, 5)}


def seed_state(
    function: str, dimension: int, pooled: bool, norm: bool, channels: int = 6
) -> dict[str, Tensor]:
    """A random state dict with exactly the keys AlexHex7/Non-local_pytorch's block has."""
    inner, ones = channels // 2, (1,) * dimension
    inside = ".0" if pooled else ""
    convs = {f"g{inside}": (inner, channels)}
    if function != "gaussian":
        convs |= {"theta": (inner, channels), f"phi{inside}": (inner, channels)}
    convs["W.0" if norm else "W"] = (channels, inner)
    state = {}
    for name, (outs, ins) in convs.items():
        state[f"{name}.weight"] = 0.5 * torch.randn(outs, ins, *ones)
        state[f"{name}.bias"] = torch.randn(outs)
    if function == "concatenation":
        state["concat_project.0.weight"] = torch.randn(1, 2 * inner, 1, 1)
    if norm:
        state["W.1.weight"], state["W.1.bias"] = torch.randn(channels), torch.randn(channels)
        state["W.1.running_mean"] = torch.randn(channels)
        state["W.1.running_var"] = torch.rand(channels) + 0.5
        state["W.1.num_batches_tracked"] = torch.tensor(7)
    return state


def weights_and_output(state: dict[str, Tensor], function: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """f/C (N, M) and z (C, …) for one x (C, …), a position at a time in float64.

    Where the state has lengths, what is compared is normalised: ``NonLocalBlock(norm=True)``.
    """
    state = {key: value.double() for key, value in state.items()}
    pooled, normed = "g.0.weight" in state, any(key.endswith("length") for key in state)
    x = x.double()
    columns = x.flatten(1).T
    compared = columns
    if normed:
        deviation = torch.sqrt(columns.var(0, correction=0) + 1e-5)
        compared = (columns - columns.mean(0)) / deviation

    def side(name: str, values: Tensor, parts: bool) -> list[Tensor]:
        conv = f"{name}.0" if parts else name
        if f"{conv}.weight" not in state:  # of the Gaussian kind
            return list(values)
        weight = state[f"{conv}.weight"]
        if weight[0, 0].numel() > 1:
            values = _windows(values, x.shape[1:], weight.shape[2:])
        return [weight.flatten(1) @ at + state[f"{conv}.bias"] for at in values]

    def length(name: str, values: list[Tensor]) -> list[Tensor]:
        if not normed:
            return values
        (own,) = (v for key, v in state.items() if key.startswith(name) and key.endswith("length"))
        return [own * at / max(float(at.norm()), 1e-12) for at in values]

    thetas = length("theta", side("theta", compared, normed))
    phis, gs = side("phi", compared, pooled or normed), side("g", columns, pooled)
    if pooled:
        phis, gs = (_pool(values, x.shape[1:], mean=normed) for values in (phis, gs))
    phis = length("phi", phis)

    rows, outputs = [], []
    for i, theta in enumerate(thetas):
        if function in ("gaussian", "embedded_gaussian"):
            f = [math.exp(theta @ phi) for phi in phis]
            constant = sum(f)
        elif function == "dot_product":
            f = [float(theta @ phi) for phi in phis]
            constant = len(phis)
        else:
            w = state["concat_project.0.weight"].flatten()
            f = [max(0.0, float(w @ torch.cat([theta, phi]))) for phi in phis]
            constant = len(phis)
        row = [value / constant for value in f]
        y = sum(weight * g for weight, g in zip(row, gs, strict=True))
        rows.append(row)
        outputs.append(_project(state, y) + columns[i])
    return torch.tensor(rows, dtype=torch.float64), torch.stack(outputs, 1).reshape(x.shape)


def _project(state: dict[str, Tensor], y: Tensor) -> Tensor:
    """W_z, with its batch norm where the state has one."""
    if "W.weight" in state:
        return state["W.weight"].flatten(1) @ y + state["W.bias"]
    out = state["W.0.weight"].flatten(1) @ y + state["W.0.bias"]
    spread = torch.sqrt(state["W.1.running_var"] + 1e-5)
    return (out - state["W.1.running_mean"]) / spread * state["W.1.weight"] + state["W.1.bias"]


def _windows(values: Tensor, shape: torch.Size, sides: torch.Size) -> Tensor:
    """(N, C · window) of the positions' values (N, C): what lies around each, zeros beyond."""
    whole = torch.zeros(values.shape[1], *(n + s - 1 for n, s in zip(shape, sides, strict=True)))
    whole = whole.to(values.dtype)
    inside = tuple(slice(s // 2, s // 2 + n) for n, s in zip(shape, sides, strict=True))
    whole[(slice(None), *inside)] = values.T.reshape(-1, *shape)
    return torch.stack(
        [
            whole[
                (slice(None), *(slice(i, i + s) for i, s in zip(at, sides, strict=True)))
            ].flatten()
            for at in itertools.product(*map(range, shape))
        ]
    )


def _pool(values: list[Tensor], shape: torch.Size, *, mean: bool) -> list[Tensor]:
    """Max or mean over windows of two along every axis but time, which is the first of three."""
    stacked = torch.stack(values).reshape(*shape, -1)
    windows = (1, 2, 2) if len(shape) == 3 else (2,) * len(shape)
    counts = [n // w for n, w in zip(shape, windows, strict=True)]
    pooled = []
    for corner in itertools.product(*(range(n) for n in counts)):
        window = tuple(slice(c * w, c * w + w) for c, w in zip(corner, windows, strict=True))
        inside = stacked[window].flatten(0, -2)
        pooled.append(inside.mean(0) if mean else inside.max(0).values)
    return pooled
