"""The court: two balls that look alike pass each other behind a pillar, and the camera moves."""

from __future__ import annotations

import numpy as np

from training.data.looks import Looks, panorama_of, seen_square_on
from training.data.scenery import Props
from training.data.shading import Ball, Pillar
from training.data.traced import Camera, TracedScene, rolled, turned

_SECONDS, _RADIUS = 2.75, 0.12
_GRAVITY, _KEPT = 9.81, 0.88  # of its speed, when a ball bounces


def crossing_balls(props: Props) -> TracedScene:
    """One ball rolls to the right, the other bounces to the left further back."""
    bricks = seen_square_on(props.photograph("brick.png")[..., 0], 224, 0.29)
    looks = Looks(
        panorama_of(props.surroundings("sunset")),
        ground=props.photograph("gravel.png")[..., 0],
        bricks=np.rot90(bricks).copy(),
        grain=props.photograph("gravel.png")[..., 0],
        azimuth=2.0,
    )
    one, other = turned(0.5, 0.9, 0.3), turned(1.2, -0.4, 0.8)

    def balls(t: float) -> tuple[Ball, ...]:
        x, far_x = 0.575 * t - 0.79, 0.67 - 0.49 * t
        height = _RADIUS + _bounced(t + 0.22)
        return (
            Ball((x, 2.35, _RADIUS), _RADIUS, rolled(x, _RADIUS, one), 1),
            Ball((far_x, 2.75, height), _RADIUS, rolled(1.4 * far_x, _RADIUS, other), 2),
        )

    def camera(t: float) -> Camera:
        part = np.clip(t / _SECONDS, 0, 1)
        side = 2 * part * part * (3 - 2 * part) - 1  # from -1 to 1, slow at both ends
        # The rest is the hand that holds it.
        place = (0.35 * side, 0.004 * np.sin(6 * t), 0.60 + 0.008 * np.sin(4 * t))
        yaw = -0.08 * side + 0.004 * np.sin(5 * t)
        return Camera(place, yaw, 0.125 + 0.004 * np.sin(4.1 * t + 1), 2.4)

    return TracedScene(
        "court.mp4",
        "Two balls behind a pillar",
        "Two balls that look alike pass each other behind a pillar while the camera moves.",
        _SECONDS,
        camera,
        balls,
        Pillar((0.0, 1.95), 0.125, 0.42, 3),
        looks,
        (9, 1),
    )


def _bounced(t: float) -> float:
    """How high a ball is over the ground that bounces since time 0, in metres."""
    lasts = 0.6
    while t > lasts:
        t, lasts = t - lasts, _KEPT * lasts
    return _GRAVITY / 2 * t * (lasts - t)
