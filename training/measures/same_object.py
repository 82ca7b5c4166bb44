"""Same-object precision: how many of the top-weighted links land on the object asked about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor, nn

import nlviz
from nlviz import Affinity, Clip
from nlviz.models.zoo import Network
from nlviz.tracking import same_object

_FRAMES = 8
_CLIPS = Path(__file__).resolve().parents[2] / "assets" / "clips"


@dataclass(frozen=True, slots=True)
class Score:
    """Of one block (or its raw features) on one object, all from 0 to 1.

    The numbers are those of ``nlviz.tracking.SameObject``.
    """

    sequence: str
    block: str
    what: str  # "block" or "raw cosine"
    precision: float
    best_a_frame: float
    chance: float
    share: float | None


@dataclass(frozen=True, slots=True, eq=False)
class MaskedClip:
    """A clip, and the masks (T, H, W) bool of each object by its name."""

    clip: Clip
    objects: Mapping[str, np.ndarray]


def real(folder: Path) -> Iterator[MaskedClip]:
    """Every SEQUENCE/{frames,masks} under ``folder``, by name, one object each."""
    for path in sorted(p for p in folder.iterdir() if (p / "masks").is_dir()):
        frames = nlviz.read(path / "frames", frames=_FRAMES)
        files = sorted((path / "masks").iterdir())
        masks = [cv2.imread(str(files[i]), cv2.IMREAD_GRAYSCALE) > 127 for i in frames.indices]
        yield MaskedClip(frames, {path.name: np.stack(masks)})


def painted() -> Iterator[MaskedClip]:
    """The bundled clips, whose masks are exact: every object of each."""
    for entry in json.loads((_CLIPS / "index.json").read_text(encoding="utf-8")):
        path = _CLIPS / entry["file"]
        if path.suffix != ".mp4":
            continue
        clip = nlviz.read(path, frames=_FRAMES)
        labels = np.load(path.with_suffix(".masks.npz"))["labels"][list(clip.indices)]
        numbers = [int(n) for n in np.unique(labels) if n]
        yield MaskedClip(clip, {f"{path.stem} {n}": labels == n for n in numbers})


def score(network: Network, sequence: MaskedClip, *, size: int | None = None) -> list[Score]:
    """Scores of each block, and of the cosine of its input, on each object of a sequence."""
    network = replace(network, score_windows=None)  # each block is to run once
    with block_inputs(network) as inputs:
        analysis = nlviz.analyse(sequence.clip, network, size=size)
    rows = []
    for block in analysis.blocks:
        affinity = analysis.affinity(block)
        for what, weights in (("block", affinity), ("raw cosine", cosine(affinity, inputs[block]))):
            for name, masks in sequence.objects.items():
                found = same_object(analysis, weights, masks)
                if found is not None:
                    rows.append(Score(name, block, what, *astuple(found)))
    return rows


def cosine(affinity: Affinity, x: Tensor) -> Affinity:
    """The cosine of a block's own input, (C, T, rows, cols), instead of its pairwise function."""
    flat = x.flatten(1).cpu().numpy()
    flat /= np.maximum(np.linalg.norm(flat, axis=0), 1e-6)
    grid = affinity.query_grid
    return Affinity("dot_product", flat, flat, grid, grid)


@contextmanager
def block_inputs(network: Network) -> Iterator[dict[str, Tensor]]:
    """What each block of the network reads while the context lasts."""
    seen: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = inputs[0][0].detach()

        return hook

    hooks = [
        network.module.get_submodule(name).register_forward_pre_hook(keep(name))
        for name in network.taps
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
