"""Looks: photographs made ready to be looked up, a panorama all around and textures that repeat."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import av
import cv2
import numpy as np

_BRIGHTEST = 12.0  # what is brighter (the sun, a lamp) has few pixels and would be noise


class Looks:
    """The photographs, made ready.

    Args:
        panorama: (H, 2H, 3) float32, all around and linear.
        ground, bricks, grain: grey photographs, uint8, that repeat.
        azimuth: which way of the panorama lies straight ahead, in radians.

    Of the panorama there are ``panorama`` as it is seen, ``rough`` as a dull thing mirrors it,
    ``light`` as it lights a white matt surface by which way that faces, and ``floor``, the colour
    of its ground. ``ground`` has the photograph at five grades of blur.
    """

    def __init__(
        self,
        panorama: np.ndarray,
        *,
        ground: np.ndarray,
        bricks: np.ndarray,
        grain: np.ndarray,
        azimuth: float,
    ) -> None:
        self.azimuth = azimuth
        panorama = np.clip(panorama, 0, _BRIGHTEST)
        self.panorama, self.rough = _around(panorama, 0.8), _around(panorama, 9.0)
        self.light = _irradiance(panorama)
        self.ground = [_even(ground, blur) for blur in (0.6, 1.5, 3, 6, 12)]
        self.bricks = cv2.GaussianBlur(bricks.astype(np.float32) / 255, (0, 0), 0.8)
        self.grain = _even(grain, 2.0)
        down = _directions(64)
        near = (down[..., 2] < -0.35) & (down[..., 2] > -0.8)
        self.floor = np.median(self.seen(down[near], self.rough), 0)

    def seen(self, rays: np.ndarray, what: np.ndarray) -> np.ndarray:
        """One of the panoramas along rays (N, 3) of length one: (N, 3), linear."""
        height, width = what.shape[:2]
        turn = np.arctan2(rays[:, 0], rays[:, 1]) + self.azimuth
        x = (turn / (2 * np.pi) % 1) * width - 0.5
        y = np.arccos(np.clip(rays[:, 2], -1, 1)) / np.pi * height - 0.5
        y = np.clip(y, 0, height - 1)  # the poles do not meet
        return look_up(what, x, y)


def panorama_of(path: Path) -> np.ndarray:
    """The EXR in a file of @pmndrs/assets, which holds it as base64: (H, 2H, 3) float32, linear."""
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text(encoding="ascii"))
    if found is None:
        raise ValueError(f"{path.name} holds no picture")
    content = io.BytesIO(base64.b64decode(found.group(1)))
    with av.open(content, format="exr_pipe") as file:
        frame = next(file.decode(video=0))
    if frame.format.name != "gbrpf16le":
        raise ValueError(f"{path.name} is {frame.format.name}, not half floats")
    green, blue, red = (
        np.frombuffer(plane, np.float16).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    )
    return np.stack([red, green, blue], -1).astype(np.float32)


def seen_square_on(photograph: np.ndarray, middle: float, narrower: float) -> np.ndarray:
    """A photograph of a floor, whose far end is narrower by that share, as seen from above.

    ``middle`` is the column of pixels that runs straight away from the camera.
    """
    height, width = photograph.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    part = 1 - narrower * (1 - y / (height - 1))
    along = (middle + (x - middle) * part).astype(np.float32)
    return cv2.remap(photograph, along, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def look_up(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A picture that repeats, at (N,) places in pixels."""
    height, width = picture.shape[:2]
    count, row = len(x), 16384  # OpenCV looks up in pictures of fewer than 32768 columns
    if count == 0:
        return np.zeros((0, *picture.shape[2:]), np.float32)
    room = -(-count // row) * row
    maps = [
        np.pad((way % size).astype(np.float32), (0, room - count)).reshape(-1, row)
        for way, size in ((x, width), (y, height))
    ]
    found = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return found.reshape(room, *picture.shape[2:])[:count]


def _even(photograph: np.ndarray, blur: float) -> np.ndarray:
    """A texture without its broad lights and shades, of mean 1, blurred as it repeats."""
    grey = photograph.astype(np.float32)
    around = np.pad(grey, 128, mode="wrap")
    even = cv2.GaussianBlur(around, (0, 0), blur) / cv2.GaussianBlur(around, (0, 0), 40)
    even = even[128:-128, 128:-128]
    return even / even.mean()


def _around(panorama: np.ndarray, blur: float) -> np.ndarray:
    """Blurred, its left and right ends joined."""
    wide = panorama.shape[1] // 2
    joined = np.pad(panorama, ((wide, wide), (0, 0), (0, 0)), mode="edge")
    joined = np.pad(joined, ((0, 0), (wide, wide), (0, 0)), mode="wrap")
    blurred = cv2.GaussianBlur(joined.astype(np.float32), (0, 0), blur)
    return np.ascontiguousarray(blurred[wide:-wide, wide:-wide])


def _directions(height: int) -> np.ndarray:
    """Where each pixel of a panorama lies, (height, 2·height, 3)."""
    y = (np.arange(height)[:, None] + 0.5) / height * np.pi
    x = (np.arange(2 * height)[None] + 0.5) / height * np.pi
    flat = np.sin(y) * np.ones_like(x)
    return np.stack([flat * np.sin(x), flat * np.cos(x), np.cos(y) * np.ones_like(x)], -1).astype(
        np.float32
    )


def _irradiance(panorama: np.ndarray) -> np.ndarray:
    """What a white matt surface sends back by which way it faces, as a small panorama."""
    small = cv2.resize(panorama, (64, 32), interpolation=cv2.INTER_AREA)
    ways = _directions(32).reshape(-1, 3)
    weight = np.sqrt(1 - ways[:, 2] ** 2) * (np.pi / 32) ** 2
    cosine = np.clip(ways @ ways.T, 0, None) * weight / np.pi
    return (cosine @ small.reshape(-1, 3)).reshape(32, 64, 3).astype(np.float32)
