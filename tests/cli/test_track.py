"""``nlviz track`` on a tiny analysis: several objects, points, presets and what is written."""

from __future__ import annotations

import json
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz.cli import main
from nlviz.cli.subject import Subject
from nlviz.media.point_tracks import read_point_tracks
from tests.support import make
from tests.windows import support


@pytest.fixture
def asked(monkeypatch):
    """The command on an analysis that is there; gives the sizes that it was asked for."""
    analysis = make.analysis()
    sizes = []

    def run(question):
        sizes.append(question.size)
        return analysis, None

    monkeypatch.setattr("nlviz.cli.subject._run", run)
    info = SimpleNamespace(width=64, height=48)
    monkeypatch.setattr("nlviz.media.probe", lambda source: info)
    return sizes


def two_objects(path):
    """A palette picture with objects 1 and 2, as DAVIS has them."""
    numbers = np.zeros((48, 64), np.uint8)
    numbers[4:25, 6:30], numbers[20:44, 34:60] = 1, 2
    image = Image.fromarray(numbers, "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(path)
    return numbers


def test_all_objects_of_a_mask_are_carried_and_measured(asked, tmp_path, capsys):
    truth, out = tmp_path / "truth", tmp_path / "out"
    truth.mkdir()
    for i in range(4):
        numbers = two_objects(truth / f"{i}.png")
    given = ["track", "noise.mp4", "--masks", str(truth), "--block", "fine"]
    assert main([*given, "-o", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in report["objects"]] == ["1", "2"]
    after = report["frames"][1:]
    for i, each in enumerate(report["objects"]):
        assert each["J"] == pytest.approx(np.mean([f["objects"][i]["J"] for f in after]))
    assert report["J"] == pytest.approx(np.mean([each["J"] for each in report["objects"]]))
    found = nlviz.track_objects(
        make.analysis(), "fine", np.stack([numbers == 1, numbers == 2]), names=("1", "2")
    )
    for position, frame in enumerate((0, 5, 10, 15)):
        image = Image.open(out / f"{frame:05d}.png")
        assert image.mode == "P"
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        np.testing.assert_array_equal(np.asarray(image), found.numbers(position))
    assert main([*given, "--object", "2"]) == 0
    said = capsys.readouterr().out
    assert "object 2" not in said
    alone = nlviz.track(make.analysis(), "fine", numbers == 2)
    j = np.mean([nlviz.region_similarity(m, numbers == 2) for m in alone.objects[1:]])
    assert f"after the first frame: J {j:.3f}" in said


def test_the_masks_of_one_object_are_those_that_were_scored(asked, tmp_path, capsys):
    truth, out = tmp_path / "truth", tmp_path / "out"
    truth.mkdir()
    for i in range(4):
        numbers = two_objects(truth / f"{i}.png")
    given = ["track", "noise.mp4", "--masks", str(truth), "--object", "2", "--block", "fine"]
    assert main([*given, "-o", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    found = nlviz.track(make.analysis(), "fine", numbers == 2)
    assert (found.objects != (found.masks > 0.5)).any(), "or the test shows nothing"
    for position, each in enumerate(report["frames"]):
        written = np.asarray(Image.open(out / f"{each['frame']:05d}.png"))
        np.testing.assert_array_equal(written, np.where(found.objects[position], 255, 0))
        assert each["J"] == pytest.approx(nlviz.region_similarity(written > 0, numbers == 2))


def test_places_are_objects_and_film_and_figure_show_them(asked, tmp_path, capsys):
    places = ["--at", "0,10,10", "--region", "0,30,20,60,40"]
    film, figure = tmp_path / "a.mp4", tmp_path / "a.svg"
    given = ["track", "noise.mp4", *places, "--block", "fine"]
    assert main([*given, "-o", str(film), "--width", "160", "--edges"]) == 0
    with av.open(str(film)) as container:
        assert len(list(container.decode(video=0))) == 4
    capsys.readouterr()
    assert main([*given, "-o", str(figure), "--edges"]) == 0
    _, heads, first, *_ = capsys.readouterr().out.splitlines()
    assert heads.split() == ["frame", "all", "1", "2"]
    _, every, *each = map(float, first.split())
    assert every == pytest.approx(sum(each), abs=0.002)
    assert min(each) > 0
    drawn = figure.read_text()
    assert 'id="frame-15"' in drawn
    assert "nlviz track" in drawn  # how it was made
    assert main([*given, "-o", str(figure)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["track", "noise.mp4", "--at", "0,9,9", "--at", "5,9,9"]) == 2
    assert "are marked on one frame" in capsys.readouterr().err


def test_points_are_followed_and_their_table_is_read_again(asked, tmp_path, capsys):
    table, film, figure = (tmp_path / f"a{ending}" for ending in (".csv", ".gif", ".png"))
    given = ["track", "noise.mp4", "--at", "0,10,10", "--at", "10,40,20", "--points"]
    given += ["--block", "fine"]
    assert main([*given, "-o", str(table), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    found = nlviz.track_points(
        make.analysis(), "fine", [nlviz.Point(0, 10, 10), nlviz.Point(10, 40, 20)]
    )
    for i, point in enumerate(report["points"]):
        assert [each["frame"] for each in point["places"]] == [0, 5, 10, 15]
        np.testing.assert_allclose([each["x"] for each in point["places"]], found.places[i, :, 0])
        told = [each["confidence"] for each in point["places"]]
        np.testing.assert_allclose(told, found.confidence[i])
    assert "followed back frame by frame" in report["protocol"]["words"]
    read = read_point_tracks(table, size=(64, 48))
    np.testing.assert_array_equal(read.visible[:, [0, 5, 10, 15]], found.visible)
    np.testing.assert_allclose(
        read.tracks[0, 15] * (64 / 256, 48 / 256), found.places[0, 3], atol=0.01
    )
    for path in (film, figure):
        assert main([*given, "-o", str(path)]) == 0
        assert path.stat().st_size > 500
    assert main([*given, "-o", str(tmp_path / "a.doc")]) == 2
    assert main(["track", "noise.mp4", "--region", "0,1,1,20,20", "--points"]) == 2
    assert "give --at FRAME,X,Y and no --region" in capsys.readouterr().err


def test_tracks_of_a_file_are_scored_as_tap_vid_does(asked, tmp_path, capsys):
    lines = ["point,frame,x,y,visible"]
    truth = {0: [(10, 10), (14, 12), (18, 14), (22, 16)], 1: [(40, 30)] * 4}
    for point, places in truth.items():
        for frame, (x, y) in zip((0, 5, 10, 15), places, strict=True):
            lines.append(f"{point},{frame},{x},{y},{int(not (point and frame == 0))}")
    lines.append("2,19,1,1,1")  # on no sampled frame
    (tmp_path / "t.csv").write_text("\n".join(lines))
    given = ["track", "noise.mp4", "--tracks", str(tmp_path / "t.csv"), "--tracks-in-pixels"]
    assert main([*given, "--block", "fine", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    begin = [nlviz.Point(0, 10, 10), nlviz.Point(5, 40, 30)]
    assert [(p["frame"], p["x"], p["y"]) for p in report["points"]] == [(0, 10, 10), (5, 40, 30)]
    found = nlviz.track_points(make.analysis(), "fine", begin)
    scale = np.array([256 / 64, 256 / 48])
    visible = np.array([[True] * 4, [False, True, True, True]])
    real = np.array([truth[0], truth[1]]) * scale
    scores = nlviz.point_scores(
        found.places * scale, real, visible=visible, found_visible=found.visible
    )
    assert report["scores"]["average"] == pytest.approx(scores.average)
    assert report["scores"]["average_jaccard"] == pytest.approx(scores.average_jaccard)
    assert main([*given, "--block", "fine"]) == 0
    assert f"δ_avg {scores.average:.3f}" in capsys.readouterr().out
    (tmp_path / "t.csv").write_text("point,frame,x,y\n0,1,2,2\n")
    assert main(given) == 2
    assert "The tracks of 't.csv' have 2 frames, but the clip has 20" in capsys.readouterr().err


def test_a_preset_gives_its_numbers_and_its_size_unless_others_are_given(asked, capsys):
    at = ["track", "noise.mp4", "--at", "0,10,10", "--block", "fine"]
    assert main([*at, "--preset", "dinov3", "--json"]) == 0
    out, err = capsys.readouterr()
    protocol = json.loads(out)["protocol"]
    assert "temperature" in protocol.pop("words")
    assert protocol == {
        "context": 7, "radius": 12, "heaviest": 5, "temperature": 0.2, "in_cells": True,
        "square": False, "first_anywhere": False, "decision": "stretched",
    }  # fmt: skip
    assert "carries labels by the cosine of features; add --baseline cosine" in err
    others = ["--size", "97", "--context", "2", "--temperature", "0.5", "--radius", "0"]
    assert main([*at, "--preset", "crw", *others, "--json"]) == 0
    protocol = json.loads(capsys.readouterr().out)["protocol"]
    assert (protocol["context"], protocol["temperature"], protocol["radius"]) == (2, 0.5, None)
    assert protocol["first_anywhere"]
    assert asked == [1280, 97]  # 960 pixels of the shorter side, and as said
    assert main([*at, "--preset", "vos"]) == 2
    assert "'vos' is unknown; choose one of crw, dino, dinov3." in capsys.readouterr().err
    assert main([*at, "--keep-first"]) == 2
    assert "the first frame is kept anyway" in capsys.readouterr().err


def test_objects_and_points_go_through_windows(tmp_path, monkeypatch, capsys):
    home = support.folder(tmp_path / "clip", 6)
    monkeypatch.setattr(Subject, "long", staticmethod(lambda question: support.long(home)))
    given = ["track", str(home), "--window", "4", "--block", "second", "--json"]
    assert main([*given, "--at", "0,10,10", "--at", "0,40,30", "--keep-first"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["frame"] for each in report["frames"]] == list(range(6))
    assert len(report["objects"]) == 2
    assert "stays in the context of every window" in report["protocol"]["words"]
    assert main([*given, "--at", "0,10,10", "--points", "--baseline", "uniform"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["points"][0]["places"]) == 6
    assert report["input"]["sampled_frames"] == list(range(6))
    assert "distances of the ways back add up" in report["protocol"]["words"]


def test_a_window_longer_than_the_clip_is_told(tmp_path, capsys, monkeypatch):
    home = support.folder(tmp_path / "clip", 4)
    monkeypatch.setattr("nlviz.cli.subject._network", lambda question: make.network())
    given = ["track", str(home), "--at", "0,10,10", "--block", "second", "--window", "9"]
    assert main(given) == 0
    assert "A window of 9 frames is longer than the clip's 4" in capsys.readouterr().err
    mask = np.full((10, 10), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "small.png"), mask)
    assert main([*given[:2], *given[4:], "--mask", str(tmp_path / "small.png")]) == 2
    assert "is 10×10 pixels, the clip 64×48" in capsys.readouterr().err


def test_more_objects_than_are_carried_together_are_refused(asked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nlviz.tracking.propagation._MOST", 4 * 48 * 64)
    two_objects(tmp_path / "a.png")
    given = ["track", "noise.mp4", "--mask", str(tmp_path / "a.png"), "--block", "fine"]
    monkeypatch.setattr(nlviz.tracking.propagation, "check_masks", pytest.fail)  # once held
    assert main(given) == 2
    assert "2 objects of 64×48 pixels are too many to carry together" in capsys.readouterr().err
