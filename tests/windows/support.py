"""Long clips small enough for a test: a folder of noise, or a lossless video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from nlviz import Query
from nlviz.geometry import Point
from nlviz.windows import LongAnalysis, open_long
from tests.support import make

COUNT = 11


def folder(home: Path, count: int = COUNT, width: int = 64, height: int = 48) -> Path:
    """Pictures of noise, each another."""
    home.mkdir()
    rng = np.random.default_rng(3)
    for i in range(count):
        picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(home / f"{i:02d}.png"), picture)
    return home


def long(home: Path, **options) -> LongAnalysis:
    """Windows of four of these pictures, two of them shared, in a network whose rows differ."""
    options = {"window": 4, "overlap": 2, **options}
    network = options.pop("network", None) or make.network_that_matters("gaussian", seed=1)
    return open_long(home, network, **options)


def query(frame: int, block: str = "second", **options) -> Query:
    return Query(Point(frame, 30.0, 20.0), block, k=5, **options)
