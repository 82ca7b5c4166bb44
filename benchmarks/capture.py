"""``analyse`` against the bare forward pass of the same network on the same clip."""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import torch

from benchmarks.measure import (
    finished,
    gpu_peak_rise,
    in_fresh_process,
    machine,
    medians,
    peak_rise,
)
from nlviz import Clip, analyse
from nlviz.models import zoo

SIZE = (854, 480)


def made_up_clip(frames: int) -> Clip:
    """Smooth noise: what is in the frames changes neither time nor memory."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (frames, 30, 54, 3), dtype=np.uint8)
    pixels = np.stack([cv2.resize(frame, SIZE) for frame in small])
    indices = tuple(range(frames))
    return Clip(pixels, indices, tuple(i / 24 for i in indices), "noise", frames)


def prepared(clip: Clip, network: zoo.Network) -> torch.Tensor:
    width, height = network.input_size(clip.width, clip.height, network.default_size)
    frames = [cv2.resize(f, (width, height), interpolation=cv2.INTER_AREA) for f in clip.frames]
    return network.prepare(np.stack(frames))


def times(frames: int, device: str, rounds: int) -> tuple[float, float]:
    clip, network = made_up_clip(frames), zoo.load("nl-lite0", device=device)

    def bare() -> None:
        with torch.no_grad():
            network.module(prepared(clip, network))
        finished(device)

    plain, seen = medians(bare, lambda: analyse(clip, network), rounds=rounds)
    return plain, seen


def memory(frames: int, device: str, captured: bool) -> tuple[float, float]:
    """(peak rise on the device, size of θ + φ + g) in MiB."""
    clip, network = made_up_clip(frames), zoo.load("nl-lite0", device=device)

    def bare() -> torch.Tensor:
        with torch.no_grad():
            return network.module(prepared(clip, network))

    analysis = analyse(clip, network)
    held = sum(
        4 * (a.theta.size + 2 * a.phi.size) for a in (analysis.affinity(b) for b in analysis.blocks)
    )  # g is as large as φ
    del analysis
    bare()
    rise = peak_rise if device == "cpu" else gpu_peak_rise
    return rise((lambda: analyse(clip, network)) if captured else bare), held / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    device = options.device
    print(f"analyse / bare forward, nl-lite0 at 640, {device.upper()} ({machine()})")
    print(f"{'frames':>6} {'bare s':>8} {'analyse s':>10} {'time':>6} {'extra MiB':>10} "
          f"{'θ+φ+g MiB':>10} {'memory':>7}")  # fmt: skip
    for frames in options.frames:
        plain, seen = in_fresh_process(times, frames, device, options.rounds)
        (low, held), (high, _) = (
            in_fresh_process(memory, frames, device, captured) for captured in (False, True)
        )
        print(f"{frames:>6} {plain:>8.2f} {seen:>10.2f} {seen / plain:>6.3f} {high - low:>10.1f} "
              f"{held:>10.1f} {(high - low) / held:>7.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
