"""``python -m training.clips``: the samples of assets/clips, painted, with exact masks.

Rendered objects (Fluent Emoji, MIT) in painted scenes whose ground is a CC0 photograph of grass or
gravel. Each output frame is the mean of a few moments while the shutter is open, so that fast
things blur as a camera blurs them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from training.data.photographs import fetch
from training.data.sources import SOURCES

WIDTH, HEIGHT, RATE = 640, 360, 24
_MOMENTS, _SHUTTER = 4, 0.6  # moments painted a frame, and how long of it the shutter is open
_HERE = Path(__file__).resolve().parent


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
class Scene:
    """A clip to be painted: backdrop at each time, actors from back to front, and its words."""

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
        packages = {source.name: source for source in SOURCES}
        self._emoji = fetch(packages["@lobehub/fluent-emoji-3d"], cache) / "package" / "assets"
        self._photographs = fetch(packages["scikit-image"], cache) / "skimage" / "data"

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


def paint(scene: Scene, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame number ``frame``: RGB uint8, and labels uint8 at the middle of the exposure."""
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for moment in range(_MOMENTS):
        t = (frame + _SHUTTER * ((moment + 0.5) / _MOMENTS - 0.5)) / RATE
        total += _moment(scene, t)[0] / _MOMENTS
    grain = np.random.default_rng(frame).normal(0, 0.006, (HEIGHT, WIDTH, 1))
    picture = np.clip(total + grain, 0, 1) * 255
    return picture.astype(np.uint8), _moment(scene, frame / RATE)[1]


def _moment(scene: Scene, t: float) -> tuple[np.ndarray, np.ndarray]:
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


def thrown_ball(props: Props) -> Scene:
    """A ball flies behind a tree and a dog runs to catch it."""
    back = meadow(props, width=WIDTH, seed=3)
    start, catch, seconds = 0.2, 1.9, 2.5

    def dog_at(t: float) -> Pose:
        run = np.clip(t / catch, 0, 1)
        ease = run * run * (3 - 2 * run)
        x = 300 + 238 * ease
        step = abs(np.sin(t * 15)) * 9 * (0.15 < run < 0.97)
        leap = 34 * np.exp(-(((t - catch) / 0.16) ** 2))
        tilt = 7 * np.sin(t * 15) * (0.15 < run < 0.97) - 10 * np.exp(-(((t - catch) / 0.2) ** 2))
        # Its mouth is at its front; it faces the ball once it has overtaken it.
        facing = 1.0 if run > 0.85 else -1.0
        return Pose(x, 262 - step - leap, 118, tilt, facing, ground=314)

    def ball_at(t: float) -> Pose:
        if t < catch:
            flight = max((t - start) / (catch - start), -0.1)
            x = 128 + 362 * flight
            y = 246 - 12 * flight - 4 * 168 * flight * (1 - flight)
            return Pose(x, y, 50, 420 * flight, ground=322)
        dog = dog_at(t)
        return Pose(dog.x - 47, dog.y - 12, 50, 420, ground=322)

    def still(x: float, y: float, size: float, ground: float | None) -> Callable[[float], Pose]:
        return lambda t: Pose(x, y, size, 0.8 * np.sin(t * 2 + x), ground=ground)

    house = Actor(props.emoji("1f3e1"), still(566, 176, 104, None))
    pine = Actor(props.emoji("1f332"), still(92, 170, 96, 214))
    pine_far = Actor(props.emoji("1f332"), still(478, 186, 66, 216))
    ball = Actor(props.emoji("26bd"), ball_at, 1)
    tree = Actor(props.emoji("1f333"), still(292, 146, 246, 262))
    dog = Actor(props.emoji("1f415"), dog_at, 2)
    flowers = [
        Actor(props.emoji("1f33b"), still(x, y, s, y + s / 2))
        for x, y, s in ((34, 306, 84), (608, 310, 92), (152, 328, 58))
    ]
    return Scene(
        "ball.mp4",
        "A ball, a tree and a dog",
        "A thrown ball passes behind a tree and a running dog catches it.",
        seconds,
        lambda t: back,
        (house, pine_far, pine, ball, tree, dog, *flowers),
        (8, 1),
    )


def crossing_fish(props: Props) -> Scene:
    """Two fish that look alike swim past each other."""
    rows = gradient(((0, (120, 214, 226)), (0.35, (40, 142, 190)), (1, (12, 62, 112))), HEIGHT)
    water = np.repeat(rows, WIDTH, 1)
    sand = floor(props.photograph("gravel.png"), (196, 178, 128), width=WIDTH, height=96)
    edge = np.clip(np.arange(96) / 30, 0, 1)[:, None, None]
    blue = np.array([0.55, 0.8, 0.95], np.float32)
    water[264:] = water[264:] * (1 - edge) + sand * blue * edge
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)

    def sea(t: float) -> np.ndarray:
        slant = x + 0.55 * y
        waves = ((31, 0.9, 0), (53, -0.6, 2), (83, 0.4, 4))
        rays = sum(np.sin(slant / wide + speed * t + phase) for wide, speed, phase in waves)
        light = np.clip(rays / 3, 0, 1) * np.clip(1 - y / 300, 0, 1) * 0.22
        return water + light[..., None]

    def fish(
        speed: float, start: float, height: float, phase: float, size: float
    ) -> Callable[[float], Pose]:
        def pose(t: float) -> Pose:
            sway = np.sin(t * 9 + phase)
            return Pose(
                start + speed * t + 4 * sway,
                height + 16 * np.sin(t * 2.2 + phase),
                size,
                5 * np.cos(t * 2.2 + phase) * np.sign(speed) + 2 * sway,
                -np.sign(speed) * (1 - 0.05 * abs(sway)),
                ground=318,
            )

        return pose

    def fixed(x0: float, y0: float, size: float, sway: float = 0.0) -> Callable[[float], Pose]:
        return lambda t: Pose(x0, y0, size, sway * np.sin(1.7 * t + x0), ground=y0 + 0.46 * size)

    picture = props.emoji("1f420")
    actors = (
        Actor(props.emoji("1faa8"), fixed(520, 282, 110)),
        Actor(props.emoji("1fab8"), fixed(432, 258, 120, 1.0)),
        Actor(picture, fish(-176, 560, 166, 1.0, 112), 2),
        Actor(props.emoji("1fab8"), fixed(150, 262, 150, 1.2)),
        Actor(picture, fish(172, 70, 188, 0.0, 128), 1),
        Actor(props.emoji("1faa8"), fixed(40, 318, 120)),
        Actor(props.emoji("1f33f"), fixed(594, 304, 110, 5.0)),
    )
    return Scene(
        "fish.mp4",
        "Two fish crossing",
        "Two fish that look alike swim past each other, one behind the other for a moment.",
        2.75,
        sea,
        actors,
        (9, 1),
    )


def safari(props: Props) -> Scene:
    """A camera pans over animals and a moving car."""
    wide, seconds = 1180, 3.0
    back = meadow(props, width=wide, seed=11)
    # Dry grass: the meadow in the colours of a savanna.
    back = np.clip(back * np.array([1.16, 0.98, 0.72], np.float32), 0, 1)
    back[:206] = meadow(props, width=wide, seed=11)[:206] * np.array([1.05, 0.98, 0.9], np.float32)

    def camera(t: float) -> float:
        part = np.clip(t / seconds, 0, 1)
        return 250 * (part + 0.08 * np.sin(2 * np.pi * part)) + 2 * np.sin(t * 5)

    def backdrop(t: float) -> np.ndarray:
        move = np.array([[1, 0, -camera(t) * 0.85], [0, 1, 1.2 * np.sin(t * 4)]], np.float32)
        return cv2.warpAffine(back, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)

    def world(
        x: float, y: float, size: float, speed: float = 0.0, step: float = 0.0
    ) -> Callable[[float], Pose]:
        """Things nearer to the camera pass faster."""
        near = 0.6 + 0.8 * (y + size / 2 - 208) / 152

        def pose(t: float) -> Pose:
            bob = abs(np.sin(t * 6 + x)) * step
            return Pose(
                x + speed * t - camera(t) * near,
                y - bob,
                size,
                0.35 * step * np.sin(t * 6 + x),
                -1.0 if speed > 0 else 1.0,
                ground=y + 0.44 * size,
            )

        return pose

    actors = (
        Actor(props.emoji("1f333"), world(120, 166, 116)),
        Actor(props.emoji("1f333"), world(700, 160, 130)),
        Actor(props.emoji("1f992"), world(520, 176, 150, -12, 2), 2),
        Actor(props.emoji("1f993"), world(300, 224, 104, -22, 5), 3),
        Actor(props.emoji("1f418"), world(680, 224, 146, -16, 3), 1),
        Actor(props.emoji("1f699"), world(60, 268, 122, 168, 2), 4),
        Actor(props.emoji("1faa8"), world(930, 300, 90)),
        Actor(props.emoji("1f33f"), world(430, 332, 92)),
    )
    return Scene(
        "safari.mp4",
        "A pan over the savanna",
        "The camera pans over a giraffe, a zebra and an elephant while a car drives through.",
        seconds,
        backdrop,
        actors,
        (30, 1),
    )


def orchard(props: Props) -> Scene:
    """A still: apples and pears on a lawn, some of them in the shade of a tree."""
    fruits = (
        ("1f34e", 190, 288, 62), ("1f350", 268, 306, 70), ("1f34e", 352, 280, 54),
        ("1f34e", 470, 316, 74), ("1f350", 556, 290, 60), ("1f34e", 84, 318, 76),
    )  # fmt: skip
    return _still(
        props,
        "orchard.jpg",
        "Apples and pears",
        "Point at an apple: do its links end on apples or on pears?",
        (("1f333", 142, 140, 236), ("1f333", 470, 150, 216), ("1f9fa", 604, 318, 84)),
        fruits,
    )


def pasture(props: Props) -> Scene:
    """A still: cows, sheep and a rooster."""
    animals = (
        ("1f404", 170, 232, 150), ("1f404", 452, 226, 120), ("1f411", 312, 292, 104),
        ("1f411", 566, 286, 92), ("1f413", 70, 312, 72),
    )  # fmt: skip
    return _still(
        props,
        "pasture.jpg",
        "Cows and sheep",
        "Two cows and two sheep: point at one and see whether the other is found.",
        (("1f333", 300, 148, 150), ("1f3e1", 580, 164, 120), ("1f33e", 420, 324, 70)),
        animals,
    )


def _still(
    props: Props,
    file: str,
    title: str,
    description: str,
    scenery: tuple[tuple[str, int, int, int], ...],
    things: tuple[tuple[str, int, int, int], ...],
) -> Scene:
    """Things stand on a meadow, each (emoji, x, y, size); the first of them is asked about."""
    back = meadow(props, width=WIDTH, seed=len(file))

    def actor(thing: tuple[str, int, int, int], label: int) -> Actor:
        code, x, y, size = thing
        return Actor(props.emoji(code), lambda t: Pose(x, y, size, ground=y + 0.45 * size), label)

    labelled = [(thing, 0) for thing in scenery]
    labelled += [(thing, label) for label, thing in enumerate(things, start=1)]
    labelled.sort(key=lambda pair: pair[0][2] + pair[0][3] / 2)  # what stands nearer comes later
    actors = tuple(actor(thing, label) for thing, label in labelled)
    return Scene(file, title, description, 1 / RATE, lambda t: back, actors, (0, 1))


def write(scene: Scene, folder: Path) -> dict[str, object]:
    """Paint a scene into its file and FILE.masks.npz; returns its line of the index."""
    count = round(scene.seconds * RATE)
    painted = [paint(scene, frame) for frame in range(count)]
    path = folder / scene.file
    if path.suffix == ".mp4":
        _encode(path, [picture for picture, _ in painted])
    else:
        cv2.imwrite(str(path), painted[0][0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    labels = np.stack([label for _, label in painted])
    np.savez_compressed(path.with_suffix(".masks.npz"), labels=labels)
    frame, label = scene.first_query
    return {
        "file": scene.file,
        "title": scene.title,
        "description": scene.description,
        "at": [frame, *_middle(labels[frame] == label)],
    }


def _middle(mask: np.ndarray) -> tuple[int, int]:
    """The pixel (x, y) that lies deepest inside a mask."""
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def _encode(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "slow", "movflags": "+faststart"}
        for picture in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Paint the sample clips of assets/clips.")
    parser.add_argument("--cache", type=Path, default=_HERE / "cache")
    parser.add_argument("--output", type=Path, default=_HERE.parent / "assets" / "clips")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    props = Props(options.cache)
    scenes = (thrown_ball, crossing_fish, safari, orchard, pasture)
    index = [write(make(props), options.output) for make in scenes]
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (options.output / "index.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
