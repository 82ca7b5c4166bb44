"""Traced scenery: places, masks and light are what geometry says; the court shows what it tells."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import nlviz
from training.court import _bounced
from training.data import traced
from training.data.looks import Looks, look_up, panorama_of, seen_square_on
from training.data.shading import Ball, Pillar, Things, light_of_bricks, light_of_ground
from training.data.traced import Camera, TracedScene, rolled, trace, turned

WIDTH, HEIGHT, FOCAL = 160, 90, 220.0
CLIPS = Path(__file__).resolve().parents[2] / "assets" / "clips"
LEVEL = Camera((0.0, 0.0, 1.0), 0.0, 0.0, 3.0)
FAR_PILLAR = Pillar((50.0, -50.0), 0.1, 0.0, 3)


@pytest.fixture(scope="module")
def looks() -> Looks:
    """Everywhere the same light of 0.5, and noise for textures."""
    noise = np.random.default_rng(1).integers(90, 160, (512, 512)).astype(np.uint8)
    panorama = np.full((64, 128, 3), 0.5, np.float32)
    return Looks(panorama, ground=noise, bricks=noise, grain=noise, azimuth=0.0)


def scene(looks: Looks, *balls: Ball, pillar: Pillar = FAR_PILLAR) -> TracedScene:
    return TracedScene(
        "a.mp4", "A", "A.", 1.0, lambda t: LEVEL, lambda t: balls, pillar, looks, (0, 1)
    )


def ball(x: float, y: float, z: float, radius: float = 0.3, label: int = 1) -> Ball:
    return Ball((x, y, z), radius, np.eye(3, dtype=np.float32), label)


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "_FOCAL": FOCAL, "_PASSES": 4}.items():
        monkeypatch.setattr(traced, name, value)


def test_a_ball_covers_the_pixels_whose_rays_pass_its_middle_within_its_radius(looks):
    shown = ball(0.4, 3.0, 1.2)
    labels = trace(scene(looks, shown), 0)[1]
    middle = np.array([0.4, 3.0, 0.2])  # from the camera
    for y in range(0, HEIGHT, 3):
        for x in range(0, WIDTH, 3):
            ray = np.array([x + 0.5 - WIDTH / 2, FOCAL, HEIGHT / 2 - y - 0.5])
            ray /= np.linalg.norm(ray)
            distance = np.linalg.norm(middle - ray * (ray @ middle))
            assert labels[y, x] == (distance < 0.3), (x, y)


def test_what_is_nearer_hides_what_is_behind_it(looks):
    pillar = Pillar((0.0, 2.0), 0.2, 0.3, 3)
    behind, before = ball(0.0, 3.0, 1.0, 0.15), ball(0.0, 1.2, 1.0, 0.05, label=2)
    labels = trace(scene(looks, behind, before, pillar=pillar), 0)[1]
    assert set(np.unique(labels)) == {0, 2, 3}
    assert labels[HEIGHT // 2, WIDTH // 2] == 2
    aside = replace(behind, middle=(0.35, 3.0, 1.0))
    assert (trace(scene(looks, aside, pillar=pillar), 0)[1] == 1).any()


def test_a_moving_ball_is_blurred_along_its_way_and_its_mask_is_not(looks):
    still = scene(looks, ball(0.0, 3.0, 1.0))
    moving = replace(still, balls=lambda t: (ball(6.0 * t, 3.0, 1.0),))
    one, other = trace(still, 0), trace(moving, 0)
    np.testing.assert_array_equal(one[1], other[1])

    def steepest(picture: np.ndarray) -> float:
        row = picture[HEIGHT // 2].mean(1)
        return float(np.abs(np.diff(row)).max())

    assert steepest(other[0]) < 0.7 * steepest(one[0])


def test_what_is_out_of_focus_is_blurred(looks):
    sharp = scene(looks, ball(0.0, 3.0, 1.0))
    near = replace(sharp, camera=lambda t: replace(LEVEL, focus=0.8))
    edges = [cv2.Laplacian(trace(each, 0)[0], cv2.CV_32F).var() for each in (sharp, near)]
    assert edges[1] < edges[0]


def test_a_frame_is_the_same_each_time(looks):
    shown = scene(looks, ball(0.0, 3.0, 1.0))
    np.testing.assert_array_equal(trace(shown, 5)[0], trace(shown, 5)[0])
    assert (trace(shown, 5)[0] != trace(shown, 6)[0]).any(), "grain differs"


def test_even_light_from_all_around_lights_all_sides_alike(looks):
    np.testing.assert_allclose(looks.light, 0.5, rtol=0.01)
    np.testing.assert_allclose(looks.floor, 0.5, rtol=0.01)


def test_light_falls_from_where_the_panorama_is_bright(looks):
    half = np.zeros((64, 128, 3), np.float32)
    half[:32] = 1.0  # the sky alone
    grey = np.full((512, 512), 120, np.uint8)
    lit = Looks(half, ground=grey, bricks=grey, grain=grey, azimuth=0.0)
    ways = np.array([[0, 0, 1], [0, 1, 0], [0, 0, -1]], np.float32)
    up, side, down = lit.seen(ways, lit.light)[:, 0]
    assert up == pytest.approx(1.0, abs=0.03)
    assert side == pytest.approx(0.5, abs=0.03)
    assert down == pytest.approx(0.0, abs=0.03)


def test_the_ground_is_darkest_right_under_a_ball_and_beside_a_pillar(looks):
    grey = np.full((512, 512), 120, np.uint8)
    even = Looks(looks.panorama, ground=grey, bricks=grey, grain=grey, azimuth=0.0)
    places = np.array([[x, 3.0, 0.0] for x in (0.0, 0.3, 0.6, 3.0)], np.float32)
    distance = np.full(4, 3.0, np.float32)
    for things in (
        Things((ball(0.0, 3.0, 0.3),), FAR_PILLAR),
        Things((), Pillar((-0.5, 3.0), 0.2, 0.0, 3)),
    ):
        light = light_of_ground(places, distance, things, even)[:, 0]
        assert (np.diff(light) > 0).all()
        assert light[-1] == pytest.approx(0.5, rel=0.05)


def test_mortar_is_brighter_than_bricks(looks):
    bricks = np.full((512, 512), 70, np.uint8)
    bricks[:, 256:] = 170
    lit = Looks(looks.panorama, ground=bricks, bricks=bricks, grain=bricks, azimuth=0.0)
    pillar = Pillar((0.0, 2.0), 0.4, 0.0, 3)
    places = np.array([[x, 1.6, 0.5] for x in (-0.1, 0.3)], np.float32)
    normal = np.array([[0, -1, 0]] * 2, np.float32)
    dark, bright = light_of_bricks(places, normal, Things((), pillar), lit)
    assert (bright > dark).all()
    assert dark[0] > 2 * dark[2], "bricks are red"


def test_a_rolling_ball_does_not_slip():
    """What touches the ground stands still while the ball goes on."""
    start, radius, step = turned(0.4, -1.0, 2.0), 0.2, 1e-3
    mark = rolled(0.7, radius, start).T @ np.array([0, 0, -radius])
    before, after = (
        np.array([way, 0, radius]) + rolled(way, radius, start) @ mark for way in (0.7, 0.7 + step)
    )
    assert np.linalg.norm(after - before) < 0.02 * step


def test_a_bouncing_ball_never_sinks_and_bounces_lower_each_time():
    heights = np.array([_bounced(t) for t in np.arange(0, 3, 0.005)])
    assert heights.min() >= 0
    assert np.abs(np.diff(heights)).max() < 0.02
    inner = heights[1:-1]
    peaks = inner[(inner > heights[:-2]) & (inner >= heights[2:])]
    assert len(peaks) >= 5
    assert (np.diff(peaks) < 0).all()


def test_a_texture_repeats(looks):
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, y = np.array([1, 5, -3, 0.5]), np.array([2, -1, 2, 0])
    np.testing.assert_allclose(look_up(picture, x, y), [9, 9, 9, 0.5])
    assert look_up(picture, np.zeros(0), np.zeros(0)).shape == (0,)
    many = look_up(picture, np.full(40_000, 3.0), np.full(40_000, 1.0))
    assert (many.shape, set(many)) == ((40_000,), {7.0})


def test_lines_that_run_away_stand_side_by_side_again():
    picture = np.zeros((200, 300), np.uint8)
    for column in range(-300, 600, 60):
        cv2.line(picture, (column, 199), (round(150 + (column - 150) * 0.5), 0), 255, 1)
    straight = seen_square_on(picture, 150, 0.5)
    assert straight.mean(0).std() > 1.5 * picture.mean(0).std()


def test_a_file_without_a_panorama_is_refused(tmp_path):
    path = tmp_path / "a.exr.js"
    path.write_text("export default 'nothing'", encoding="ascii")
    with pytest.raises(ValueError, match=r"a\.exr\.js holds no picture"):
        panorama_of(path)
    png = cv2.imencode(".png", np.zeros((4, 8, 3), np.uint8))[1].tobytes()
    path.write_text(f"export default 'data:;base64,{base64.b64encode(png).decode()}'", "ascii")
    with pytest.raises((ValueError, OSError)):
        panorama_of(path)


@pytest.fixture(scope="module")
def court() -> np.ndarray:
    return np.load(CLIPS / "court.masks.npz")["labels"]


def middle(labels: np.ndarray, label: int) -> float:
    return float(np.nonzero(labels == label)[1].mean())


def test_the_balls_of_the_court_change_sides_behind_the_pillar(court):
    assert set(np.unique(court)) == {0, 1, 2, 3}
    first, last = court[0], court[-1]
    assert middle(first, 1) < middle(first, 3) < middle(first, 2)
    assert middle(last, 2) < middle(last, 3) < middle(last, 1)
    seen = np.array([[(frame == label).any() for label in (1, 2, 3)] for frame in court])
    hidden = ~seen[:, 0] & ~seen[:, 1]
    assert hidden.any(), "both are behind it for a moment"
    assert seen[:, 2].all()
    # The camera moves: the pillar stands still and crosses a part of the picture.
    assert middle(first, 3) - middle(last, 3) > 100


def test_the_balls_of_the_court_look_alike_and_the_pillar_does_not(court):
    clip = nlviz.read("sample:court.mp4", frames=1)
    colours = [clip.frames[0][court[0] == label].mean(0) for label in (1, 2, 3)]
    one, same, other = (colour / colour.sum() for colour in colours)
    assert np.linalg.norm(one - same) < 0.3 * np.linalg.norm(one - other)


def test_of_the_frames_that_are_read_most_show_both_balls(court):
    indices = nlviz.read("sample:court.mp4").indices
    both = [set(np.unique(court[i])) >= {1, 2} for i in indices]
    assert sum(both) >= 5
