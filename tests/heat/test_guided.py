"""The guided filter against its definition, a window at a time."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.errors import QueryError
from nlviz.heat.guided import Guide, radius_of


def slow(picture, p, r, epsilon):
    """q_i: the mean over all windows k that hold pixel i of a_kᵀI_i + b_k."""
    image = picture.astype(float) / 255
    height, width = p.shape
    a, b = np.empty((height, width, 3)), np.empty((height, width))
    window = lambda y, x: (slice(max(y - r, 0), y + r + 1), slice(max(x - r, 0), x + r + 1))  # noqa: E731
    for y in range(height):
        for x in range(width):
            here = image[window(y, x)].reshape(-1, 3)
            values = p[window(y, x)].ravel()
            centred = here - here.mean(0)
            spread = centred.T @ centred / len(here) + epsilon * np.eye(3)
            a[y, x] = np.linalg.solve(spread, centred.T @ (values - values.mean()) / len(here))
            b[y, x] = values.mean() - a[y, x] @ here.mean(0)
    return np.array(
        [
            [
                a[window(y, x)].reshape(-1, 3).mean(0) @ image[y, x] + b[window(y, x)].mean()
                for x in range(width)
            ]
            for y in range(height)
        ]
    )


def test_the_filter_is_the_mean_of_what_its_windows_say():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    p = rng.random((9, 11)).astype(np.float32)
    expected = np.clip(slow(picture, p, 2, 0.01), p.min(), p.max())
    np.testing.assert_allclose(Guide.of(picture, 2, 0.01).filtered(p), expected, atol=2e-5)


def test_a_blurred_edge_snaps_to_the_pictures():
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, 20:] = (200, 40, 90)
    ramp = np.tile(np.clip((np.arange(32, dtype=np.float32) - 12) / 16, 0, 1), (16, 1))
    drawn = Guide.of(picture, 8).filtered(ramp)
    jumps = np.abs(np.diff(drawn, axis=1)).mean(0)
    assert jumps.argmax() == 19
    assert jumps[19] > 3 * np.abs(np.diff(ramp, axis=1)).max()


def test_an_even_picture_keeps_values_within_their_range():
    drawn = Guide.of(np.full((8, 8, 3), 90, np.uint8), 2).filtered(np.eye(8, dtype=np.float32))
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_what_does_not_fit_is_told():
    picture = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(QueryError, match="radius of at least 1 pixel and an ε above 0; got 0"):
        Guide.of(picture, 0)
    with pytest.raises(QueryError, match="Values of 4×4 do not fit a guide of 6×4 pixels"):
        Guide.of(picture, 1).filtered(np.zeros((4, 4), np.float32))
    assert radius_of(0.2, 0.4) == 1
    assert radius_of(15.6, 8) == 16
