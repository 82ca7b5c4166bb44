"""Film and track of a whole clip in the app: through windows that lie on the server's disk."""

from __future__ import annotations

import csv
import gc
import io
import shlex
import zipfile
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from nlviz import Point
from nlviz.app import analysing, whole_clip
from nlviz.app.choice import Choice, ClipPart
from nlviz.app.held import DISK, Disk
from nlviz.app.shown import Shown
from nlviz.app.tabs import film, tracking, tracking_whole
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import Download
from nlviz.app.tabs.tracking_start import Start
from nlviz.cli import parser
from nlviz.errors import MediaError
from nlviz.inference.pace import Pace
from nlviz.progress import silent
from nlviz.tracking import Protocol
from nlviz.viewer.messages import links_of
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins
from nlviz.windows import (
    long_analysis,
    track_objects_windows,
    track_points_windows,
    track_windows,
)
from tests.support import media_files as make
from tests.support.given import uploaded

COUNT = 7
PART = ClipPart(start=1, frames=4, stride=1)


@pytest.fixture(scope="module")
def shown() -> Shown:
    """Frames 1 to 4 of a clip of seven."""
    material = uploaded("seven.gif", make.animation("GIF", COUNT))
    return analysing.make(Choice(material, PART, "nl-lite0", 64), silent)


@pytest.fixture
def context(shown) -> TabContext:
    options = Options(block="nl5", k=3)
    pins = Pins().add(Point(2, 10, 6))
    return TabContext(
        shown, {pin: links_of(shown.analysis, pin, options) for pin in pins.shown}, options
    )


@pytest.fixture(scope="module")
def folder(shown):
    """Where the windows lie; the first test runs them."""
    told = whole_clip.cost(shown.choice, shown.analysis)
    return whole_clip.place(shown, told, sizes=False)


def test_windows_are_run_once_and_what_they_take_counts_among_the_visitors_files(
    shown, folder, monkeypatch
):
    assert DISK.in_folders >= folder.size
    assert whole_clip.place(shown, whole_clip.cost(shown.choice, shown.analysis), sizes=False) is (
        folder
    )
    said, turns, take = [], [], whole_clip.one_at_a_time

    def counted(*given):
        turns.append(given)
        return take(*given)

    monkeypatch.setattr(whole_clip, "one_at_a_time", counted)
    with whole_clip.run_through(
        shown, folder, lambda fraction, what: said.append(what), sizes=False
    ) as long:
        assert not long.waiting()
        assert long.stream.indices == tuple(range(COUNT))
        assert len(turns) == 1 + 2  # to open it, and one for each window: others come in between
        assert any(what.startswith("Window 2 of 2: ") for what in said)
        lies = sum(path.stat().st_size for path in folder.path.iterdir())
        assert lies <= 1.2 * folder.size + 40_000  # the texts of a small clip
    monkeypatch.setattr(long_analysis, "analyse", None)
    with whole_clip.run_through(shown, folder, silent, sizes=False) as again:
        assert not again.waiting()


def test_the_film_shows_every_frame_and_is_the_commands(shown, context, folder):
    form = film._FilmForm(film._PLAY, "mp4", 640, 4)
    download = Download("mp4", "", lambda _: b"", "film", (), form.options, whole=True)
    line = shlex.split(download.command(context).replace("\\\n", " "))
    asked = parser().parse_args(line[3:])
    assert (asked.window, asked.stride, asked.start, asked.frames) == (4, 1, 0, None)
    made = film._work_of_whole(
        context, list(context.pins), form, download.provenance(context), folder
    )(silent)
    with av.open(io.BytesIO(made)) as file:
        assert len(list(file.decode(video=0))) == COUNT


def test_a_mask_goes_through_the_whole_clip_and_the_part_on_screen_shows_its_own(
    shown, context, folder
):
    mask = np.zeros((12, 20), np.bool_)
    mask[2:9, 4:14] = True
    start = Start("pin", 2, "#E69F00", lambda: mask[None])
    with whole_clip.run_through(shown, folder, silent, sizes=False) as long:
        found = tracking.through_windows(long, context, start, Protocol(), silent)
        masks = {
            frame: 255 * each
            for one in track_windows(long, "nl5", mask, frame=2)
            for frame, each in zip(one.frames, one.objects, strict=True)
        }
    with zipfile.ZipFile(io.BytesIO(found.archive)) as archive:
        assert sorted(archive.namelist()) == [f"{frame:05d}.png" for frame in range(COUNT)]
        last = cv2.imdecode(np.frombuffer(archive.read("00006.png"), np.uint8), 0)
    np.testing.assert_array_equal(last, masks[6])
    for position, frame in enumerate(shown.analysis.clip.indices):
        np.testing.assert_array_equal(found.masks[position], masks[frame])
    assert found.strip.count("<figure>") == 4


def test_what_is_not_on_screen_keeps_any_number_of_objects():
    numbers = np.arange(240, 300, dtype=np.uint16).reshape(6, 10)
    np.testing.assert_array_equal(tracking_whole._numbers(tracking_whole._png(numbers)), numbers)


@pytest.mark.parametrize("edges", [False, True])
def test_several_objects_go_through_the_whole_clip(shown, context, folder, edges):
    masks = np.zeros((2, 12, 20), np.bool_)
    masks[0, 2:9, 2:9], masks[1, 5:11, 12:19] = True, True
    names, colors = ("<a>", "b"), ("#E69F00", "#56B4E9")
    start = Start("pins", 2, colors[0], lambda: masks, names=names, colors=colors)
    start, said = replace(start, several=lambda: masks), []
    with whole_clip.run_through(shown, folder, silent, sizes=False) as long:
        found = tracking_whole.objects_through_windows(
            long, context, start, Protocol(), lambda *told: said.append(told), edges=edges
        )
        numbers = {
            frame: window.numbers(number)
            for window in track_objects_windows(long, "nl5", masks, frame=2)
            for number, frame in enumerate(window.frames)
        }
    with zipfile.ZipFile(io.BytesIO(found.masks())) as archive:
        assert archive.namelist() == [f"{frame:05d}.png" for frame in range(COUNT)]
        for frame in range(COUNT):
            with Image.open(archive.open(f"{frame:05d}.png")) as picture:
                np.testing.assert_array_equal(np.asarray(picture), numbers[frame])
    with av.open(io.BytesIO(found.film())) as file:
        assert len(list(file.decode(video=0))) == COUNT
    assert found.strip.count("<figure>") == 4
    assert "frame 2 · start" in found.strip
    shares = [f"{(numbers[frame] > 0).mean():.1%} of the frame" for frame in range(1, 5)]
    assert all(share in found.strip for share in shares) or edges
    assert said == sorted(said, key=lambda told: told[0])
    assert sum(what == "following the edges" for _, what in said) == COUNT * edges


def test_points_go_through_the_whole_clip(shown, context, folder):
    points, colors = (Point(2, 4, 6), Point(4, 15, 3)), ("#E69F00", "#56B4E9")
    start = Start("pins", 2, colors[0], list, names=("a", "b"), colors=colors, points=points)
    with whole_clip.run_through(shown, folder, silent, sizes=False) as long:
        found = tracking_whole.points_through_windows(long, context, start, Protocol(), silent)
        tracks = track_points_windows(long, "nl5", points)
    rows = list(csv.DictReader(io.StringIO(found.table().decode())))
    assert [int(row["frame"]) for row in rows] == 2 * list(range(COUNT))
    x = [float(row["x"]) for row in rows]
    assert x == pytest.approx(tracks.places[..., 0].ravel(), abs=0.01)
    assert found.strip.count("<figure>") == 4
    for position in range(1, 5):
        told = ", ".join(f"{each:.2f}" for each in tracks.confidence[:, position])
        assert f"confidence {told}" in found.strip
    least = tracks.confidence.min(axis=1)
    assert f"a {least[0]:.2f}, b {least[1]:.2f}" in found.told
    with av.open(io.BytesIO(found.film())) as file:
        assert len(list(file.decode(video=0))) == COUNT


def test_the_folder_goes_with_the_last_who_wanted_it():
    disk, megabytes = Disk(), 10 << 20
    mine = disk.folder("key", megabytes, megabytes)
    theirs = disk.folder("key", megabytes, megabytes)
    assert mine is theirs
    assert disk.total == disk.in_folders == megabytes
    with pytest.raises(MediaError, match=r"needs 10 MB .* and visitors hold 10 MB of the 10 MB"):
        disk.folder("other", megabytes, megabytes)
    path = mine.path
    (path / "frames.rgb").write_bytes(b"x")
    del mine
    gc.collect()
    assert path.is_dir()
    del theirs
    gc.collect()
    assert not path.exists()
    assert disk.total == 0


def test_what_it_costs_is_told_and_what_takes_too_long_is_refused(shown, monkeypatch):
    told = whole_clip.cost(shown.choice, shown.analysis)
    assert (told.windows, told.frames) == (2, COUNT)
    assert told.sentence.startswith("7 frames in 2 windows: about ")
    assert not told.too_long
    slow = Pace((4, 4), (600.0, 600.0), (1, 1), (1, 1), (1, 1))
    monkeypatch.setattr(whole_clip.paces, "find", lambda *_: slow)
    told = whole_clip.cost(shown.choice, shown.analysis)
    assert told.too_long.startswith("This takes about 20 min, and this server gives 15 min")
    for part in (replace(PART, stride=None), replace(PART, frames=8)):
        assert whole_clip.cost(replace(shown.choice, part=part), shown.analysis) is None


def test_every_frame_on_screen_is_among_the_windows():
    assert whole_clip.sampled(ClipPart(start=250, frames=8, stride=30)) == (8, 30, 10)


def _page() -> None:
    import streamlit as st

    from nlviz.app.tabs import whole
    from tests.app.test_whole_clip import HERE

    told = whole.choose(HERE[0], "frames")
    if told is not None:
        folder = whole.wanted(HERE[0], told, "Go", "what", name="test")
        st.text("no folder" if folder is None else "a folder")


HERE: list[TabContext] = []


def test_the_visitor_chooses_and_says_so_before_anything_runs(context, monkeypatch):
    monkeypatch.setattr("tests.app.test_whole_clip.HERE", [context])
    page = AppTest.from_function(_page).run()
    assert not page.exception
    page.segmented_control[0].set_value("The whole clip").run()
    assert page.caption[0].value.startswith("7 frames in 2 windows")
    assert page.text[0].value == "no folder"
    page.button[0].click().run()
    assert page.text[0].value == "a folder"
    raw = replace(context, options=replace(context.options, block="nl5 (cosine)"))
    monkeypatch.setattr("tests.app.test_whole_clip.HERE", [raw])
    assert not AppTest.from_function(_page).run().segmented_control
