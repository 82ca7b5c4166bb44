"""Commands on clips in windows: the right window answers, and what it costs is told before."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from nlviz.cli import long as cli_long
from nlviz.cli import main
from nlviz.export import open_session
from nlviz.media import read_masks
from nlviz.windows import Estimate
from tests.support import media_files

SIZE = ["--size", "97", "--device", "cpu"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return media_files.moving_square(tmp_path_factory.mktemp("square"), 10, step=8)


@pytest.fixture(scope="module")
def windows(clip, tmp_path_factory) -> list[str]:
    """Options of windows that are run already: (0..4), (3..7), (6..10)."""
    folder = tmp_path_factory.mktemp("kept") / "windows"
    options = ["--window", "4", "--overlap", "1", "--windows-in", str(folder), *SIZE]
    assert main(["stats", str(clip), *options, "--block", "nl5"]) == 0
    return options


@pytest.fixture(autouse=True)
def _runs_nothing(request, monkeypatch):
    """Whoever uses the windows that are there runs no network."""
    if "windows" in request.fixturenames:
        request.getfixturevalue("windows")
        monkeypatch.setattr("nlviz.windows.long_analysis.analyse", None)


def test_links_of_each_place_are_those_of_its_own_window_alone(clip, windows, capsys):
    capsys.readouterr()
    at = ["--at", "1,25,45", "--at", "8,85,45", "--at", "2,25,45"]
    assert main(["links", str(clip), *at, *windows, "--k", "3", "--json"]) == 0
    first, last = json.loads(capsys.readouterr().out)["windows"]
    assert (first["window"], first["input"]["sampled_frames"]) == (0, [0, 1, 2, 3])
    assert (last["window"], last["input"]["sampled_frames"]) == (2, [6, 7, 8, 9])
    assert [each["at"]["frame"] for each in first["queries"]] == [1, 2]
    alone = ["--start", "6", "--frames", "4", "--stride", "1", *SIZE]
    assert main(["links", str(clip), "--at", "8,85,45", *alone, "--k", "3", "--json"]) == 0
    same = json.loads(capsys.readouterr().out)
    for one, other in zip(last["queries"][0]["links"], same["queries"][0]["links"], strict=True):
        assert one["frame"] == other["frame"]
        assert one["weight"] == pytest.approx(other["weight"], rel=0.02)


def test_neighbours_are_asked_with_a_word_on_what_that_means(clip, windows, capsys):
    capsys.readouterr()
    assert main(["links", str(clip), "--at", "5,50,45", *windows, "--neighbours"]) == 0
    told = capsys.readouterr().out
    assert "nl-lite0 (windows joined), block nl5, queries 10×4×6" in told
    assert "fidelity not measured" in told
    assert "The network never weighed keys of one window against those of another." in told


def test_figures_pages_and_exports_are_of_the_one_window_that_is_asked(
    clip, windows, tmp_path, capsys
):
    at = ["--at", "5,50,45"]
    for name in ("a.png", "a.html", "a.nlviz", "a.npz", "a.csv"):
        verb = {"a.png": "figure", "a.html": "html"}.get(name, "export")
        assert main([verb, str(clip), *at, *windows, "-o", str(tmp_path / name)]) == 0
    session = open_session(tmp_path / "a.nlviz")
    assert session.analysis.clip.indices == (3, 4, 5, 6)
    assert "--window 4" in session.provenance.command
    capsys.readouterr()
    assert (
        main(["figure", str(clip), *at, "--at", "9,5,5", *windows, "-o", str(tmp_path / "b.png")])
        == 2
    )
    assert (
        "The places lie in several windows, such as frames 4 to 6 and 7 to 9"
        in capsys.readouterr().err
    )
    assert main(["export", str(clip), *windows, "-o", str(tmp_path / "b.npz")]) == 2
    assert "name one by a place: --at" in capsys.readouterr().err


def test_a_film_shows_the_whole_clip(clip, windows, tmp_path):
    out = tmp_path / "a.mp4"
    assert main(["film", str(clip), "--at", "5,50,45", *windows, "-o", str(out)]) == 0
    with av.open(str(out)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 10
        assert "--window 4" in json.loads(film.metadata["comment"])["command"]


def test_a_mask_is_carried_through_all_windows_and_held_against_the_truth(
    clip, windows, tmp_path, capsys
):
    truth, out = tmp_path / "truth", tmp_path / "out"
    truth.mkdir()
    for i in range(10):
        mask = np.zeros((96, 160), np.uint8)
        if i < 7:  # the last window's masks show nothing
            mask[30:60, 10 + 8 * i : 40 + 8 * i] = 255
        cv2.imwrite(str(truth / f"{i}.png"), mask)
    capsys.readouterr()
    given = ["track", str(clip), *windows, "--masks", str(truth), "-o", str(out), "--json"]
    assert main([*given, "--block", "nl5"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["frame"] for each in report["frames"]] == list(range(10))
    assert report["input"]["sampled_frames"] == list(range(10))
    assert report["J"] == pytest.approx(np.mean([each["J"] for each in report["frames"][1:]]))
    assert report["frames"][0]["J"] > 0.3
    assert "the first frame they share" in report["protocol"]["words"]
    assert sorted(each.name for each in out.iterdir()) == [f"{i:05d}.png" for i in range(10)]


def test_statistics_are_told_of_each_window(clip, windows, capsys):
    capsys.readouterr()
    assert main(["stats", str(clip), *windows, "--block", "nl5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["windows"]
    assert [each["window"] for each in found] == [0, 1, 2]
    assert len({each["blocks"][0]["entropy"] for each in found}) == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--overlap", "1"], "--overlap goes with --window; give both."),
        (["--windows-in", "x"], "--windows-in goes with --window; give both."),
        (["--neighbours"], "--neighbours goes with --window; give both."),
        (["--window", "4", "--overlap", "4"], "An overlap of 4 frames does not go with a window"),
        (
            ["--window", "4", "--stride", "3"],
            "Frame 5 was not sampled; the nearest ones are 3 and 6",
        ),
        (["--window", "4", "--at", "3,500,1"], "The point x=500, y=1 lies outside"),
        (["--window", "4", "--token", "class"], "Every window has a token 'class' of its own"),
        (["--window", "4", "--neighbours", "--baseline", "cosine"], "A baseline is of one window"),
        (["--window", "4", "--block", "nl9"], "Block 'nl9' does not exist in nl-lite0"),
    ],
)
def test_what_cannot_be_asked_in_windows_is_told_in_one_sentence(clip, given, told, capsys):
    assert main(["links", str(clip), "--at", "5,50,45", *SIZE, *given]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert told in last


def test_a_window_shorter_than_the_networks_step_is_refused(clip, tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "from tests.support import make\n\n"
        "def build():\n    return make.network().module, {'frames': 6}\n"
    )
    model = ["--model", f"{tmp_path / 'net.py'}:build"]
    assert main(["links", str(clip), "--at", "5,50,45", *model, "--window", "4"]) == 2
    told = capsys.readouterr().err
    assert "A window of 4 frames does not fit this network, which takes 6 frames" in told


def test_a_session_has_no_windows(tmp_path, capsys):
    assert main(["links", str(tmp_path / "a.nlviz"), "--at", "0,1,1", "--window", "4"]) == 2
    assert "leave out --window" in capsys.readouterr().err


def _told(monkeypatch, **numbers) -> None:
    usual = {"windows": 9, "length": 4, "positions": 96, "memory": 10**9, "disk": 10**6}
    found = Estimate(**{**usual, "seconds": 60.0, **numbers})
    monkeypatch.setattr("nlviz.windows.estimate", lambda *_, **__: found)
    monkeypatch.setattr(cli_long, "_FEW", 0)


def test_long_work_is_told_and_refused_until_somebody_says_yes(clip, monkeypatch, capsys):
    _told(monkeypatch, seconds=7000.0)
    asked = ["links", str(clip), "--at", "5,50,45", "--window", "4", *SIZE]
    assert main(asked) == 2
    err = capsys.readouterr().err
    assert "9 windows of 4 frames with up to 96 positions each: about 1 h 57 min" in err
    assert "This takes about 1 h 57 min; a larger stride, a smaller input size" in err
    assert err.splitlines()[-1].endswith("Say --yes to do it all the same.")
    assert main([*asked, "--yes"]) == 0


def test_more_memory_or_disk_than_there_is_is_told_before(clip, monkeypatch, capsys):
    asked = ["links", str(clip), "--at", "5,50,45", "--window", "4", *SIZE]
    _told(monkeypatch, memory=10**13, free_memory=2 * 10**9)
    assert main(asked) == 2
    assert "needs 10000.0 GB of memory, where 2.0 GB is free" in capsys.readouterr().err
    _told(monkeypatch, disk=10**10, free_disk=10**9)
    assert main([*asked, "--yes"]) == 2
    assert "The windows need 10.0 GB on disk, and 1.0 GB is free" in capsys.readouterr().err


def test_masks_of_a_long_clip_are_refused_before_they_fill_the_memory(clip, tmp_path, monkeypatch):
    from nlviz import read
    from nlviz.errors import MediaError

    monkeypatch.setattr("nlviz.media.masks.MAX_BYTES", 1000)
    with pytest.raises(MediaError, match="10 masks of 160×96 need"):
        read_masks(clip, read(clip, frames=10))
