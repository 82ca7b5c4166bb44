"""Do the blocks help the network, and does it still classify: agreement of its predictions.

All clips and photographs are held out of training. A clip counts where the plain network is fairly
sure of it, for there is nothing to agree with elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from nlviz.models.zoo import Network
from training.data.corruptions import KINDS, corrupt
from training.data.photographs import Photographs
from training.data.render import render
from training.stages.passes import scores, trunk

SEED = 2_000_003
CLIPS, LENGTH, SIDE, CORRUPTED, SURE = 160, 8, 224, 6, 0.25
ALL = "all"  # corruptions together


@dataclass(frozen=True, slots=True)
class Agreement:
    """With ``CORRUPTED`` of ``LENGTH`` frames corrupted: the share of clips whose best class is
    that of the plain network on the clean clip, and the same for the corrupted and clean frames
    one by one.

    ``ablated`` are the blocks that pass x on as it is; ``gain`` is by how much ``clips`` exceeds
    that of the network without any block, clip by clip, and ``error`` the standard error of that.
    """

    corruption: str
    ablated: tuple[str, ...]
    clips: float
    frames: float
    gain: float
    error: float


@dataclass(frozen=True, slots=True)
class Classification:
    """On clean photographs: the plain network's best class is ours, or is among our five."""

    size: int
    photographs: int
    top1: float
    top5: float


def helped(network: Network, clips: Sequence[np.ndarray]) -> list[Agreement]:
    """Agreement for each corruption and all, with all blocks, without each, and without any."""
    blocks = tuple(network.taps)
    variants = [(), *((block,) for block in blocks), blocks]
    # What agrees of each clip: (variants, corruptions, clips, clip or frames).
    same = np.zeros((len(variants), len(KINDS), len(clips), 2))
    for number, clean in enumerate(clips):
        wanted = _scores(network, _read(network, clean), blocks)
        for k, kind in enumerate(KINDS):
            frames = corrupt(clean, kind, CORRUPTED, np.random.default_rng((SEED, number, k)))
            read = _read(network, frames)
            for v, variant in enumerate(variants):
                got = _scores(network, read, variant)
                clip = got.mean(0).argmax() == wanted.mean(0).argmax()
                each = (got.argmax(1) == wanted.argmax(1)).float().mean()
                same[v, k, number] = float(clip), float(each)
    return [
        _agreement(kind, variant, of_variant[rows].mean(axis=0), same[-1][rows].mean(axis=0))
        for kind, rows in (*((kind, [k]) for k, kind in enumerate(KINDS)), (ALL, slice(None)))
        for variant, of_variant in zip(variants, same, strict=True)
    ]


def _agreement(
    kind: str, ablated: tuple[str, ...], found: np.ndarray, without: np.ndarray
) -> Agreement:
    """From what agrees of each clip, (clips, clip or frames), and the same without any block."""
    clips, frames = found.mean(axis=0)
    gains = found[:, 0] - without[:, 0]
    error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return Agreement(kind, ablated, *map(float, (clips, frames, gains.mean(), error)))


def clips(photographs: Photographs, network: Network, count: int = CLIPS) -> list[np.ndarray]:
    """Clean clips (T, H, W, 3) with at most one object on a moving photograph."""
    found: list[np.ndarray] = []
    number = 0
    while len(found) < count:
        rng = np.random.default_rng((SEED, number))
        number += 1
        clip = render(
            photographs, rng, length=LENGTH, width=SIDE, height=SIDE, objects=int(rng.integers(2))
        ).clean
        scores = _scores(network, _read(network, clip[::4]), tuple(network.taps))
        if float(scores.mean(0).softmax(0).max()) >= SURE:
            found.append(clip)
    return found


def sizes(network: Network, clips: Iterable[np.ndarray]) -> dict[str, float]:
    """Block name to ‖W_z y‖ / ‖x‖, averaged over clean clips."""
    ratios: dict[str, list[float]] = {block: [] for block in network.taps}

    def keep(block: str):
        def hook(_, inputs: tuple[Tensor, ...], z: Tensor) -> None:
            ratios[block].append(float((z - inputs[0]).norm() / inputs[0].norm()))

        return hook

    with ExitStack() as hooks:
        for block in network.taps:
            handle = network.module.get_submodule(block).register_forward_hook(keep(block))
            hooks.callback(handle.remove)
        for clip in clips:
            _scores(network, _read(network, clip), ())
    return {block: float(np.mean(values)) for block, values in ratios.items()}


def classifies(network: Network, photographs: Sequence[np.ndarray], size: int) -> Classification:
    """Agreement with the plain network on photographs (H, W, 3), each a clip of one frame."""
    top1, top5 = [], []
    for picture in photographs:
        width, height = network.input_size(picture.shape[1], picture.shape[0], size)
        frame = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)[None]
        read = _read(network, frame)
        plain = int(_scores(network, read, tuple(network.taps))[0].argmax())
        ours = _scores(network, read, ())[0].topk(5).indices.tolist()
        top1.append(ours[0] == plain)
        top5.append(plain in ours)
    return Classification(size, len(photographs), float(np.mean(top1)), float(np.mean(top5)))


@torch.no_grad()
def _read(network: Network, frames: np.ndarray) -> Tensor:
    """What the first block reads of frames (T, H, W, 3)."""
    return trunk(network.module, network.prepare(np.ascontiguousarray(frames)))


@torch.no_grad()
def _scores(network: Network, read: Tensor, ablated: tuple[str, ...]) -> Tensor:
    """Logits of each frame, (T, classes), with some blocks passing on what they are given."""
    return scores(network.module, read, without=ablated)[0].T.cpu()
