"""``analyse`` of self-attention networks against the bare forward pass, taken in turns.

Beside it the price of places alone: a pass whose places are followed from the input to the output,
and read there, against the bare pass. Bundled networks have a record, so that their own analysis
does without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from benchmarks.capture import made_up_clip, prepared
from benchmarks.measure import in_fresh_process, machine, medians
from benchmarks.vision import Swin, ViT
from nlviz import Input, UserNetwork, analyse
from nlviz.hooks.places.follow import Following, Places
from nlviz.hooks.places.notes import cores_of
from nlviz.models import zoo

FRAMES = 8
TIMM = {
    "timm vit_small_patch16_224": 1.3,
    "timm vit_small_patch16_224, written out": 1.3,
    "timm swin_tiny_patch4_window7_224": 1.6,
    "timm swin_tiny_patch4_window7_224, written out": 1.6,
}
OWN: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "ViT-S": (lambda: ViT(fused=True), 1.3),
    "ViT-S, written out": (lambda: ViT(fused=False), 1.3),
    "Swin-T": (lambda: Swin(fused=True), 1.6),
    "Swin-T, written out": (lambda: Swin(fused=False), 1.6),
}
BUNDLED = {"nl-lite0": 1.05}


def goals() -> Iterator[tuple[str, float]]:
    """Each network that can be made here, and how many bare passes ``analyse`` may take."""
    yield from BUNDLED.items()
    yield from ((name, goal) for name, (_, goal) in OWN.items())
    if all(find_spec(package) for package in ("timm", "torchvision", "transformers")):
        yield from TIMM.items()


def network(name: str) -> Any:
    """The network of that name, with random weights if it is not a bundled one."""
    if name in BUNDLED:
        return zoo.load(name, device="cpu")
    torch.manual_seed(0)
    if name in OWN:
        module = OWN[name][0]()
    else:
        from tests.support.vision import timm

        module = timm.create_model(name.split(",")[0].removeprefix("timm "))
        for part in module.modules():
            if "written out" in name and hasattr(part, "fused_attn"):
                part.fused_attn = False
    return UserNetwork(module.eval(), Input(size=(224, 224)), name)


def places_followed(module: nn.Module, given: torch.Tensor) -> None:
    """A pass in which every place is followed, and those of the output are read.

    Raises:
        CaptureError: they were lost on the way, so that there is no price to tell.
    """
    places = Places(module, (given,))
    with torch.no_grad(), Following(places):
        output = module(given)
    cores_of(places.of(output), "outputs")


def times(name: str, frames: int, rounds: int, busy: bool) -> tuple[list[float], float, int]:
    """Seconds of the bare pass, with places and of ``analyse``, the worst fidelity, the blocks.

    On a busy machine it is the processor's seconds, on one thread.
    """
    if busy:
        torch.set_num_threads(1)
    clock = time.process_time if busy else time.perf_counter
    clip, measured = made_up_clip(frames), network(name)

    def bare() -> Any:
        with torch.no_grad():
            return measured.module(prepared(clip, measured))

    def placed() -> None:
        places_followed(measured.module, prepared(clip, measured))

    actions = bare, placed, lambda: analyse(clip, measured)
    seconds = medians(*actions, rounds=rounds, clock=clock)
    analysis = analyse(clip, measured)
    return seconds, max(analysis.fidelity.values()), len(analysis.blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="networks whose name has this in it")
    parser.add_argument("--busy", action="store_true", help="count the processor's seconds")
    options = parser.parse_args()
    print(f"analyse / bare forward, {options.frames} frames, CPU ({machine()})")
    print(f"{'network':<48} {'bare s':>7} {'analyse s':>10} {'time':>6} {'goal':>5} "
          f"{'places':>6} {'blocks':>6} {'fidelity':>8}")  # fmt: skip
    for name, goal in goals():
        if options.only not in name:
            continue
        (plain, placed, seen), error, blocks = in_fresh_process(
            times, name, options.frames, options.rounds, options.busy
        )
        print(f"{name:<48} {plain:>7.2f} {seen:>10.2f} {seen / plain:>6.2f} {goal:>5} "
              f"{placed / plain:>6.2f} {blocks:>6} {error:>8.1e}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
