"""Capture against the plain way: the block as it is usually written, its matrix built and kept.

The plain block is our own statement of what AlexHex7/Non-local_pytorch and others do: a product of
θ and φ, a softmax or a division, a product with g; for concatenation the repeated and joined tensor
of 2C' × N × M.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from benchmarks.measure import in_fresh_process, machine, medians, peak_rise
from nlviz import Affinity, capture
from nlviz.models.nonlocal_block import NonLocalBlock

CHANNELS = 512  # res3 of the paper's networks; C' = 256
SHAPES = ((8, 14, 14), (16, 28, 28), (32, 28, 28))
FUNCTIONS = ("embedded_gaussian", "dot_product", "concatenation")
LIMIT = 8 << 30  # bytes the plain way may ask for


def block_and_input(function: str, shape: tuple[int, int, int]) -> tuple[NonLocalBlock, Tensor]:
    torch.manual_seed(0)
    return NonLocalBlock(CHANNELS, function=function).eval(), torch.randn(1, CHANNELS, *shape)


def plain(block: NonLocalBlock, x: Tensor) -> tuple[Tensor, Tensor]:
    """(z, f/C) with the matrix of N × M weights."""
    with torch.no_grad():
        theta = block.theta(x).flatten(2).transpose(1, 2)
        phi, g = block.phi(x).flatten(2), block.g(x).flatten(2).transpose(1, 2)
        n, m = theta.shape[1], phi.shape[2]
        if block.function == "concatenation":
            left = theta.transpose(1, 2)[..., None].expand(-1, -1, -1, m)
            right = phi[:, :, None].expand(-1, -1, n, -1)
            weights = block.concat_project(torch.cat([left, right], dim=1))[:, 0] / m
        else:
            weights = theta @ phi
            weights = weights.softmax(-1) if "gaussian" in block.function else weights / m
        y = (weights @ g).transpose(1, 2).reshape(1, -1, *x.shape[2:])
        return block.W(y) + x, weights


def plain_bytes(function: str, shape: tuple[int, int, int]) -> int:
    """The largest tensor that the plain way builds."""
    t, rows, cols = shape
    pairs = t * rows * cols * t * (rows // 2) * (cols // 2)
    return 4 * pairs * (CHANNELS if function == "concatenation" else 1)


def ours(block: NonLocalBlock, x: Tensor) -> Affinity:
    (affinity,) = capture(block, x).affinities.values()
    return affinity


def forward_times(function: str, shape: tuple[int, int, int], with_plain: bool) -> list[float]:
    block, x = block_and_input(function, shape)
    actions = [lambda: ours(block, x)] + ([lambda: plain(block, x)] if with_plain else [])
    return medians(*actions, rounds=3)


def peak(function: str, shape: tuple[int, int, int], which: str) -> float:
    block, x = block_and_input(function, shape)
    with torch.no_grad():
        block(x[:, :, :1])  # threads and kernels are there
    return peak_rise((lambda: ours(block, x)) if which == "ours" else (lambda: plain(block, x)))


def row_times(function: str, shape: tuple[int, int, int], with_plain: bool) -> list[float]:
    """Median seconds of one row and its top 20, over 200 queries."""
    block, x = block_and_input(function, shape)
    affinity = ours(block, x)
    matrix = plain(block, x)[1][0] if with_plain else None
    queries = torch.randint(affinity.query_grid.size, (200,)).tolist()

    def median(ask) -> float:
        spent = []
        for i in queries:
            start = time.perf_counter()
            ask(i)
            spent.append(time.perf_counter() - start)
        return sorted(spent)[len(spent) // 2]

    found = [median(lambda i: affinity.top(affinity.query_grid.cell(i), 20))]
    if matrix is not None:
        found.append(median(lambda i: matrix[i].topk(20)))
    return found


def main() -> None:
    print(f"capture / plain way, C={CHANNELS}, C'={CHANNELS // 2}, keys pooled ({machine()})")
    compared = f"{'plain':>8} {'ratio':>6}"
    print(
        f"{'positions':>10} {'function':>18} | {'forward s':>9} {compared} | {'peak MiB':>9} "
        f"{compared} | {'row+top20 ms':>12} {'plain':>6}"
    )
    for shape in SHAPES:
        for function in FUNCTIONS:
            needs = plain_bytes(function, shape)
            fits = needs < LIMIT
            seconds = in_fresh_process(forward_times, function, shape, fits)
            rows = in_fresh_process(row_times, function, shape, fits)
            peaks = [in_fresh_process(peak, function, shape, "ours")]
            if fits:
                peaks.append(in_fresh_process(peak, function, shape, "plain"))
            print(_line(shape, function, seconds, peaks, [1e3 * r for r in rows], needs))


def _line(shape, function, seconds, peaks, rows, needs) -> str:
    def pair(values: list[float], digits: int) -> str:
        if len(values) == 1:
            return f"{values[0]:>9.{digits}f} {'-':>8} {'-':>6}"
        ratio = values[0] / values[1]
        return f"{values[0]:>9.{digits}f} {values[1]:>8.{digits}f} {ratio:>6.2f}"

    name = "×".join(map(str, shape))
    row = f"{rows[0]:>12.3f} {f'{rows[1]:.3f}' if len(rows) > 1 else '-':>6}"
    impossible = "" if len(rows) > 1 else f"  the plain way would need {needs / 2**30:,.0f} GiB"
    return f"{name:>10} {function:>18} | {pair(seconds, 2)} | {pair(peaks, 0)} | {row}{impossible}"


if __name__ == "__main__":
    main()
