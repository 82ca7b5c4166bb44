"""Small clips, masks, and a small network in a file, shared by the tests of batches."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

NET = """
import torch
from torch import nn

from nlviz.models.nonlocal_block import NonLocalBlock


class Net(nn.Module):
    def __init__(self, function, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Conv3d(3, 6, (1, 4, 4), stride=(1, 4, 4))
        self.first = NonLocalBlock(6, function=function, sub_sample=False)
        self.second = NonLocalBlock(6, function=function, sub_sample=False)

    def forward(self, x):
        return self.second(self.first(self.stem(x)))


def soft():
    return Net("embedded_gaussian", 0), {"size": 32, "multiple": 4, "frames": 3}


def dot():
    return Net("dot_product", 1), {"size": 32, "multiple": 4, "frames": 3}


class Dies(Net):
    def forward(self, x):
        raise RuntimeError("the kernel is not there")


def dies():
    return Dies("dot_product", 1), {"size": 32, "multiple": 4, "frames": 3}
"""


def square(folder: Path, at: int, count: int = 3) -> Path:
    """A folder of pictures, 64×48: a bright square of 16 pixels that moves to the right."""
    folder.mkdir()
    rng = np.random.default_rng(at)
    for i in range(count):
        picture = rng.integers(0, 60, (48, 64, 3), np.uint8)
        picture[16:32, at + 8 * i : at + 8 * i + 16] = (40, 200, 250)
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    return folder


@pytest.fixture
def clips(tmp_path) -> Path:
    """A folder of three clips of three frames."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(3):
        square(folder / f"clip{number}", 4 * number)
    return folder


@pytest.fixture
def masks(tmp_path) -> Path:
    """The square of each clip, as a mask for each frame."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(3):
        (folder / f"clip{number}").mkdir()
        for i in range(3):
            mask = np.zeros((48, 64), np.uint8)
            mask[16:32, 4 * number + 8 * i : 4 * number + 8 * i + 16] = 255
            cv2.imwrite(str(folder / f"clip{number}" / f"{i}.png"), mask)
    return folder


@pytest.fixture
def net(tmp_path) -> Path:
    """A file with small networks."""
    path = tmp_path / "net.py"
    path.write_text(NET, encoding="utf-8")
    return path


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a batch by its path, but for what tells times."""
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    found.pop("manifest.json")
    return found
