"""``nlviz match`` as it is typed: a table, each kind of file, and sentences for what it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from nlviz.cli import main
from tests.inference.test_user_network import BUILD
from tests.support import make, media_files


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The command's words but for where it writes: a clip, a place, a photo, a tiny network."""
    folder = tmp_path_factory.mktemp("match")
    (folder / "clip").mkdir()
    (folder / "net.py").write_text(BUILD + '\n\ndef tiny():\n    return plain(), {"size": 32}\n')
    clip = media_files.moving_square(folder / "clip", 4, step=30)
    photo = make.picture(folder / "photo.png")
    return [
        *("match", str(clip), "--in", str(photo), "--model", f"{folder / 'net.py'}:tiny"),
        *("--device", "cpu", "--k", "3", "--frames", "2"),
    ]


AT = ["--at", "0,25,45"]


def test_a_place_of_a_clip_is_looked_for_in_a_photo(given, tmp_path, capsys):
    assert main([*given, *AT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["in"]["input"]["width"] == 64
    assert told["input"]["width"] == 160
    assert "no network weighed these" in " ".join(told["about"])
    (found,) = told["queries"]
    assert [link["rank"] for link in found["links"]] == [1, 2, 3]
    assert all(link["frame"] == 0 and link["x"] < 64 for link in found["links"])
    assert main([*given, *AT]) == 0
    said = capsys.readouterr().out
    assert "a distribution over the places of 'photo.png' alone" in said
    assert "the best match's own best is frame" in said
    for name, start in (
        ("a.png", b"\x89PNG"), ("a.html", b"<!doctype"), ("a.nlviz", b"PK"), ("a.csv", b"# {"),
        ("a.npz", b"PK"),
    ):  # fmt: skip
        assert main([*given, *AT, "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    with (tmp_path / "a.csv").open() as file:
        made = json.loads(file.readline().removeprefix("# "))
        lines = list(csv.DictReader(file))
    assert made["command"].startswith("python -m nlviz match ")
    assert [float(line["to_x"]) for line in lines] == [link["x"] for link in found["links"]]
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["rows/0"].max() == pytest.approx(found["links"][0]["weight"])
    assert main(["links", str(tmp_path / "a.nlviz"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["queries"][0]["links"]
    assert [link["weight"] for link in again] == pytest.approx(
        [link["weight"] for link in found["links"]], rel=1e-5
    )


def test_all_places_that_find_each_other_are_printed_and_written(given, tmp_path, capsys):
    assert main([*given, "--mutual", "-o", str(tmp_path / "pairs.csv")]) == 0
    lines = (tmp_path / "pairs.csv").read_text().splitlines()[2:]
    assert main([*given, "--mutual"]) == 0
    assert f"{len(lines)} pairs of places find each other" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "No place was given"),
        ([*AT, "--reverse"], "--reverse is about one clip; leave it out."),
        ([*AT, "--baseline", "cosine"], "leave it out or take --of cosine"),
        ([*AT, "--mutual"], "--mutual asks at every place; leave out --at"),
        (["--mutual", "-o", "x.png"], "end the file's name in .csv"),
        ([*AT, "-o", "x.txt"], "Nothing can be written to 'x.txt'"),
        ([*AT, "--in", "nowhere.mp4"], "nowhere.mp4"),
    ],
)
def test_what_it_refuses_it_refuses_in_one_sentence(given, more, said, capsys):
    assert main([*given, *more]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "running" not in err, "before the first clip is run"


def test_a_bundled_network_looks_in_another_clip_without_a_number_of_frames(
    given, tmp_path, capsys
):
    clip = given[1]
    size = ["--size", "64", "--device", "cpu", "--json"]
    assert main(["match", clip, "--in", clip, *AT, *size]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["in"]["input"]["sampled_frames"] == told["input"]["sampled_frames"] == [0, 1, 2, 3]
