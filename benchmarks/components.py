"""What the first three components cost beyond the pass: `python -m benchmarks.components`.

25,088 positions of 768 channels, as 32 frames of 28 × 28 patches have; their variance falls from
direction to direction as that of features does. Beside it stands one plain layer of a vision
transformer over the same positions, each frame by itself: a pass has a dozen of them. Seconds of
the clock are those of the quickest round; what else runs adds nothing to seconds of the processor,
of which the ratio is.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.measure import machine, medians
from nlviz.features.basis import basis_of

LIMIT = 0.2  # seconds
LAYERS = 12  # of a pass


def features(channels: int, n: int, fall: float) -> NDArray[np.float32]:
    """Vectors away from the origin, of which direction k has variance k^(−2·fall)."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((channels, channels), dtype=np.float32))[0]
    spread = (np.arange(1, channels + 1) ** -fall).astype(np.float32)
    made = turn @ (spread[:, None] * rng.standard_normal((channels, n), dtype=np.float32))
    return made + 2 * rng.standard_normal((channels, 1), dtype=np.float32)


def main() -> int:
    """Print seconds and the ratio; 1 if the clock's are above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=25_088)
    parser.add_argument("--channels", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fall", type=float, nargs="+", default=[0.5, 1.0])
    options = parser.parse_args()
    n, channels = options.positions, options.channels
    layer = nn.TransformerEncoderLayer(channels, channels // 64, 4 * channels, batch_first=True)
    frames = torch.rand(32, n // 32, channels)
    with torch.inference_mode():
        (plain,) = medians(lambda: layer.eval()(frames), rounds=1, clock=time.process_time)
    print(f"three components of {n} × {channels}; {machine()}")
    print(f"a plain layer takes {plain:.2f} s of the processor, a pass has about {LAYERS}")
    missed = False
    for fall in options.fall:
        x = features(channels, n, fall)

        def components(x: NDArray[np.float32] = x) -> None:
            basis_of(x, of="output of a layer", network="made up").apply(x)

        quickest = np.inf
        for _ in range(options.rounds):
            begun = time.perf_counter()
            components()
            quickest = min(quickest, time.perf_counter() - begun)
        (spent,) = medians(components, rounds=options.rounds, clock=time.process_time)
        missed |= quickest > LIMIT
        print(
            f"variance k^-{2 * fall:g}: {1000 * quickest:.0f} ms by the clock, {spent:.2f} s of "
            f"the processor, {spent / plain:.2f} of a layer, {spent / plain / LAYERS:.1%} of a pass"
        )
    print(f"limit: {1000 * LIMIT:.0f} ms: {'missed' if missed else 'kept'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
