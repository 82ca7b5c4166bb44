"""What the blocks are trained on: rendered clips as far as the frozen backbone takes them.

All networks are trained on the same clips, and nothing in front of the blocks learns, so a clip is
rendered and run through the backbone once and kept on disk.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nlviz.models.efficientnet_lite import normalise
from nlviz.models.input_size import fitted
from nlviz.models.nonlocal_lite import BLOCKS, NonLocalLite
from nlviz.models.zoo import backbone_weights
from training.data.corruptions import KINDS, corrupt
from training.data.photographs import Photographs
from training.data.render import render
from training.recipe import Material
from training.stages.objective import IGNORED, Truth, truth_at
from training.stages.passes import ALL_BLOCKS, block_inputs, scores, trunk

_SIDE = 16  # what each side of a photograph is a multiple of, as when the network is used


@dataclass(frozen=True, slots=True, eq=False)
class FindExample:
    """What each block reads of a clip, (1, C, T, rows, cols), and the truth at queries and keys."""

    inputs: dict[str, Tensor]
    queries: dict[str, Truth]
    keys: dict[str, Truth]

    def to(self, device: torch.device) -> FindExample:
        """The same with what is read on a device."""
        inputs = {name: x.to(device) for name, x in self.inputs.items()}
        return FindExample(inputs, self.queries, self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class MendExample:
    """What the first block reads, (1, C, T, rows, cols), of a clean and of the corrupted clip.

    And of a photograph, a clip of one frame. ``wanted`` and ``wanted_picture`` (1, classes, T): the
    untouched backbone's logits of the clean clip and of the photograph.
    """

    clean: Tensor
    corrupted: Tensor
    wanted: Tensor
    picture: Tensor
    wanted_picture: Tensor

    def to(self, device: torch.device) -> MendExample:
        """The same on a device."""
        return MendExample(*(getattr(self, field.name).to(device) for field in fields(self)))


Example = TypeVar("Example", FindExample, MendExample)


class _Kept(Dataset[Example]):
    """Examples that are made once and then read; example i is always the same."""

    def __init__(self, photographs: Photographs, material: Material, folder: Path) -> None:
        self.photographs, self.material = photographs, material
        # Another material, or other photographs, is another folder.
        told = json.dumps([material.told(), photographs.found], sort_keys=True)
        self.folder = folder / hashlib.sha256(told.encode()).hexdigest()[:12]
        self.backbone: NonLocalLite | None = None

    def _kept(self, kind: str, index: int) -> dict[str, Tensor]:
        """What is on disk of an example; it is made where that is nothing, or half of it."""
        file = self.folder / f"{kind}-{index:04}.pt"
        try:
            return torch.load(file, weights_only=True)
        except (OSError, RuntimeError, EOFError):  # not made yet, or a stopped run's half
            pass
        made = self._made(index)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(made, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)
        return made

    @abstractmethod
    def _made(self, index: int) -> dict[str, Tensor]:
        """What is kept of example i."""

    def _plain(self) -> NonLocalLite:
        if self.backbone is None:
            self.backbone = NonLocalLite(inner=(1, 1, 1))
            self.backbone.load_state_dict(backbone_weights(), strict=False)
            self.backbone.eval().requires_grad_(False)
        return self.backbone


class FindExamples(_Kept[FindExample]):
    """Clips of a few flying things, half of them with a frame that is partly covered or blurred."""

    def __len__(self) -> int:
        return self.material.find_clips

    def __getitem__(self, index: int) -> FindExample:
        made = self._kept("find", index)
        return FindExample(
            {name: made[f"{name}.x"].float() for name, *_ in BLOCKS},
            {name: _truth(made, f"{name}.queries") for name, *_ in BLOCKS},
            {name: _truth(made, f"{name}.keys") for name, *_ in BLOCKS},
        )

    def _made(self, index: int) -> dict[str, Tensor]:
        material = self.material
        rng = np.random.default_rng((material.seed, 0, index))
        width, height = material.sizes[rng.integers(len(material.sizes))]
        clip = render(
            self.photographs,
            rng,
            length=material.length,
            width=width,
            height=height,
            bodies=True,
        )
        frames, layers = clip.frames.copy(), clip.layers.copy()
        if rng.random() < 0.5:
            _cover(frames, layers, rng)
        inputs = block_inputs(self._plain(), _prepared(frames))
        made = {f"{name}.x": x.half() for name, x in inputs.items()}
        for name, _, _, stride, pooled in BLOCKS:
            for side, keys in (("queries", False), ("keys", pooled)):
                truth = truth_at(layers, clip.places, stride=stride, pooled=keys)
                made |= {
                    f"{name}.{side}.layer": truth.layer.byte(),
                    f"{name}.{side}.place": truth.place,
                    f"{name}.{side}.frame": truth.frame.byte(),
                }
        return made


class MendExamples(_Kept[MendExample]):
    """Square clips of at most one thing, of whose frames half or more are corrupted in one way."""

    def __len__(self) -> int:
        return self.material.mend_clips

    def __getitem__(self, index: int) -> MendExample:
        made = self._kept("mend", index)
        return MendExample(*(made[field.name].float() for field in fields(MendExample)))

    def _made(self, index: int) -> dict[str, Tensor]:
        material = self.material
        rng = np.random.default_rng((material.seed, 1, index))
        side = int(rng.choice(material.mend_sides))
        # The classes of a clip that is full of flying objects are anybody's guess.
        clean = render(
            self.photographs,
            rng,
            length=material.mend_length,
            width=side,
            height=side,
            objects=int(rng.integers(2)),
        ).clean
        count = int(rng.integers(material.mend_length // 2, material.mend_length))
        corrupted = corrupt(clean, KINDS[rng.integers(len(KINDS))], count, rng)
        plain = self._plain()
        read = trunk(plain, _prepared(clean))
        still = np.random.default_rng((material.seed, 3, index))
        picture = trunk(plain, _prepared(_photograph(self.photographs, still, side)))
        return {
            "clean": read.half(),
            "corrupted": trunk(plain, _prepared(corrupted)).half(),
            "wanted": scores(plain, read, without=ALL_BLOCKS),
            "picture": picture.half(),
            "wanted_picture": scores(plain, picture, without=ALL_BLOCKS),
        }


def _truth(made: dict[str, Tensor], of: str) -> Truth:
    return Truth(made[f"{of}.layer"].long(), made[f"{of}.place"], made[f"{of}.frame"].long())


def _cover(frames: np.ndarray, layers: np.ndarray, rng: np.random.Generator) -> None:
    """Hide patches of one frame, or all its detail, so that finding does not lean on details."""
    t = rng.integers(len(frames))
    height, width = frames.shape[1:3]
    if rng.random() < 0.3:
        frames[t] = cv2.GaussianBlur(frames[t], (0, 0), rng.uniform(2, 5))
        return
    for _ in range(rng.integers(1, 6)):
        h, w = (int(n * rng.uniform(0.1, 0.4)) for n in (height, width))
        top, left = rng.integers(height - h), rng.integers(width - w)
        frames[t, top : top + h, left : left + w] = rng.integers(0, 256, 3)
        layers[t, top : top + h, left : left + w] = IGNORED


def _photograph(photographs: Photographs, rng: np.random.Generator, side: int) -> np.ndarray:
    """One whole photograph, (1, H, W, 3), ``side`` pixels long and of its own shape."""
    picture = photographs.backgrounds[rng.integers(len(photographs.backgrounds))]
    width, height = fitted(picture.shape[1], picture.shape[0], side, _SIDE)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)[None]


def _prepared(frames: np.ndarray) -> Tensor:
    return normalise(torch.tensor(frames)).permute(3, 0, 1, 2)[None]
