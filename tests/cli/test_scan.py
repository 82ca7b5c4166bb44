"""`nlviz scan`: what it writes and prints, and what it refuses before the long work."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nlviz.cli import main
from tests.support import media_files

CSV = "point,frame,x,y\n" + "\n".join(f"0,{t},{30 + 40 * t},120" for t in range(4))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return media_files.moving_square(tmp_path_factory.mktemp("square"), 4, step=30)


def masks(folder: Path) -> str:
    folder.mkdir()
    for t in range(4):
        mask = np.zeros((96, 160), np.uint8)
        mask[10:80, 10 + 20 * t : 80 + 20 * t] = 255
        cv2.imwrite(str(folder / f"{t}.png"), mask)
    return str(folder)


def test_a_scan_writes_its_table_its_figure_and_the_sheet(clip, tmp_path, capsys):
    files = [str(tmp_path / name) for name in ("scan.csv", "scan.png", "sheet.png")]
    asked = ["scan", str(clip), "--masks", masks(tmp_path / "masks"), "--at", "0,25,45"]
    wanted = ["-o", files[0], "-o", files[1], "--sheet", files[2], "--json"]
    assert main([*asked, "--size", "97", "--device", "cpu", *wanted]) == 0
    report = json.loads(capsys.readouterr().out)
    with open(files[0], encoding="utf-8") as file:
        assert "nlviz scan" in file.readline()
        rows = list(csv.DictReader(file))
    scored = [row for row in rows if row["value"]]
    assert {row["of"] for row in scored} == {"weights", "cosine"}
    assert [float(row["value"]) for row in scored] == [
        each["value"] for each in report["scores"] if "value" in each
    ]
    assert report["words"].startswith("Best by same-object precision: block nl")
    for file in files[1:]:
        assert cv2.imread(file) is not None


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([], "give --masks, --tracks, or a place on an object"),
        (["--masks", "a", "--tracks", "b.csv"], "give --masks, --tracks, or a place"),
        (["--masks", "nowhere"], "'nowhere' is not a folder"),
        (["--at", "0,1,1", "--at", "0,2,2"], "takes one place"),
        (["--masks", ".", "--at", "0,1,1"], "a place is for --sheet; give that too"),
        (["--masks", ".", "--sheet", "a.png"], "--sheet draws one place"),
        (["--at", "0,1,1", "--object", "1"], "--object goes with"),
        (["--at", "0,1,1", "--track-size", "4x4"], "--track-size goes with --tracks"),
        (["--tracks", "a.csv", "--measure", "JF"], "--measure goes with masks or a place"),
        (["--at", "0,1,1", "--head", "0"], "leave out --head"),
        (["--at", "0,1,1", "-o", "a.gif"], "end its name in"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(clip, capsys, more, why):
    assert main(["scan", str(clip), *more]) == 2
    assert why in capsys.readouterr().err


def test_tracks_of_another_length_are_refused(clip, tmp_path, capsys):
    (tmp_path / "a.csv").write_text(CSV.rsplit("\n", 1)[0])
    asked = ["scan", str(clip), "--tracks", str(tmp_path / "a.csv"), "--no-cosine"]
    assert main([*asked, "--size", "97", "--device", "cpu"]) == 2
    assert "have 3 frames, but the clip has 4" in capsys.readouterr().err
