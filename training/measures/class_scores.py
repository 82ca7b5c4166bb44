"""Is the best class the plain backbone's: ``python -m training.measures.class_scores``.

On photographs that were kept out of training. The reference is the backbone alone, as it was
trained: the shorter side at 256 pixels, the middle 224 × 224. Beside it stand the network's scores
from one pass of the whole picture, and from its square windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import nlviz
from nlviz.inference.score_passes import class_output
from nlviz.inference.scores import class_scores
from nlviz.models import zoo
from training.data.photographs import collect

CACHE = Path(__file__).resolve().parents[1] / "cache"
CROP, SHORTER, SURE = 224, 256, 0.5


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Agreement with the plain backbone over photographs.

    ``top1`` is the share with the same best class, ``top1_sure`` the same where the backbone gives
    its best class more than ``SURE``, ``top5`` that with its best class among the network's five.
    ``confidence`` is the mean score of the best class, ``reference`` the backbone's own.
    """

    source: str
    photographs: int
    top1: float
    top1_sure: float
    top5: float
    confidence: float
    reference: float


def measure(network: zoo.Network, photographs: Sequence[np.ndarray]) -> tuple[ClassScores, ...]:
    """From one pass at the network's own size, and from its windows; photographs (H, W, 3) RGB."""
    plain = [_plain(network, picture) for picture in photographs]
    ways = {
        f"one pass at {network.default_size} pixels": replace(network, score_windows=None),
        "square windows": network,
    }
    return tuple(_compared(name, way, photographs, plain) for name, way in ways.items())


def table(found: Sequence[ClassScores]) -> str:
    """Markdown, a row for each way to get class scores."""
    head = "class scores from | photographs | top-1 | where sure | top-5 | confidence | backbone's"
    lines = [f"| {head} |", "|---" * 7 + "|"]
    for each in found:
        numbers = (each.top1, each.top1_sure, each.top5, each.confidence, each.reference)
        cells = " | ".join(f"{number:.2f}" for number in numbers)
        lines.append(f"| {each.source} | {each.photographs} | {cells} |")
    return "\n".join(lines)


def _compared(
    source: str, network: zoo.Network, photographs: Sequence[np.ndarray], plain: Sequence[Tensor]
) -> ClassScores:
    ours = torch.stack([_scores(network, picture) for picture in photographs])
    reference = torch.stack(list(plain))
    best, sure = reference.argmax(1), reference.amax(1) > SURE
    same = (ours.argmax(1) == best).float()
    five = (ours.topk(5, dim=1).indices == best[:, None]).any(1).float()
    return ClassScores(
        source,
        len(photographs),
        float(same.mean()),
        float(same[sure].mean()) if sure.any() else float("nan"),
        float(five.mean()),
        float(ours.amax(1).mean()),
        float(reference.amax(1).mean()),
    )


def _scores(network: zoo.Network, picture: np.ndarray) -> Tensor:
    clip = nlviz.Clip(picture[None], (0,), (0.0,), "photograph", 1)
    source = (clip.width, clip.height)
    view = nlviz.View(source, network.input_size(*source, network.default_size), (0,))
    return _known(class_scores(class_output(clip, view, network), network.classes))


def _plain(network: zoo.Network, picture: np.ndarray) -> Tensor:
    """The backbone alone on the middle of a picture."""
    scale = SHORTER / min(picture.shape[:2])
    width, height = (round(side * scale) for side in picture.shape[1::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(picture, (width, height), interpolation=how)
    x, y = (width - CROP) // 2, (height - CROP) // 2
    given = network.prepare(small[None, y : y + CROP, x : x + CROP])
    with ExitStack() as without, torch.no_grad():
        for block in network.taps:
            without.enter_context(nlviz.ablated(network.module, block))
        return _known(class_scores(network.module(given), network.classes))


def _known(scores: Tensor | None) -> Tensor:
    if scores is None:
        raise ValueError("The network has no classes to compare.")
    return scores


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.measures.class_scores")
    parser.add_argument("--model", default="nl-lite0")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    held_out = collect(options.cache, held_out=True).backgrounds
    print(table(measure(zoo.load(options.model, device=options.device), held_out)))


if __name__ == "__main__":
    main()
