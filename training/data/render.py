"""Rendered clips: photographs in motion, with the exact place of every scene point in every frame.

Everything is painted by inverse mapping: for each pixel of a frame, the place on the layer's own
picture that it shows. Those places are the ground truth: two pixels show the same scene point
where their layer is the same and their places are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from training.data.photographs import Photographs


@dataclass(frozen=True, slots=True, eq=False)
class RenderedClip:
    """A clip and its ground truth.

    ``frames`` and ``clean`` are (T, H, W, 3) uint8: as a camera delivers them, and before its
    noise, blur and compression. ``layers`` (T, H, W) uint8 is 0 for the background, else the
    object's number. ``places`` (T, H, W, 2) float32 is (x, y) on the layer's own picture, in
    pixels of the clip's average scale.
    """

    frames: np.ndarray
    clean: np.ndarray
    layers: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """What a thing darkens behind it; it moves with the thing and is no part of it."""

    cast: Callable[[int, np.ndarray], np.ndarray]  # (t, (H, W, 2) frame xy) → xy that casts there
    strength: float  # of the light that it takes, from 0 to 1
    softness: float  # deviation of its blur, in pixels


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A picture (h, w, 4) uint8 and, for each frame, the map from the frame's pixels to it."""

    picture: np.ndarray
    inverse: Callable[[int, np.ndarray], np.ndarray]  # (t, (H, W, 2) frame xy) → (H, W, 2) xy
    scale: float  # pixels of a frame for one of the picture, on average
    border: int = cv2.BORDER_CONSTANT
    shadow: Shadow | None = None


def render(
    photographs: Photographs,
    rng: np.random.Generator,
    *,
    length: int,
    width: int,
    height: int,
    objects: int | None = None,
    bodies: bool = False,
) -> RenderedClip:
    """A clip of ``length`` frames, a new one at every call with the same ``rng``.

    One to four ``objects`` fly over the background unless their number is given. With ``bodies``
    some are bodies of several materials, or frames of thin rods and wheels, things have joints, and
    cast shadows. What is measured on knows none of these.
    """
    size = np.array([width, height], np.float32)
    stage = [_background(photographs, rng, length, size)]
    if objects is None:
        objects = rng.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.25, 0.15])
    for _ in range(objects):
        stage.append(_object(photographs, rng, length, size, bodies=bodies))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grid = np.stack([x, y], -1)
    frames, clean, layers, places = [], [], [], []
    camera = _camera_faults(rng, length)
    light = _lighting(rng, length, grid / size)
    for t in range(length):
        picture, layer, place = paint(stage, t, grid)
        picture = np.clip(light(t, picture), 0, 255)
        clean.append(picture.astype(np.uint8))
        frames.append(camera(t, picture))
        layers.append(layer)
        places.append(place)
    return RenderedClip(np.stack(frames), np.stack(clean), np.stack(layers), np.stack(places))


def paint(
    stage: list[Layer], t: int, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame t of layers from back to front: picture float32, layer numbers, places."""
    picture = np.zeros((*grid.shape[:2], 3), np.float32)
    numbers = np.zeros(grid.shape[:2], np.uint8)
    places = np.zeros(grid.shape, np.float32)
    for number, layer in enumerate(stage):
        if layer.shadow is not None:
            picture *= _shade(layer, layer.shadow, t, grid)
        xy = layer.inverse(t, grid).astype(np.float32)
        seen = cv2.remap(
            layer.picture, xy[..., 0], xy[..., 1], cv2.INTER_LINEAR, borderMode=layer.border
        ).astype(np.float32)
        alpha = seen[..., 3:] / 255
        picture += alpha * (seen[..., :3] - picture)
        front = alpha[..., 0] > 0.5
        numbers[front] = number
        places[front] = xy[front] * layer.scale
    return picture, numbers, places


def _shade(layer: Layer, shadow: Shadow, t: int, grid: np.ndarray) -> np.ndarray:
    """What a layer's shadow leaves of the light, (H, W, 1)."""
    xy = layer.inverse(t, shadow.cast(t, grid)).astype(np.float32)
    alpha = cv2.remap(layer.picture[..., 3], xy[..., 0], xy[..., 1], cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(alpha.astype(np.float32) / 255, (0, 0), shadow.softness)
    return 1 - shadow.strength * soft[..., None]


def _path(rng: np.random.Generator, length: int, dims: int = 1) -> np.ndarray:
    """(T, dims) in about [-1, 1]: smooth, straight, abrupt or still, at random."""
    time = np.linspace(0, 1, length)[:, None]
    kind = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])
    if kind == 0:
        phase, speed = rng.uniform(0, 2 * np.pi, dims), rng.uniform(1, 5, dims)
        path = np.sin(phase + speed * time)
    elif kind == 1:
        path = rng.uniform(-1, 1, dims) * (1 - time) + rng.uniform(-1, 1, dims) * time
    elif kind == 2:
        path = rng.uniform(-1, 1, (length, dims))
    else:
        path = np.repeat(rng.uniform(-1, 1, (1, dims)), length, 0)
    return path + rng.normal(0, 0.02, (length, dims))


def _background(
    photographs: Photographs, rng: np.random.Generator, length: int, size: np.ndarray
) -> Layer:
    picture = _jitter(photographs.backgrounds[rng.integers(len(photographs.backgrounds))], rng)
    height, width = picture.shape[:2]
    fit = max(size[0] / width, size[1] / height)
    zoom = fit * rng.uniform(1.0, 1.9) * (1 + 0.12 * rng.random() * _path(rng, length)[:, 0])
    turn = 0.15 * rng.random() * _path(rng, length)[:, 0]
    room = np.maximum(np.array([width, height]) - size / zoom.min(), 0) / 2
    reach = np.minimum(room * 0.9 + 8, size / zoom.mean() * 0.45)
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * np.maximum(room - reach, 0)
    pan = centre + reach * _path(rng, length, 2) + rng.normal(0, 1.5, (length, 2))
    tilt = rng.normal(0, 0.12, 2) * _path(rng, length, 2)

    def inverse(t: int, grid: np.ndarray) -> np.ndarray:
        p = grid - size / 2
        depth = 1 + (p / size) @ tilt[t]
        return (p @ _rotation(turn[t])) / (zoom[t] * depth[..., None]) + pan[t]

    opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    return Layer(opaque, inverse, float(zoom.mean()), cv2.BORDER_REFLECT_101)


def _object(
    photographs: Photographs,
    rng: np.random.Generator,
    length: int,
    size: np.ndarray,
    *,
    bodies: bool,
) -> Layer:
    built = bodies and rng.random() < 0.4
    kind = rng.random()
    if built:
        cut = _rods(photographs, rng) if kind < 0.35 else _body(photographs, rng)
    elif kind < 0.62:
        cut = photographs.cutouts[rng.integers(len(photographs.cutouts))]
    elif kind < 0.72 and photographs.rendered:
        cut = photographs.rendered[rng.integers(len(photographs.rendered))]
    else:
        cut = _blob(photographs.backgrounds[rng.integers(len(photographs.backgrounds))], rng)
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    cut = np.dstack([_jitter(cut[..., :3], rng), cut[..., 3]])
    extent = np.array(cut.shape[1::-1], np.float32)
    target = size.min() * np.exp(rng.uniform(np.log(0.18), np.log(0.85)))
    scale = target / extent.max() * np.exp(rng.uniform(0, 0.3) * _path(rng, length)[:, 0])
    turn = rng.uniform(0, 0.6) * _path(rng, length)[:, 0]
    reach = size * rng.uniform(0.15, 0.55)
    centre = size / 2 + rng.uniform(-0.3, 0.3, 2) * size
    place = centre + reach * _path(rng, length, 2)
    squash = np.exp(0.25 * rng.random() * _path(rng, length)[:, 0])
    # Limbs: waves along the picture whose height and phase change with time.
    waves = [
        (
            rng.normal(0, 1, 2) * rng.uniform(2, 9) / extent,
            rng.normal(0, 1, 2),
            rng.uniform(0, 0.06) * extent.max() * _path(rng, length)[:, 0],
            rng.uniform(0, 2 * np.pi) + 2 * rng.random() * _path(rng, length)[:, 0],
        )
        for _ in range(rng.integers(0, 4))
    ]
    jointed = bodies and (built or rng.random() < 0.4)
    joints = [_joint(rng, length, extent) for _ in range(rng.integers(1, 5) if jointed else 0)]

    def inverse(t: int, grid: np.ndarray) -> np.ndarray:
        p = (grid - place[t]) @ _rotation(turn[t]) / scale[t]
        p = p * np.array([squash[t], 1 / squash[t]]) + extent / 2
        for number, direction, height, phase in waves:
            p = p + height[t] * np.sin(p @ number + phase[t])[..., None] * direction
        for joint in joints:
            p = joint(t, p)
        return p

    shadow = None
    if bodies and rng.random() < 0.6:
        away = rng.normal(0, 0.25, 2) * target
        flat = rng.uniform(0.3, 1.0)
        # On the ground it lies below the thing; on a wall it is as tall as the thing.
        below = np.array([0, 0.5 * (1 - flat) * target])

        def cast(t: int, grid: np.ndarray) -> np.ndarray:
            return (grid - place[t] - away - below) / np.array([1, flat]) + place[t]

        softness = 1 + 0.06 * target * rng.random()
        shadow = Shadow(cast, float(rng.uniform(0.3, 0.8)), float(softness))
    return Layer(_padded(cut, 2), inverse, float(scale.mean()), shadow=shadow)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)


def _padded(cut: np.ndarray, pixels: int) -> np.ndarray:
    """A clear margin, so that the outline stays soft; colours reach into it, alpha does not."""
    out = cv2.copyMakeBorder(cut, *[pixels] * 4, cv2.BORDER_REPLICATE)
    out[..., 3] = cv2.copyMakeBorder(cut[..., 3], *[pixels] * 4, cv2.BORDER_CONSTANT, value=0)
    return out


def _blob(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of a photograph with an irregular outline."""
    height, width = photograph.shape[:2]
    n = min(int(rng.uniform(100, 320)), height, width)
    top, left = rng.integers(height - n + 1), rng.integers(width - n + 1)
    piece = photograph[top : top + n, left : left + n]
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    angle = np.arctan2(y, x)
    edge = 0.72 + sum(
        rng.normal(0, 0.22 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(1, 7)
    )
    inside = np.clip((np.clip(edge, 0.2, 0.97) - np.hypot(x, y)) * n / 4, 0, 1)
    return np.dstack([piece, (255 * inside).astype(np.uint8)])


def _body(photographs: Photographs, rng: np.random.Generator) -> np.ndarray:
    """Limbs, a trunk and a head, each of another material: what belongs together looks unlike."""
    n = 240
    hip, neck = np.array([n * 0.5, n * 0.6]), np.array([n * 0.5, n * 0.28])
    lean = rng.normal(0, 0.06 * n, 2)
    clothes = [_material(photographs, rng, n) for _ in range(rng.integers(2, 4))]
    parts = [(neck + lean, neck + lean + rng.normal(0, 6, 2) - [0, 26], 20, 0)]
    parts += [(neck + lean, hip, int(rng.integers(26, 46)), 1)]
    for start, material, half in ((neck + lean, 1, 0.15 * n), (hip, -1, 0.2 * n)):
        for side in (-1, 1):
            bend = start + half * np.array([side * rng.uniform(0.2, 1), rng.uniform(-0.4, 1)])
            end = bend + half * np.array([side * rng.uniform(-0.6, 1), rng.uniform(-0.2, 1)])
            thick = int(rng.integers(10, 22))
            parts += [(start, bend, thick, material), (bend, end, max(thick - 3, 6), material)]
    cut = np.zeros((n, n, 4), np.uint8)
    for start, end, thick, material in (parts[i] for i in rng.permutation(len(parts))):
        inside = np.zeros((n, n), np.uint8)
        cv2.line(inside, _pixel(start), _pixel(end), 255, thick, cv2.LINE_AA)
        shown = inside > 0
        cut[shown, :3] = clothes[material % len(clothes)][shown]
        cut[..., 3] = np.maximum(cut[..., 3], inside)
    return cut


def _rods(photographs: Photographs, rng: np.random.Generator) -> np.ndarray:
    """A frame of thin rods, often with wheels, such as a bicycle or a scaffold has."""
    n = 240
    inside = np.zeros((n, n), np.uint8)
    corners = rng.uniform(0.12 * n, 0.88 * n, (rng.integers(3, 7), 2))
    for a, b in rng.integers(len(corners), size=(rng.integers(4, 10), 2)):
        line = _pixel(corners[a]), _pixel(corners[b])
        cv2.line(inside, *line, 255, int(rng.integers(4, 11)), cv2.LINE_AA)
    for wheel in corners[: rng.integers(0, 3)]:
        radius = int(rng.uniform(0.12, 0.24) * n)
        cv2.circle(inside, _pixel(wheel), radius, 255, int(rng.integers(4, 10)), cv2.LINE_AA)
    return np.dstack([_material(photographs, rng, n), inside])


def _material(photographs: Photographs, rng: np.random.Generator, n: int) -> np.ndarray:
    """A square of a photograph, (n, n, 3), at a scale of its own."""
    picture = photographs.backgrounds[rng.integers(len(photographs.backgrounds))]
    side = min(int(rng.uniform(40, 240)), *picture.shape[:2])
    top, left = (rng.integers(length - side + 1) for length in picture.shape[:2])
    piece = picture[top : top + side, left : left + side]
    return _jitter(cv2.resize(piece, (n, n), interpolation=cv2.INTER_LINEAR), rng)


def _joint(
    rng: np.random.Generator, length: int, extent: np.ndarray
) -> Callable[[int, np.ndarray], np.ndarray]:
    """What lies beyond a place of the picture turns around it, as a limb does, frame by frame."""
    centre = extent * rng.uniform(0.25, 0.75, 2)
    away = rng.normal(0, 1, 2)
    away /= np.linalg.norm(away)
    soft = rng.uniform(0.08, 0.25) * extent.max()
    angle = rng.uniform(0.2, 1.2) * _path(rng, length)[:, 0]

    def turned(t: int, p: np.ndarray) -> np.ndarray:
        apart = p - centre
        share = 1 / (1 + np.exp(-np.clip(4 * (apart @ away) / soft - 2, -30, 30)))
        a = angle[t] * share
        x, y = apart[..., 0], apart[..., 1]
        return np.stack([x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)], -1) + centre

    return turned


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _jitter(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another exposure and white balance, once for a clip."""
    gain = np.exp(rng.normal(0, 0.12, 3) + rng.normal(0, 0.15))
    return np.clip(picture * gain, 0, 255).astype(np.uint8)


def _lighting(
    rng: np.random.Generator, length: int, place: np.ndarray
) -> Callable[[int, np.ndarray], np.ndarray]:
    gain = np.exp(0.25 * rng.random() * _path(rng, length) + rng.normal(0, 0.02, (length, 3)))
    shade = rng.normal(0, 0.25, 2) * _path(rng, length, 2)
    centred = place - 0.5
    return lambda t, picture: picture * gain[t] * (1 + centred @ shade[t])[..., None]


def _camera_faults(
    rng: np.random.Generator, length: int
) -> Callable[[int, np.ndarray], np.ndarray]:
    blurred = rng.random() < 0.3
    noise = rng.uniform(0, 8) * (rng.random() < 0.6)
    quality = rng.integers(35, 96)

    def deliver(t: int, picture: np.ndarray) -> np.ndarray:
        if blurred and rng.random() < 0.6:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.8))
        picture = picture + noise * rng.standard_normal(picture.shape, np.float32)
        bgr = np.clip(picture[..., ::-1], 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        return cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]

    return deliver
