"""Films, decoded again by ffmpeg and played in a browser."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from nlviz import Cell, ExportError, Point, Query, QueryError
from nlviz.ask.places import Side
from nlviz.cli import main
from nlviz.film import Film, follow, play, travel
from nlviz.film.sheet import Sheet
from nlviz.heat.colormap import coloured
from nlviz.heat.overlay import Shade
from nlviz.media.encode import gif, mp4
from tests.support import make

QUERY = Query(Point(5, 20.0, 10.0), "fine", k=6)
PATH = (Point(5, 4.0, 4.0), Point(5, 60.0, 4.0), Point(5, 60.0, 44.0))


@pytest.fixture(scope="module")
def analysis():
    return make.analysis()


def flat(count: int = 5, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Pictures of one colour each."""
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 220), (10, 10, 10)]
    return [np.full((height, width, 3), colour, np.uint8) for colour in colours[:count]]


def decoded(content: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_an_mp4_is_h264_as_browsers_play_it_with_its_colours():
    pictures = flat()
    content = mp4(pictures, Fraction(4), comment="how it was made")
    with av.open(io.BytesIO(content)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 4
        assert container.metadata["comment"] == "how it was made"
    for was, now in zip(pictures, decoded(content), strict=True):
        np.testing.assert_allclose(now, was, atol=4)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs the ffmpeg program")
def test_ffmpeg_decodes_an_mp4_without_a_word(tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4(flat(), Fraction(4)))
    line = ["ffmpeg", "-v", "warning", "-i", tmp_path / "a.mp4", "-f", "null", "-"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_browser_plays_an_mp4(browser, tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4(flat(), Fraction(10)))
    (tmp_path / "a.html").write_text('<video muted src="a.mp4"></video>')
    page = browser.new_page()
    page.goto((tmp_path / "a.html").as_uri())
    ended = "() => new Promise((yes, no) => { const v = document.querySelector('video'); "
    ended += "v.onended = () => yes([v.videoWidth, v.videoHeight]); v.onerror = no; v.play() })"
    assert page.evaluate(ended) == [64, 48]
    page.close()


def test_a_gif_repeats_and_has_every_picture():
    with Image.open(io.BytesIO(gif(flat(), Fraction(4), "made"))) as image:
        assert (image.n_frames, image.info["loop"], image.info["duration"]) == (5, 0, 250)
        assert image.info["comment"] == b"made"
        for number, picture in enumerate(flat()):
            image.seek(number)
            np.testing.assert_allclose(np.asarray(image.convert("RGB")), picture, atol=4)


def test_the_player_shows_each_frame_with_the_heat_that_falls_on_it(analysis):
    film = play(analysis, [QUERY], width=320)
    bare = play(analysis, [QUERY], width=320, shade=Shade(opacity=0))
    pictures = list(film.pictures())
    assert len(pictures) == len(analysis.clip.frames)
    assert all(p.shape[0] % 2 == p.shape[1] % 2 == 0 for p in pictures)
    same = [np.array_equal(a, b) for a, b in zip(pictures, bare.pictures(), strict=True)]
    assert same == [False, True, False, False]  # its own frame is left out, so it stays clear
    # Without heat or ink a frame is the clip's own: a corner that no link of this query reaches.
    sheet = Sheet.of(analysis.clip, (1,), 320)
    corner = (slice(200, 239), slice(0, 40))
    np.testing.assert_array_equal(pictures[1][corner], sheet.picture()[corner])


def test_the_player_follows_the_viewers_scale_curve_and_colours(analysis):
    def warmth(**shade) -> float:
        """How much the heat changes the first frame."""
        film = play(analysis, [QUERY], width=320, shade=Shade(**shade))
        bare = play(analysis, [QUERY], width=320, shade=Shade(opacity=0))
        return float(np.abs(film.draw(0).astype(int) - bare.draw(0)).mean())

    usual = warmth()
    # Random rows share their greatest weight with no other, and none comes near 1.
    assert warmth(against="absolute") < warmth(against="block") < usual
    assert warmth(curve="root") > usual
    assert len({warmth(colours=name) for name in ("dusk", "viridis", "cividis", "grey")}) == 4


def test_heat_has_the_colours_of_the_viewer():
    levels = np.array([0.0, 0.5, 1.0], np.float32)
    # From viewer/colour.js: heatPixels(false, 0.7) and heatPixels(true, 0.7), as numbers.
    made = np.round(coloured(levels, False, 1.0) * 255)
    assert made[:, 3].tolist() == [102, 196, 255]
    assert made[0, :3].max() < 60
    assert made[2, :3].min() > 150
    signed = coloured(np.array([-1.0, 1.0], np.float32), True, 1.0)
    assert signed[0, 2] > signed[0, 0]  # blue below zero
    assert signed[1, 0] > signed[1, 2]  # orange above


def test_a_query_travels_along_its_path(analysis):
    film = travel(analysis, QUERY, PATH, seconds=1, rate=6, width=400)
    pictures = list(film.pictures())
    assert len(pictures) == 6
    assert not any(np.array_equal(a, b) for a, b in pairwise(pictures))
    sheet = Sheet.of(analysis.clip, (0, 1, 2, 3), 400)
    for picture, place in ((pictures[0], PATH[0]), (pictures[-1], PATH[-1])):
        x, y = (round(at) for at in sheet.place(place))
        np.testing.assert_allclose(picture[y, x], (0xE6, 0x9F, 0x00), atol=3)


def test_following_goes_where_the_heaviest_link_leads_and_stops_in_a_circle(analysis):
    from nlviz import top_links
    from nlviz.film.travel import _chain

    chain = _chain(analysis, QUERY, 50)
    for (_, links), (query, _) in pairwise(chain):
        assert query.point == links[0].target
    for query, links in chain:
        assert links == top_links(analysis, query)
    assert len(chain) < 51
    film = follow(analysis, QUERY, 1, width=320)
    assert film.count == len(list(film.pictures())) == 2 * 18 - 8


def test_following_ends_where_the_block_asks_nothing():
    memory = make.partial()
    start = Query(Point(15, 20.0, 20.0), "memory", exclude="none")
    film = follow(memory, start, 5, width=320)  # its links end on frames without a query
    assert film.count == len(list(film.pictures())) == 10
    with pytest.raises(QueryError, match="its queries lie on frame 15"):
        follow(memory, replace(start, point=Point(0, 20.0, 20.0)))


@pytest.mark.parametrize("reverse", [False, True])
def test_on_its_way_over_cells_without_a_query_a_film_shows_the_frames_alone(reverse):
    analysis = make.partial()
    side = Side(analysis.affinity("kept"), reverse)
    frame, row = 2, 1
    there = side.present[: side.own.size].reshape(side.own.shape)[frame, row]
    cells = [analysis.view.point(Cell(frame, row, col), side.own) for col in range(len(there))]
    first = int(np.flatnonzero(there)[0])
    assert not there[first:].all()
    path = (cells[first], cells[-1])
    query = Query(path[0], "kept", exclude="none", reverse=reverse)
    count = len(there) - first
    film = travel(analysis, query, path, seconds=2, rate=count / 2, width=400)
    sheet = Sheet.of(analysis.clip, (0, 1, 2, 3), 400)
    bare, (width, height) = sheet.picture(), sheet.frame
    x, y = sheet.corner(0)
    shown = [
        not np.array_equal(
            picture[y : y + height, x : x + width], bare[y : y + height, x : x + width]
        )
        for picture in film.pictures()
    ]
    assert shown == list(there[first:])


def test_a_film_that_is_stopped_leaves_nothing(analysis, tmp_path):
    def stop(fraction, what):
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(analysis, [QUERY], width=320).save(tmp_path / "a.mp4", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_film_is_told(analysis):
    single = make.analysis(frames=1)
    short = [Query(Point(0, 5.0, 5.0), "fine", exclude="cell")]
    for made, says in (
        (lambda: play(single, short), "A clip of one frame does not play"),
        (lambda: play(analysis, []), "1 to 8 queries; got 0"),
        (lambda: play(analysis, [QUERY], width=10), "160 to 3840 pixels wide; got 10"),
        (lambda: play(analysis, [QUERY], rate=0), "0.5 to 60 per second; got 0"),
        (lambda: travel(analysis, QUERY, PATH[:1]), "at least two points"),
        (lambda: travel(analysis, QUERY, (Point(0, 1, 1), Point(5, 1, 1))), "all on one frame"),
        (lambda: travel(analysis, QUERY, PATH, seconds=0), "0.5 to 120 seconds; got 0"),
        (lambda: follow(analysis, QUERY, 0), "1 to 50 times"),
    ):
        with pytest.raises(ExportError, match=says):
            made()
    with pytest.raises(QueryError, match="outside the 64×48 frame"):
        travel(analysis, QUERY, (PATH[0], Point(5, 99.0, 1.0)))
    with pytest.raises(ExportError, match=r"end its name in \.mp4 or \.gif"):
        Film(1, Fraction(1), lambda i: flat()[0]).save("a.avi")


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ["--at", "0,25,25", "--at", "0,50,40", "--path", "--seconds", "1", "-o", "a.mp4"],
        ["--at", "0,25,25", "--follow", "1", "-o", "a.gif", "--width", "320"],
    ],
    ids=["path", "follow"],
)
def test_the_command_draws_films(tmp_path, monkeypatch, capsys, more):
    clip = make.picture(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    line = ["film", str(clip), "--size", "64", "--device", "cpu", *more]
    assert main(line) == 0
    assert "drawing picture 12 of" in capsys.readouterr().err
    (made,) = tmp_path.glob("a.*")
    content = made.read_bytes()
    capture = cv2.VideoCapture(str(made))
    assert capture.read()[0]
    if made.suffix == ".mp4":
        with av.open(io.BytesIO(content)) as container:
            told = json.loads(container.metadata["comment"])
        assert told["command"].endswith("-o a.mp4")


@pytest.mark.slow
def test_ctrl_c_on_the_command_line_leaves_nothing(tmp_path):
    clip = make.picture(tmp_path / "picture.png")
    asked = ["--at", "0,5,5", "--at", "0,60,40", "--path", "--seconds", "60", "--fps", "60"]
    line = [sys.executable, "-m", "nlviz", "film", clip, *asked, "--size", "64", "--device", "cpu"]
    with subprocess.Popen(
        [*line, "-o", tmp_path / "a.mp4"],
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
        # A shell that starts the tests in the background makes all of them deaf to Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as command:
        told = b""
        while b"drawing picture 9 of 3600" not in told:
            told += command.stderr.read1()
            assert command.poll() is None, told.decode()
        command.send_signal(signal.SIGINT)
        told = command.stderr.read()
        assert command.wait(60) == 130
    assert told.decode().rstrip().endswith("Stopped.")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_weight_on_a_frame_that_gets_no_heat_is_called_left_out(analysis, monkeypatch):
    said = []
    monkeypatch.setattr("nlviz.film.query_heat.caption", lambda _, __, text: said.append(text))
    film = play(analysis, [QUERY])
    pictures = list(film.pictures())
    assert len(pictures) == len(said) == 4
    assert [" of the weight here, left out · " in each for each in said] == [
        False,
        True,
        False,
        False,
    ]
    said.clear()
    list(play(analysis, [replace(QUERY, exclude="cell")]).pictures())
    assert not any("left out" in each for each in said)
