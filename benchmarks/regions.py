"""What a box or a lasso costs against the plain mean of its cells' rows.

`python -m benchmarks.regions`. The grids are those of block nl3 of the bundled network, a cell each
8 pixels, of 8 frames at 640 and 1280 pixels; θ and φ are random. Both sides are taken in turns,
in seconds of the processor.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

import nlviz
from benchmarks.measure import in_fresh_process, machine, medians, peak_rise
from nlviz import Affinity, Analysis, Clip, Grid, Region, View

LIMIT = 1.5
BUDGET = 64.0  # MiB
WIDTH = 20  # channels


def made_up(size: int, frames: int) -> Analysis:
    """Pooled keys as nl3 has them, a softmax, nothing of a network."""
    width, height = size, size * 9 // 16
    rng = np.random.default_rng(0)
    queries = Grid(frames, height // 8, width // 8)
    keys = Grid(frames, height // 16, width // 16)
    theta, phi = (rng.normal(size=(WIDTH, grid.size)) for grid in (queries, keys))
    indices = tuple(range(frames))
    clip = Clip(
        np.zeros((frames, height, width, 3), np.uint8), indices, tuple(map(float, indices)),
        "made up", frames,
    )  # fmt: skip
    return Analysis(
        clip=clip,
        view=View((width, height), (width, height), indices),
        network="made up",
        affinities={"nl3": Affinity("embedded_gaussian", theta, phi, queries, keys)},
        fidelity={"nl3": 0.0},
    )


def regions(size: int) -> dict[str, Region]:
    """A box over a fifth of the frame and a lasso of 400 corners."""
    width, height = size, size * 9 // 16
    box = Region.box(0, 0.25 * width, 0.25 * height, 0.7 * width, 0.7 * height)
    corners = (
        (
            width * (0.5 + 0.3 * (1 + 0.2 * math.cos(7 * turn)) * math.cos(turn)),
            height * (0.5 + 0.3 * (1 + 0.2 * math.cos(7 * turn)) * math.sin(turn)),
        )
        for turn in np.linspace(0, 2 * math.pi, 400, endpoint=False)
    )
    return {"box": box, "lasso": Region(0, tuple(corners))}


def measure(size: int, frames: int, name: str, reverse: bool) -> tuple[int, float, float, float]:
    """(cells, seconds of the plain mean, seconds of the answer, MiB of the answer)."""
    analysis, region = made_up(size, frames), regions(size)[name]
    query = nlviz.Query(region, "nl3", exclude="cell", reverse=reverse)
    affinity = analysis.affinity("nl3")
    cells = nlviz.row_of(analysis, query).cells  # works out the constants that columns need

    def plain() -> None:
        if reverse:
            total = np.zeros(affinity.query_grid.shape)
            for cell in cells:
                total += affinity.column(cell)
        else:
            total = np.zeros(affinity.key_grid.shape)
            for _, rows in affinity.chunks(cells):
                total += rows.sum(axis=0, dtype=np.float64)

    def answer() -> None:
        nlviz.top_links(analysis, query)

    slow, fast = medians(plain, answer, rounds=3, clock=time.process_time)
    return len(cells), slow, fast, peak_rise(answer)


def main() -> int:
    """Print the ratios; 1 if one is above the limit, or the memory above its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, 1280])
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    print(f"a region's links / the mean of its cells' rows, {options.frames} frames; {machine()}")
    print(f"{'size':>5} {'region':>14} {'cells':>6} {'mean s':>8} {'links s':>8} "
          f"{'ratio':>6} {'MiB':>6}")  # fmt: skip
    missed = False
    for size in options.sizes:
        for name in ("box", "lasso"):
            for reverse in (False, True):
                cells, slow, fast, rise = in_fresh_process(
                    measure, size, options.frames, name, reverse
                )
                missed |= fast > LIMIT * slow or rise > BUDGET
                told = name + (" reverse" if reverse else "")
                print(f"{size:>5} {told:>14} {cells:>6} {slow:>8.3f} {fast:>8.3f} "
                      f"{fast / slow:>6.2f} {rise:>6.0f}")  # fmt: skip
    print(f"limits: {LIMIT} times, {BUDGET:.0f} MiB: {'missed' if missed else 'kept'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
