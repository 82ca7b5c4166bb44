"""How good are the weights: same-object precision on real clips with object masks.

``python -m training.evaluate FOLDER [--model nl-lite0] [--size 640] [--json]``; FOLDER holds
SEQUENCE/{frames,masks}. For queries on the object: how many of the 20 highest-weighted links into
other frames land on it, beside the cosine of the raw features at the same place, and chance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import zoo
from models.efficientnet_lite import normalise
from models.nonlocal_block import NonLocalBlock

K, QUERIES, FEWEST, COVERED = 20, 200, 5, 0.7


@dataclass(frozen=True, slots=True)
class Score:
    """Of one block (or its raw features) on one sequence, all from 0 to 1."""

    sequence: str
    block: str
    what: str  # "block" or "raw cosine"
    precision: float
    best_a_frame: float
    chance: float


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """Frames (T, H, W, 3) uint8 RGB and the object's masks (T, H, W) bool."""

    name: str
    frames: np.ndarray
    masks: np.ndarray


def sequences(folder: Path) -> list[Sequence]:
    """Every SEQUENCE/{frames,masks} under ``folder``, by name."""
    out = []
    for path in sorted(p for p in folder.iterdir() if (p / "masks").is_dir()):
        frames = [cv2.imread(str(f))[..., ::-1] for f in sorted((path / "frames").iterdir())]
        masks = [cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) > 127 for f in _sorted(path / "masks")]
        out.append(Sequence(path.name, np.stack(frames), np.stack(masks)))
    return out


def score(
    module: nn.Module, sequence: Sequence, *, input_size: tuple[int, int], raw: bool = True
) -> list[Score]:
    """Scores of each non-local block of ``module``, and of its raw features, on one sequence."""
    small = [cv2.resize(f, input_size, interpolation=cv2.INTER_AREA) for f in sequence.frames]
    clip = normalise(torch.tensor(np.stack(small))).permute(3, 0, 1, 2).unsqueeze(0)
    out = []
    for name, seen in _capture(module, clip).items():
        out.append(_score(sequence, name, "block", seen["theta"], seen["phi"], input_size))
        if raw:
            x = F.normalize(seen["x"], dim=0)
            out.append(_score(sequence, name, "raw cosine", x, x, input_size))
    return [row for row in out if row is not None]


def _capture(module: nn.Module, clip: Tensor) -> dict[str, dict[str, Tensor]]:
    """x, θ and φ of each block, each (C, T, rows, cols)."""
    seen: dict[str, dict[str, Tensor]] = {}
    hooks = []
    for name, block in module.named_children():
        if isinstance(block, NonLocalBlock):
            seen[name] = {}
            hooks.append(block.register_forward_pre_hook(_keep_input(seen[name])))
            for part in ("theta", "phi"):
                if hasattr(block, part):
                    hooks.append(
                        getattr(block, part).register_forward_hook(_keep(seen[name], part))
                    )
    try:
        with torch.no_grad():
            module(clip)
    finally:
        for hook in hooks:
            hook.remove()
    for parts in seen.values():
        parts.setdefault("phi", parts["x"])
        parts.setdefault("theta", parts["x"])
    return seen


def _keep(store: dict[str, Tensor], part: str):
    return lambda _module, _inputs, output: store.__setitem__(part, output[0].detach())


def _keep_input(store: dict[str, Tensor]):
    return lambda _module, inputs: store.__setitem__("x", inputs[0][0].detach())


def _score(
    sequence: Sequence,
    block: str,
    what: str,
    theta: Tensor,
    phi: Tensor,
    input_size: tuple[int, int],
) -> Score | None:
    masks = sequence.masks
    chosen = _queries(masks, theta.shape[1:], input_size)
    if len(chosen) < FEWEST:
        return None
    stride, first = _spacing(input_size, phi.shape[2:])
    y, x = _centres(masks.shape[1:], phi.shape[2:], stride, first, input_size)
    on_object = torch.tensor(masks[:, y][:, :, x]).flatten()
    frame = torch.arange(phi.shape[1]).repeat_interleave(phi.shape[2] * phi.shape[3])
    own = torch.tensor(chosen[:, 0])
    logits = theta[:, own, chosen[:, 1], chosen[:, 2]].T @ phi.flatten(1)
    logits[own[:, None] == frame[None]] = -torch.inf
    top = logits.topk(K, dim=1).indices
    per_frame = logits.view(len(own), phi.shape[1], -1)
    best = per_frame.argmax(2) + torch.arange(phi.shape[1]) * per_frame.shape[2]
    others = torch.arange(phi.shape[1])[None] != own[:, None]
    return Score(
        sequence=sequence.name,
        block=block,
        what=what,
        precision=float(on_object[top].float().mean()),
        best_a_frame=float(on_object[best][others].float().mean()),
        chance=float(masks.mean()),
    )


def _spacing(input_size: tuple[int, int], cells: torch.Size) -> tuple[int, float]:
    """Stride and first centre of a grid, found from its size; pooled keys lie between cells."""
    for stride in (8, 16, 32):
        if -(-input_size[1] // stride) == cells[0]:
            return stride, stride / 2
        if -(-input_size[1] // stride) // 2 == cells[0]:
            return 2 * stride, stride
    raise ValueError(f"A grid of {tuple(cells)} cells is unknown for an input of {input_size}.")


def _centres(
    source: tuple[int, ...],
    cells: torch.Size,
    stride: float,
    first: float,
    input_size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Source rows and columns of the cells' centres."""
    y = (first + stride * np.arange(cells[0])) * source[0] / input_size[1]
    x = (first + stride * np.arange(cells[1])) * source[1] / input_size[0]
    return np.clip(y.astype(int), 0, source[0] - 1), np.clip(x.astype(int), 0, source[1] - 1)


def _queries(masks: np.ndarray, cells: torch.Size, input_size: tuple[int, int]) -> np.ndarray:
    """(n, 3) cells whose footprint is at least ``COVERED`` object, at most ``QUERIES``."""
    stride, first = _spacing(input_size, cells[1:])
    chosen = []
    scale = np.array(masks.shape[1:]) / np.array(input_size)[::-1]
    for t, mask in enumerate(masks):
        sums = cv2.integral(mask.astype(np.uint8))
        for row in range(cells[1]):
            for col in range(cells[2]):
                centre = first + stride * np.array([row, col])
                low = np.clip(np.round((centre - stride / 2) * scale), 0, mask.shape).astype(int)
                high = np.clip(np.round((centre + stride / 2) * scale), 0, mask.shape).astype(int)
                area = (high - low).prod()
                inside = (
                    sums[high[0], high[1]] - sums[low[0], high[1]]
                    - sums[high[0], low[1]] + sums[low[0], low[1]]
                )  # fmt: skip
                if area and inside >= COVERED * area:
                    chosen.append((t, row, col))
    found = np.array(chosen, dtype=np.int64).reshape(-1, 3)
    rng = np.random.default_rng(0)
    return found[rng.permutation(len(found))[:QUERIES]]


def summary(scores: list[Score]) -> dict[tuple[str, str], tuple[float, float, float]]:
    """(block, what) to precision, best link a frame and chance, averaged over sequences."""
    out: dict[tuple[str, str], tuple[float, float, float]] = {}
    for block, what in dict.fromkeys((s.block, s.what) for s in scores):
        rows = [s for s in scores if (s.block, s.what) == (block, what)]
        means = np.mean([(s.precision, s.best_a_frame, s.chance) for s in rows], axis=0)
        out[block, what] = (float(means[0]), float(means[1]), float(means[2]))
    return out


def table(scores: list[Score]) -> str:
    """Markdown: one row per block and kind, one column per sequence."""
    names = list(dict.fromkeys(s.sequence for s in scores))
    by = {(s.block, s.what, s.sequence): s for s in scores}
    lines = [
        "| block | what | all | best link a frame | " + " | ".join(names) + " |",
        "|---" * (4 + len(names)) + "|",
    ]
    for (block, what), (precision, best, _) in summary(scores).items():
        cells = [by.get((block, what, name)) for name in names]
        each = " | ".join(f"{c.precision:.2f}" if c else "–" for c in cells)
        lines.append(f"| {block} | {what} | **{precision:.3f}** | {best:.3f} | {each} |")
    chance = {s.sequence: s.chance for s in scores}
    mean = np.mean(list(chance.values()))
    each = " | ".join(f"{chance[name]:.2f}" for name in names)
    return "\n".join([*lines, f"| | chance | {mean:.3f} | {mean:.3f} | {each} |"])


def as_json(scores: list[Score]) -> Mapping[str, object]:
    """The table for machines."""
    return {
        "summary": [
            {"block": b, "what": w, "precision": p, "best_a_frame": f, "chance": c}
            for (b, w), (p, f, c) in summary(scores).items()
        ],
        "sequences": [asdict(s) for s in scores],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Same-object precision of a bundled network.")
    parser.add_argument("folder", type=Path, help="holds SEQUENCE/{frames,masks}")
    parser.add_argument("--model", default="nl-lite0")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    network = zoo.load(options.model, device="cpu")
    scores = []
    for sequence in sequences(options.folder):
        height, width = sequence.frames.shape[1:3]
        size = network.input_size(width, height, options.size or network.default_size)
        scores += score(network.module, sequence, input_size=size)
    print(json.dumps(as_json(scores), indent=1) if options.json else table(scores))


def _sorted(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


if __name__ == "__main__":
    main()
