"""Painted scenery: objects that move over a painted backdrop, frame by frame, with exact masks.

Each frame is the mean of a few moments while the shutter is open, so that fast things blur as a
camera blurs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data.packages import PACKAGES, SURROUNDINGS
from training.data.photographs import fetch

WIDTH, HEIGHT, RATE = 640, 360, 24
_MOMENTS, _SHUTTER = 4, 0.6  # moments painted a frame, and how long of it the shutter is open


@dataclass(frozen=True, slots=True)
class Pose:
    """Where an object stands: its middle in pixels, its size, turn in degrees, and its shadow.

    ``ground`` is the height of the floor under it in pixels from the top, None for no shadow.
    ``stretch`` scales its width; negative mirrors it.
    """

    x: float
    y: float
    size: float
    turn: float = 0.0
    stretch: float = 1.0
    ground: float | None = None
    shade: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A picture (h, w, 4) float32, colours premultiplied, and its pose at each time in seconds."""

    picture: np.ndarray
    pose: Callable[[float], Pose]
    label: int = 0  # in the masks; 0 for the scenery


@dataclass(frozen=True, slots=True, eq=False)
class PaintedScene:
    """A clip to be painted: backdrop at each time, actors from back to front, and its title."""

    file: str
    title: str
    description: str
    seconds: float
    backdrop: Callable[[float], np.ndarray]
    actors: tuple[Actor, ...]
    # Frame and label: the query is put on that object. The frame is one that reading eight
    # frames of the clip takes.
    first_query: tuple[int, int]


class Props:
    """Pictures by the name of their file in the packages."""

    def __init__(self, cache: Path) -> None:
        packages = {package.name: package for package in PACKAGES}
        self._emoji = fetch(packages["@lobehub/fluent-emoji-3d"], cache) / "package" / "assets"
        self._photographs = fetch(packages["scikit-image"], cache) / "skimage" / "data"
        self._surroundings = fetch(SURROUNDINGS, cache) / "package" / "hdri"

    def emoji(self, code: str) -> np.ndarray:
        """A rendered object, premultiplied float32 (256, 256, 4) from 0 to 1."""
        names = (f"{code}.webp", f"{code}-fe0f.webp")
        path = next(self._emoji / name for name in names if (self._emoji / name).exists())
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]] / np.float32(255)
        picture[..., :3] *= picture[..., 3:]
        return np.pad(picture, ((8, 8), (8, 8), (0, 0)))

    def photograph(self, name: str) -> np.ndarray:
        """RGB uint8."""
        return cv2.imread(str(self._photographs / name), cv2.IMREAD_COLOR)[..., ::-1]

    def surroundings(self, name: str) -> Path:
        """The file of a panorama; ``training.data.looks`` opens it."""
        return self._surroundings / f"{name}.exr.js"


def paint(scene: PaintedScene, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame number ``frame``: RGB uint8, and labels uint8 at the middle of the exposure."""
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for moment in range(_MOMENTS):
        t = (frame + _SHUTTER * ((moment + 0.5) / _MOMENTS - 0.5)) / RATE
        total += _moment(scene, t)[0] / _MOMENTS
    grain = np.random.default_rng(frame).normal(0, 0.006, (HEIGHT, WIDTH, 1))
    picture = np.clip(total + grain, 0, 1) * 255
    return picture.astype(np.uint8), _moment(scene, frame / RATE)[1]


def _moment(scene: PaintedScene, t: float) -> tuple[np.ndarray, np.ndarray]:
    picture = scene.backdrop(t).copy()
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    poses = [(actor, actor.pose(t)) for actor in scene.actors]
    for _, pose in poses:
        _shadow(picture, pose)
    for actor, pose in poses:
        seen = _place(actor.picture, pose)
        alpha = seen[..., 3:]
        picture *= 1 - alpha
        picture += seen[..., :3] * pose.shade
        labels[alpha[..., 0] > 0.5] = actor.label
    return picture, labels


def _place(picture: np.ndarray, pose: Pose) -> np.ndarray:
    scale = pose.size / picture.shape[0]
    turn = np.radians(pose.turn)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    forward = rotation @ np.diag([pose.stretch * scale, scale])
    middle = np.array(picture.shape[1::-1]) / 2
    shift = np.array([pose.x, pose.y]) - forward @ middle
    small = picture
    # Shrinking needs its own blur, or edges crawl from frame to frame.
    if scale < 0.6:
        small = cv2.GaussianBlur(picture, (0, 0), 0.35 / scale)
    return cv2.warpAffine(
        small, np.column_stack([forward, shift]), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR
    )


def _shadow(picture: np.ndarray, pose: Pose) -> None:
    """A soft patch on the ground: smaller and fainter the higher the object flies."""
    if pose.ground is None:
        return
    height = max(pose.ground - pose.y - pose.size / 2, 0)
    spread = pose.size * (0.42 + 0.001 * height)
    strength = 0.5 / (1 + height / 90)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    # The light comes from the upper left.
    far = ((x - pose.x - 0.25 * height) / spread) ** 2 + ((y - pose.ground) / (0.22 * spread)) ** 2
    picture *= (1 - strength * np.exp(-1.3 * far))[..., None]


def gradient(stops: tuple[tuple[float, tuple[int, int, int]], ...], height: int) -> np.ndarray:
    """A vertical run of colours, (height, 1, 3) from 0 to 1."""
    at = [place * (height - 1) for place, _ in stops]
    colours = np.array([colour for _, colour in stops]) / 255
    rows = np.arange(height)
    return np.stack([np.interp(rows, at, colours[:, c]) for c in range(3)], -1)[:, None].astype(
        "f4"
    )


def floor(
    texture: np.ndarray, tint: tuple[int, int, int], *, width: int, height: int
) -> np.ndarray:
    """A photograph of ground laid down in perspective and tinted: (height, width, 3), 0 to 1."""
    grey = texture.astype(np.float32).mean(2)
    grey = grey / cv2.GaussianBlur(grey, (0, 0), 60)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = 1 / (y / height + 0.12)
    u = ((x - width / 2) * depth * 0.9) % 511
    v = (depth * 900) % 511
    seen = cv2.remap(grey, u, v, cv2.INTER_LINEAR)
    # Far away the texture is finer than a pixel: fade it into its mean.
    near = np.clip(1.25 - 0.16 * depth, 0.05, 1)
    seen = 1 + (seen - 1) * near * 0.7
    light = np.linspace(0.85, 1.08, height, dtype=np.float32)[:, None]
    return np.clip(seen[..., None] * light[..., None] * np.array(tint, np.float32) / 255, 0, 1)


def hills(
    canvas: np.ndarray, base: float, *, height: float, colour: tuple[int, int, int], seed: int
) -> None:
    """A soft line of hills painted onto (H, W, 3)."""
    rng = np.random.default_rng(seed)
    x = np.arange(canvas.shape[1]) / WIDTH
    line = sum(np.sin(x * k * 2.1 + rng.uniform(0, 6.3)) / k for k in (1, 2, 3, 5)) * height / 2
    rows = np.arange(canvas.shape[0])[:, None]
    cover = np.clip(rows - (base - height + line)[None], 0, 1)[..., None].astype(np.float32)
    shade = gradient(((0, colour), (1, tuple(int(c * 0.8) for c in colour))), canvas.shape[0])
    canvas += cover * (shade - canvas)


def clouds(canvas: np.ndarray, *, below: int, seed: int) -> None:
    """Soft clouds in the upper part of (H, W, 3)."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(canvas.shape[:2], np.float32)
    for octave in range(5):
        cells = rng.random((3 * 2**octave, 5 * 2**octave * canvas.shape[1] // WIDTH), np.float32)
        noise += cv2.resize(cells, canvas.shape[1::-1], interpolation=cv2.INTER_CUBIC) / 2**octave
    fade = np.clip(1 - np.arange(canvas.shape[0]) / below, 0, 1)[:, None]
    cover = (np.clip((noise - 1.05) * 1.6, 0, 0.85) * fade**0.5)[..., None]
    canvas += cover * (1 - canvas)


def meadow(props: Props, *, width: int, seed: int) -> np.ndarray:
    """Sky, hills and a lawn, (HEIGHT, width, 3) from 0 to 1."""
    sky = gradient(((0, (86, 156, 224)), (0.55, (196, 224, 244)), (1, (240, 240, 230))), HEIGHT)
    canvas = np.repeat(sky, width, 1)
    clouds(canvas, below=190, seed=seed)
    hills(canvas, 205, height=60, colour=(128, 168, 176), seed=seed + 1)
    hills(canvas, 218, height=34, colour=(106, 158, 110), seed=seed + 2)
    lawn = floor(props.photograph("grass.png"), (112, 160, 66), width=width, height=HEIGHT - 208)
    edge = np.clip((np.arange(HEIGHT - 208) / 6), 0, 1)[:, None, None]
    canvas[208:] = canvas[208:] * (1 - edge) + lawn * edge
    return canvas.astype(np.float32)
