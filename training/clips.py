"""``python -m training.clips [FILE …]``: the samples of assets/clips, painted, with exact masks.

Rendered objects (Fluent Emoji, MIT) in painted scenes whose ground is a CC0 photograph of grass or
gravel; and one scene that is traced, in which all that is seen is a CC0 photograph.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from training.court import crossing_balls
from training.data.scenery import (
    HEIGHT,
    RATE,
    WIDTH,
    Actor,
    PaintedScene,
    Pose,
    Props,
    floor,
    gradient,
    meadow,
    paint,
)
from training.data.traced import TracedScene, trace

_HERE = Path(__file__).resolve().parent


def thrown_ball(props: Props) -> PaintedScene:
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
    return PaintedScene(
        "ball.mp4",
        "A ball, a tree and a dog",
        "A thrown ball passes behind a tree and a running dog catches it.",
        seconds,
        lambda t: back,
        (house, pine_far, pine, ball, tree, dog, *flowers),
        (8, 1),
    )


def crossing_fish(props: Props) -> PaintedScene:
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
    return PaintedScene(
        "fish.mp4",
        "Two fish crossing",
        "Two fish that look alike swim past each other, one behind the other for a moment.",
        2.75,
        sea,
        actors,
        (9, 1),
    )


def safari(props: Props) -> PaintedScene:
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
    return PaintedScene(
        "safari.mp4",
        "A pan over the savanna",
        "The camera pans over a giraffe, a zebra and an elephant while a car drives through.",
        seconds,
        backdrop,
        actors,
        (30, 1),
    )


def orchard(props: Props) -> PaintedScene:
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


def pasture(props: Props) -> PaintedScene:
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
) -> PaintedScene:
    """Things stand on a meadow, each (emoji, x, y, size); the first of them is asked about."""
    back = meadow(props, width=WIDTH, seed=len(file))

    def actor(thing: tuple[str, int, int, int], label: int) -> Actor:
        code, x, y, size = thing
        return Actor(props.emoji(code), lambda t: Pose(x, y, size, ground=y + 0.45 * size), label)

    labelled = [(thing, 0) for thing in scenery]
    labelled += [(thing, label) for label, thing in enumerate(things, start=1)]
    labelled.sort(key=lambda pair: pair[0][2] + pair[0][3] / 2)  # what stands nearer comes later
    actors = tuple(actor(thing, label) for thing, label in labelled)
    return PaintedScene(file, title, description, 1 / RATE, lambda t: back, actors, (0, 1))


def write(scene: PaintedScene | TracedScene, folder: Path) -> dict[str, object]:
    """Paint a scene into its file and FILE.masks.npz; returns its line of the index."""
    numbers = range(round(scene.seconds * RATE))
    if isinstance(scene, TracedScene):
        painted = [trace(scene, number) for number in numbers]
    else:
        painted = [paint(scene, number) for number in numbers]
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


SCENES = {
    "ball.mp4": thrown_ball,
    "fish.mp4": crossing_fish,
    "safari.mp4": safari,
    "court.mp4": crossing_balls,
    "orchard.jpg": orchard,
    "pasture.jpg": pasture,
}
"""What paints each file, in the order of the gallery."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.clips", description="Paint the sample clips of assets/clips."
    )
    parser.add_argument("file", nargs="*", help="which of them; all without")
    parser.add_argument("--cache", type=Path, default=_HERE / "cache")
    parser.add_argument("--output", type=Path, default=_HERE.parent / "assets" / "clips")
    options = parser.parse_args(arguments)
    if unknown := set(options.file) - SCENES.keys():
        parser.error(f"{unknown.pop()} is not one of {', '.join(SCENES)}")
    options.output.mkdir(parents=True, exist_ok=True)
    index = options.output / "index.json"
    kept = json.loads(index.read_text(encoding="utf-8")) if options.file else []
    lines = {line["file"]: line for line in kept}
    props = Props(options.cache)
    for file in options.file or SCENES:
        lines[file] = write(SCENES[file](props), options.output)
    text = json.dumps([lines[file] for file in SCENES if file in lines], indent=1)
    index.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
