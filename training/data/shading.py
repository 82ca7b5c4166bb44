"""Shading: the light that ground, balls and bricks send to the camera, and what shades what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.looks import Looks, look_up

FAR = (5.0, 14.0)
"""Metres from the camera: from the first on the ground turns into the panorama's own."""

_ORANGE, _BLACK = np.array([0.50, 0.155, 0.045], np.float32), 0.012
_BRICK = np.array([0.33, 0.105, 0.07], np.float32)
_MORTAR = np.array([0.52, 0.48, 0.43], np.float32)
# Pixels of a photograph a metre; of the grain, a radius of the ball.
_GROUND_TILE, _BRICK_TILE, _GRAIN_TILE = 512 / 1.6, 512 / 0.9, 260


@dataclass(frozen=True, slots=True)
class Ball:
    """A ball at a moment: its middle, its radius, and how it is turned, a 3×3 rotation."""

    middle: tuple[float, float, float]
    radius: float
    turn: np.ndarray
    label: int


@dataclass(frozen=True, slots=True)
class Pillar:
    """A square pillar without an end: its middle (x, y), half its width, turned by radians."""

    middle: tuple[float, float]
    half: float
    turn: float
    label: int


@dataclass(frozen=True, slots=True)
class Things:
    """All that stands on the ground at a moment."""

    balls: tuple[Ball, ...]
    pillar: Pillar


def light_of_ground(
    places: np.ndarray, distance: np.ndarray, things: Things, looks: Looks
) -> np.ndarray:
    """Of places (N, 3) of the ground at distances (N,) from the camera: (N, 3), linear."""
    x, y = places[:, 0] * _GROUND_TILE, -places[:, 1] * _GROUND_TILE
    # What is far is finer than a pixel: take it from a photograph that is as blurred.
    level = np.clip(np.log2(distance / 1.2), 0, len(looks.ground) - 1.001)
    seen = np.zeros(len(places), np.float32)
    for number, photograph in enumerate(looks.ground):
        share = np.clip(1 - abs(level - number), 0, 1)
        on = np.flatnonzero(share)
        seen[on] += share[on] * look_up(photograph, x[on], y[on])
    up = np.broadcast_to(np.array([0, 0, 1], np.float32), places.shape)
    open_sky = np.ones(len(places), np.float32)
    for ball in things.balls:
        open_sky *= 1 - _hidden_by_ball(places, up, ball)
    open_sky *= 1 - _hidden_by_pillar(places, things.pillar)
    return looks.floor * (seen * open_sky)[:, None]


def light_of_ball(
    places: np.ndarray, rays: np.ndarray, ball: Ball, things: Things, looks: Looks
) -> np.ndarray:
    """Of places (N, 3) on a ball, seen along rays (N, 3): (N, 3), linear."""
    normal = (places - np.array(ball.middle, np.float32)) / ball.radius
    grain, line = _skin(normal @ ball.turn, looks)
    colour = (_ORANGE * grain**1.8) * line + _BLACK * (1 - line)
    # The nearer to the ground, the more of it is the ball's own shadow.
    height = max(ball.middle[2] - ball.radius, 0) / ball.radius
    open_sky = 1 - np.clip(-normal[:, 2], 0, 1) * 0.85 / (1 + height) ** 2
    for other in things.balls:
        if other is not ball:
            open_sky *= 1 - _hidden_by_ball(places, normal, other)
    open_sky = (open_sky * (1 - _hidden_by_wall(places, normal, things.pillar)))[:, None]
    toward = (rays * normal).sum(1, keepdims=True)
    fresnel = 0.04 + 0.5 * (1 - abs(toward)) ** 5
    mirrored = looks.seen(rays - 2 * toward * normal, looks.rough)
    gloss = fresnel * mirrored * (0.3 + 0.7 * grain * line)
    return (colour * looks.seen(normal, looks.light) + gloss) * open_sky


def _skin(places: np.ndarray, looks: Looks) -> tuple[np.ndarray, np.ndarray]:
    """The grain at places (N, 3) on a ball of radius 1, and 0 on its seams to 1 beside: (N, 1)."""
    grain = sum(
        abs(places[:, [k]])
        * look_up(looks.grain, *(_GRAIN_TILE * np.delete(places, k, 1).T))[:, None]
        for k in range(3)
    ) / abs(places).sum(1, keepdims=True)
    # Two great circles that cross, and a small one around each end of the axis x.
    seam = np.minimum(abs(places[:, 0]), abs(places[:, 2]))
    seam = np.minimum(seam, abs(np.hypot(places[:, 1], places[:, 2]) - 0.66))
    return grain, np.clip((seam - 0.022) / 0.012, 0, 1)[:, None]


def light_of_bricks(
    places: np.ndarray, normal: np.ndarray, things: Things, looks: Looks
) -> np.ndarray:
    """Of places (N, 3) on the pillar, whose sides face along ``normal`` (N, 3): (N, 3), linear."""
    pillar = things.pillar
    turn = about_z(pillar.turn)
    inside = (places - np.array([*pillar.middle, 0], np.float32)) @ turn.T
    side = normal @ turn.T
    across = np.where(abs(side[:, 0]) > 0.5, inside[:, 1] + 0.69, inside[:, 0] + 0.31)
    x, y = across * _BRICK_TILE, -places[:, 2] * _BRICK_TILE
    grey = look_up(looks.bricks, x, y)[:, None]
    mortar = np.clip((grey - 0.44) / 0.16, 0, 1)
    colour = (_BRICK * (grey / 0.38) ** 2) * (1 - mortar) + _MORTAR * mortar
    open_sky = 1 - 0.5 * np.exp(-places[:, 2] / 0.12)
    for ball in things.balls:
        open_sky *= 1 - _hidden_by_ball(places, normal, ball)
    return colour * looks.seen(normal, looks.light) * open_sky[:, None]


def _hidden_by_ball(places: np.ndarray, normal: np.ndarray, ball: Ball) -> np.ndarray:
    """How much of the light of a matt surface a ball keeps off: cos θ r²/d²."""
    toward = np.array(ball.middle, np.float32) - places
    square = np.maximum((toward * toward).sum(1), ball.radius**2)
    cosine = (toward * normal).sum(1) / np.sqrt(square)
    return np.clip(cosine, 0, 1) * ball.radius**2 / square


def _hidden_by_pillar(places: np.ndarray, pillar: Pillar) -> np.ndarray:
    """How much of the ground's sky a pillar hides, as a round one would."""
    far = np.hypot(places[:, 0] - pillar.middle[0], places[:, 1] - pillar.middle[1])
    return np.arcsin(np.clip(1.1 * pillar.half / np.maximum(far, 1e-3), 0, 1)) / np.pi


def _hidden_by_wall(places: np.ndarray, normal: np.ndarray, pillar: Pillar) -> np.ndarray:
    """How much of the light from the side a pillar keeps off what faces it."""
    toward = np.array([*pillar.middle, 0], np.float32) - places
    toward[:, 2] = 0
    far = np.linalg.norm(toward, axis=1)
    facing = np.clip((normal * toward).sum(1) / far, 0, 1)
    return facing * np.clip(pillar.half / far, 0, 1) * 0.8


def about_z(angle: float) -> np.ndarray:
    """Turns places into the axes of what is turned by an angle in radians about z."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32)
