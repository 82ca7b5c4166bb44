"""What cameras and crowds do to a clip: some frames occluded, blurred or drowned in noise."""

from __future__ import annotations

import cv2
import numpy as np

KINDS = ("occluded", "blurred", "noisy")


def corrupt(frames: np.ndarray, kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """A copy of a clip (T, H, W, 3) uint8 with ``count`` of its frames corrupted in one way."""
    frames = frames.copy()
    for t in rng.permutation(len(frames))[:count]:
        frames[t] = _CORRUPTIONS[kind](frames[t], rng)
    return frames


def _occluded(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two to four flat rectangles, each 30 to 60 % of the frame high and wide."""
    height, width = frame.shape[:2]
    for _ in range(rng.integers(2, 5)):
        h, w = (int(side * rng.uniform(0.3, 0.6)) for side in (height, width))
        top, left = rng.integers(height - h), rng.integers(width - w)
        frame[top : top + h, left : left + w] = rng.integers(0, 256, 3)
    return frame


def _blurred(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian blur of 1.5 to 4 % of the shorter side."""
    return cv2.GaussianBlur(frame, (0, 0), min(frame.shape[:2]) * rng.uniform(0.015, 0.04))


def _noisy(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise with a deviation of 30 to 80 of 255."""
    noise = rng.standard_normal(frame.shape, np.float32) * rng.uniform(30, 80)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


_CORRUPTIONS = dict(zip(KINDS, (_occluded, _blurred, _noisy), strict=True))
