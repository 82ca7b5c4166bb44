"""Traced scenery: balls and a pillar on a square, by rays through the lens of a camera.

All that has a look is a photograph: a panorama is the surroundings and the only light, and the
ground, the bricks and the grain of the balls are pictures of textures. Each frame is the mean of
many passes, each with its own moment of the exposure, its own place on the lens and its own place
in the pixel: so what is fast or out of focus blurs as it does in a camera.

Places are in metres: x to the right, y away from the camera, z up; the ground is z = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from training.data.looks import Looks
from training.data.scenery import HEIGHT, RATE, WIDTH
from training.data.shading import (
    FAR,
    Ball,
    Pillar,
    Things,
    about_z,
    light_of_ball,
    light_of_bricks,
    light_of_ground,
)

_PASSES, _SHUTTER, _LENS = 12, 0.5, 0.012  # a frame; of its time; radius of the lens in metres
_FOCAL = 880.0  # pixels
_SKY = 1e4  # metres


@dataclass(frozen=True, slots=True)
class Camera:
    """Where it is, which way it looks in radians (to the right, down), and what is sharp."""

    place: tuple[float, float, float]
    yaw: float
    pitch: float
    focus: float


@dataclass(frozen=True, slots=True, eq=False)
class TracedScene:
    """A clip to be traced: as ``PaintedScene``, its camera and things at each time in seconds."""

    file: str
    title: str
    description: str
    seconds: float
    camera: Callable[[float], Camera]
    balls: Callable[[float], tuple[Ball, ...]]
    pillar: Pillar
    looks: Looks
    first_query: tuple[int, int]


def trace(scene: TracedScene, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame number ``frame``: RGB uint8, and labels uint8 at the middle of the exposure."""
    rng = np.random.default_rng(frame)
    total = np.zeros((HEIGHT * WIDTH, 3), np.float32)
    for number in range(_PASSES):
        moment = (number + rng.random()) / _PASSES - 0.5
        radius, angle = _LENS * np.sqrt((number * 0.618) % 1), number * 2.4
        lens = (radius * np.cos(angle), radius * np.sin(angle))
        t = (frame + _SHUTTER * moment) / RATE
        total += _pass(scene, t, lens, rng.random(2) - 0.5)[0] / _PASSES
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light = total.reshape(HEIGHT, WIDTH, 3) * (1 - 0.14 * (x * x + y * y))[..., None]
    film = (1 - np.exp(-2.2 * light)) ** (1 / 2.2)
    film += 0.10 * np.sin(2 * np.pi * (film - 0.5)) / 2  # a little more contrast
    film = film + rng.normal(0, 0.007, (HEIGHT, WIDTH, 1))
    labels = _pass(scene, frame / RATE, (0.0, 0.0), np.zeros(2))[1]
    return (np.clip(film, 0, 1) * 255).astype(np.uint8), labels.reshape(HEIGHT, WIDTH)


def _pass(
    scene: TracedScene, t: float, lens: tuple[float, float], inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One pass, (pixels, 3) linear and (pixels,) labels, through one place of the lens.

    ``inside`` is the place in each pixel that it looks through, (x, y) from its middle.
    """
    start, rays = _rays(scene.camera(t), lens, inside)
    things, looks = Things(scene.balls(t), scene.pillar), scene.looks
    with np.errstate(divide="ignore", invalid="ignore"):
        # The sky is a ground that is very far away.
        ground = np.where(rays[:, 2] < 0, -start[2] / rays[:, 2], _SKY)
        to_pillar, normal = _to_pillar(start, rays, scene.pillar)
    hits = [ground, *(_to_ball(start, rays, ball) for ball in things.balls), to_pillar]
    first, nearest = np.zeros(len(rays), np.uint8), ground
    for number, distance in enumerate(hits[1:], 1):
        nearer = distance < nearest
        first[nearer] = number
        nearest = np.where(nearer, distance, nearest)
    places = start + rays * nearest[:, None]
    light = np.empty_like(rays)
    labels = np.zeros(len(rays), np.uint8)

    on = np.flatnonzero(first == 0)
    light[on] = _open(places[on], rays[on], ground[on], things, looks)
    for number, ball in enumerate(things.balls, 1):
        on = np.flatnonzero(first == number)
        labels[on] = ball.label
        light[on] = light_of_ball(places[on], rays[on], ball, things, looks)
    on = np.flatnonzero(first == len(hits) - 1)
    labels[on] = scene.pillar.label
    light[on] = light_of_bricks(places[on], normal[on], things, looks)
    return light, labels


def _open(
    places: np.ndarray, rays: np.ndarray, distance: np.ndarray, things: Things, looks: Looks
) -> np.ndarray:
    """The ground, which is the panorama's own in the distance, and the sky."""
    part = np.clip((distance - FAR[0]) / (FAR[1] - FAR[0]), 0, 1)[:, None] ** 0.7
    light = np.zeros_like(rays)
    on = np.flatnonzero(part > 0)
    light[on] = part[on] * looks.seen(rays[on], looks.panorama)
    on = np.flatnonzero(part < 1)
    near = light_of_ground(places[on], distance[on], things, looks)
    light[on] += (1 - part[on]) * near
    return light


def _rays(
    camera: Camera, lens: tuple[float, float], inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where all rays start, and their directions (pixels, 3), row by row of the picture."""
    yaw, pitch = camera.yaw, camera.pitch
    ahead = np.array(
        [np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)], np.float32
    )
    right = np.array([np.cos(yaw), -np.sin(yaw), 0], np.float32)
    up = np.cross(right, ahead)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x = (x + 0.5 + inside[0] - WIDTH / 2).ravel()[:, None] / _FOCAL
    y = (HEIGHT / 2 - y - 0.5 - inside[1]).ravel()[:, None] / _FOCAL
    shift = right * lens[0] + up * lens[1]
    rays = (ahead + x * right + y * up) * camera.focus - shift
    start = np.array(camera.place, np.float32) + shift
    rays = rays.astype(np.float32)
    return start.astype(np.float32), rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _to_ball(start: np.ndarray, rays: np.ndarray, ball: Ball) -> np.ndarray:
    away = start - np.array(ball.middle, np.float32)
    half = rays @ away
    under = half * half - (away @ away - ball.radius**2)
    return np.where(under > 0, -half - np.sqrt(np.maximum(under, 0)), np.inf)


def _to_pillar(start: np.ndarray, rays: np.ndarray, pillar: Pillar) -> tuple[np.ndarray, ...]:
    """The distance along each ray, and the normal of the side that it meets."""
    turn = about_z(pillar.turn)
    begin = turn @ (start - np.array([*pillar.middle, 0], np.float32))
    along = rays @ turn.T
    one, other = (-pillar.half - begin[:2]) / along[:, :2], (pillar.half - begin[:2]) / along[:, :2]
    near, far = np.minimum(one, other), np.maximum(one, other)
    side = near[:, 1] > near[:, 0]
    distance = np.where(side, near[:, 1], near[:, 0])
    met = (distance < np.minimum(far[:, 0], far[:, 1])) & (distance > 0)
    normal = np.zeros_like(rays)
    normal[~side, 0], normal[side, 1] = -np.sign(along[~side, 0]), -np.sign(along[side, 1])
    return np.where(met, distance, np.inf), normal @ turn


def rolled(way: float, radius: float, start: np.ndarray) -> np.ndarray:
    """A ball that was turned as ``start`` and has rolled so many metres to the right."""
    angle = way / radius
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32) @ start


def turned(*angles: float) -> np.ndarray:
    """A rotation by angles about x, y and z."""
    return cv2.Rodrigues(np.array(angles, np.float32))[0]
