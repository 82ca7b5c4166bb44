"""What a list may be: folders, globs, lists, tables, addresses; and what is no list."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from nlviz import Point, Region
from nlviz.batches.listing import entries
from nlviz.batches.reading import ReadingPlan
from nlviz.batches.table import Columns
from nlviz.errors import BatchError
from nlviz.media.sampling import Sampling
from tests.batches.conftest import square


def names(found) -> list[str]:
    return [entry.name for entry in found]


@pytest.fixture
def folder(tmp_path):
    """One video, one picture, a folder of frames, one of videos, and what is no clip."""
    home = tmp_path / "home"
    (home / "deep" / "deeper").mkdir(parents=True)
    square(home / "frames", 0)
    for name in ("b.mp4", "a.JPG", "notes.txt", ".hidden.mp4", "deep/deeper/c.webm"):
        (home / name).write_bytes(b"x")
    return home


def test_a_folder_gives_its_clips_by_name_and_looks_through_its_folders(folder):
    assert names(entries(folder)) == ["a.JPG", "b.mp4", "c.webm", "frames"]
    assert {entry.root for entry in entries(folder)} == {str(folder)}


def test_globs_lists_samples_and_several_inputs_are_taken_in_order(folder, monkeypatch):
    assert names(entries(str(folder / "**" / "*.webm"))) == ["c.webm"]
    assert names(entries(str(folder / "fr*"))) == ["frames"]
    (folder / "list.txt").write_text("\ufeffb.mp4\n\nsample:ball.mp4\nmissing.mp4\n", "utf-8")
    assert names(entries([folder / "list.txt", folder / "a.JPG"])) == [
        "b.mp4", "ball.mp4", "missing.mp4", "a.JPG",
    ]  # fmt: skip
    monkeypatch.chdir(folder.parent)
    (folder / "list.txt").write_text("home/b.mp4\n")  # from where one stands
    assert [entry.path for entry in entries("home/list.txt")] == ["home/b.mp4"]


def test_a_path_that_comes_twice_is_two_entries(folder):
    one, two = entries([folder / "b.mp4", f"{folder}/./b.mp4"])
    assert (one.number, two.number) == (1, 2)
    assert one.id != two.id


def test_a_table_carries_its_columns_and_asks_its_places(folder):
    (folder / "t.csv").write_text(
        "path,label,points,regions,masks,weight\n"
        'b.mp4,dog,"0,10,20; 4,30.5,40","0,1,2,3,4",m,1\n'
        "a.JPG,,,,,2\n"
    )
    first, second = entries(folder / "t.csv")
    assert first.places == (
        Point(0, 10, 20), Point(4, 30.5, 40), Region.box(0, 1, 2, 3, 4),
    )  # fmt: skip
    assert first.masks == str(folder / "m")
    assert dict(first.carried)["label"] == "dog"
    assert second.places == ()
    assert second.masks is None
    columns = Columns([first, second])
    assert columns.words["weight"] == "int64"
    assert "path" not in columns.words


def test_parquet_holds_places_as_lists_or_records(folder):
    table = pa.table(
        {
            "path": ["b.mp4", "a.JPG"],
            "points": [[{"frame": 0, "x": 1.0, "y": 2.0}], []],
            "regions": [[[0.0, 1, 1, 9, 1, 9, 9]], None],
        }
    )
    parquet.write_table(table, folder / "t.parquet")
    assert [each.places for each in entries(table)] == [
        each.places for each in entries(folder / "t.parquet")
    ]
    first, second = entries(table)
    assert first.places == (Point(0, 1, 2), Region(0, ((1, 1), (9, 1), (9, 9))))
    assert second.places == ()


def test_a_point_may_have_columns_of_its_own(folder):
    (entry,) = entries(pd.DataFrame({"path": ["b.mp4"], "frame": [3], "x": [4.5], "y": [6]}))
    assert entry.places == (Point(3, 4.5, 6),)
    assert entry.carried == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("file,label\nb.mp4,dog\n", r"has no column 'path' \(it has file, label\)"),
        ("path\n", "There are no clips in"),
        ("path,label\n,dog\n", "The path in line 1 of .* is empty"),
        ("path,points\nb.mp4,here\n", "'here' in line 1 of .* is no point; write 'FRAME,X,Y'"),
        ('path,points\nb.mp4,"1.5,2,3"\n', "is no point"),
        ('path,regions\nb.mp4,"0,1,2"\n', "is no region"),
        ('path,points\nb.mp4,"[[0,"\n', "is no place"),
        ("", "is not a table that can be read"),
        ("path\na\nb,c,d\n", "is not a table that can be read"),
    ],
)
def test_a_table_that_is_none_is_told_in_a_sentence(folder, content, why):
    (folder / "t.csv").write_text(content)
    with pytest.raises(BatchError, match=why):
        entries(folder / "t.csv")


def test_no_clips_are_told_in_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("\n\n")
    for given, why in (
        (tmp_path / "empty", "There are no clips in"),
        (tmp_path / "list.txt", "There are no clips in"),
        ([], "There are no clips in the list"),
        (tmp_path / "none", "does not exist; give a folder"),
        (tmp_path / "*.mp4", "Nothing matches"),
    ):
        with pytest.raises(BatchError, match=why):
            entries(str(given) if given else given)
    with pytest.raises(BatchError, match="The folder of masks 'no' does not exist"):
        entries(tmp_path / "empty", "no")


def test_a_column_of_the_tables_own_name_is_refused(folder):
    (folder / "t.csv").write_text("path,block\nb.mp4,1\n")
    with pytest.raises(BatchError, match="has a column 'block', which is a column of the result"):
        Columns(entries(folder / "t.csv"))


def test_masks_lie_under_the_clips_name_and_are_no_clips(folder):
    masks = folder / "masks"
    square(masks.parent / "m", 0)
    masks.mkdir()
    (folder / "m").rename(masks / "b")
    cv2.imwrite(str(masks / "a.png"), np.zeros((4, 4), np.uint8))
    found = {entry.name: entry.masks for entry in entries(folder, str(masks))}
    assert found["b.mp4"] == str(masks / "b")
    assert found["a.JPG"] == str(masks / "a.png")
    assert list(found) == ["a.JPG", "b.mp4", "c.webm", "frames"]


def test_addresses_are_listed_and_read_through_fsspec(folder, tmp_path):
    square(tmp_path / "clip", 0)
    picture = (tmp_path / "clip" / "0.png").read_bytes()
    (folder / "a.JPG").write_bytes(picture)
    address = f"file://{folder}"
    assert names(entries(address)) == [
        "a.JPG", "b.mp4", "c.webm", "0.png", "1.png", "2.png",
    ]  # fmt: skip
    assert names(entries(f"{address}/*.mp4")) == ["b.mp4"]
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as file:
        file.writestr("in/one.png", picture)
    (zipped,) = entries(f"zip://in/*.png::file://{tmp_path}/clips.zip")
    assert zipped.name == "one.png"
    plan = ReadingPlan((Sampling(1),), "key", masks=False)
    (local,) = entries(folder / "a.JPG")
    (there,) = entries(f"{address}/a.JPG")
    readings = [plan.read((entry,))[0] for entry in (local, there, zipped)]
    assert len({reading.work for reading in readings}) == 1
    assert {reading.clips[0].frames.shape for reading in readings} == {(1, 48, 64, 3)}
    assert readings[2].clips[0].path == zipped.path
    (folder / "list.txt").write_text(f"{address}/none.png\n")  # what a list names is not looked for
    (missing,) = entries(folder / "list.txt")
    assert "none.png' cannot be read (FileNotFoundError" in plan.read((missing,))[0].failure.why


def test_an_address_that_cannot_be_listed_is_told_in_a_sentence(folder):
    for address, why in (
        ("nothing://bucket/*", "cannot be listed"),
        (f"file://{folder}/none.png", r"Nothing lies at 'file://.*none.png'; check the address"),
        (f"file://{folder}/none.csv", "none.csv' cannot be read"),
        (f"file://{folder}/*.xyz", "There are no clips at"),
    ):
        with pytest.raises(BatchError, match=why):
            entries(address)
