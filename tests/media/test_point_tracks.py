"""Point tracks from files: what is read, and what is refused in one sentence."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.media import point_tracks
from nlviz.media.point_tracks import PointTracks, read_point_tracks

TRACKS = np.arange(2 * 3 * 2, dtype=np.float32).reshape(2, 3, 2)
VISIBLE = np.array([[True, True, False], [False, True, True]])


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_npz_and_csv_hold_the_same_tracks(tmp_path):
    lines = ["# made by hand", "point,frame,x,y,visible"]
    for n in range(2):
        lines += [
            f"{n + 5},{t},{TRACKS[n, t, 0]},{TRACKS[n, t, 1]},{int(VISIBLE[n, t])}"
            for t in range(3)
            if VISIBLE[n, t]
        ]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    ours = read_point_tracks(tmp_path / "a.csv")
    theirs = read_point_tracks(npz(tmp_path / "a.npz", tracks=TRACKS, visible=VISIBLE))
    for each in (ours, theirs):
        assert (each.visible == VISIBLE).all()
        assert (each.tracks[VISIBLE] == TRACKS[VISIBLE]).all()
    assert (theirs.tracks == TRACKS).all()


def test_positions_in_another_picture_are_brought_to_256(tmp_path):
    path = npz(tmp_path / "a.npz", tracks=TRACKS, visible=VISIBLE)
    found = read_point_tracks(path, size=(512, 128))
    assert np.allclose(found.tracks, TRACKS * [0.5, 2])


def test_tracks_of_the_source_are_taken_at_the_sampled_frames():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    found = PointTracks("a", TRACKS, VISIBLE).of(Clip(frames, (0, 2), (0.0, 1.0), "c", 3))
    assert (found.tracks == TRACKS[:, [0, 2]]).all()
    assert (found.visible == VISIBLE[:, [0, 2]]).all()
    alike = PointTracks("a", TRACKS[:, :2], VISIBLE[:, :2])
    assert alike.of(Clip(frames, (0, 2), (0.0, 1.0), "c", 3)) is alike
    with pytest.raises(MediaError, match="have 3 frames, but the clip has 9, of which 2"):
        PointTracks("a", TRACKS, VISIBLE).of(Clip(frames, (0, 2), (0.0, 1.0), "c", 9))


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"tracks": TRACKS}, "has no array 'visible'"),
        ({"tracks": TRACKS[0], "visible": VISIBLE}, r"give \(N, T, 2\) and \(N, T\)"),
        ({"tracks": TRACKS * np.nan, "visible": VISIBLE}, "not a number"),
        ({"tracks": TRACKS.astype(str), "visible": VISIBLE}, "give numbers of pixels"),
        ({"tracks": TRACKS.astype(object), "visible": VISIBLE}, "is not an array"),
    ],
)
def test_an_npz_without_tracks_is_refused(tmp_path, arrays, why):
    with pytest.raises(MediaError, match=why):
        read_point_tracks(npz(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no positions"),
        ("point,frame,x\n", "has no column y"),
        ("point,frame,x,y\n0,0,1,red\n", "Line 2 of 'a.csv' is not a position"),
        ("point,frame,x,y\n0,0,1\n", "Line 2 of 'a.csv' is not a position"),
        ("point,frame,x,y\n0,-1,1,2\n", "give a frame from 0 on"),
        ("point,frame,x,y,visible\n0,0,1,2,maybe\n", "and 1 or 0"),
        ("point,frame,x,y\n0,0,1,2\n0,0,1,2\n", "point 0 twice in frame 0"),
        ("point,frame,x,y\n0,99999999,1,2\n", "give fewer"),
        ("point,frame,x,y\n0,0,inf,2\n", "not a number"),
        (f"point,frame,x,y\n0,0,{'1' * 200_000},2\n", "cannot be read as CSV"),
    ],
)
def test_a_csv_without_tracks_is_refused(tmp_path, text, why):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(MediaError, match=why):
        read_point_tracks(tmp_path / "a.csv")


def test_an_array_larger_than_it_may_be_is_refused_before_it_is_held(tmp_path):
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6, 2)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("tracks.npy", header.getvalue())
    with pytest.raises(MediaError, match="would take more than 64 MiB"):
        read_point_tracks(tmp_path / "a.npz")


def test_a_csv_of_too_many_positions_is_refused_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(point_tracks, "_MOST_POSITIONS", 2)
    (tmp_path / "a.csv").write_text("point,frame,x,y\n0,0,1,2\n0,0,1,2\n0,0,1,2\n0,0,1,red\n")
    with pytest.raises(MediaError, match="has more than 2 positions, the most that are read"):
        read_point_tracks(tmp_path / "a.csv")


def test_an_array_is_counted_as_the_float64_that_it_becomes(tmp_path, monkeypatch):
    monkeypatch.setattr(point_tracks, "_MOST", 4096)
    small = np.zeros((2, 160, 2), np.int8)  # 640 bytes, and 5120 as float64
    with pytest.raises(MediaError, match=r"'tracks' of .* would take more than"):
        read_point_tracks(npz(tmp_path / "a.npz", tracks=small, visible=small[..., 0]))


def test_the_size_of_an_entry_is_checked_before_its_header_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(point_tracks, "_MOST", 4096)
    monkeypatch.setattr(point_tracks, "_declared", lambda file: pytest.fail("it was read"))
    large = np.zeros((2, 300, 2), np.float64)
    with pytest.raises(MediaError, match="would take more than"):
        read_point_tracks(npz(tmp_path / "a.npz", tracks=large, visible=large[..., 0]))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2, 2)",  # not closed
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2 3)}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {10**30}, 2)}}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({'-' * 9000}1, 2, 2)}}",
    ],
)
def test_a_header_that_cannot_be_read_is_told(tmp_path, header):
    content = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("tracks.npy", content + header.encode() + b"\n")
    with pytest.raises(MediaError, match=r"'tracks' of .* is not an array"):
        read_point_tracks(tmp_path / "a.npz")


def test_an_npz_of_broken_compression_is_told(tmp_path):
    path = npz(tmp_path / "a.npz", tracks=TRACKS, visible=VISIBLE)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("tracks.npy")
    content = bytearray(path.read_bytes())
    lengths = np.frombuffer(content, "<u2", 2, entry.header_offset + 26)  # name and extra field
    start = entry.header_offset + 30 + int(lengths.sum())
    content[start : start + entry.compress_size] = b"\xff" * entry.compress_size
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"cannot be read as NPZ .*decompressing"):
        read_point_tracks(path)


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(MediaError, match="is not a file"):
        read_point_tracks(tmp_path)
    for name, why in (("a.pkl", "give a file .npz or .csv"), ("a.npz", "cannot be read as NPZ")):
        (tmp_path / name).write_bytes(b"no tracks")
        with pytest.raises(MediaError, match=why):
            read_point_tracks(tmp_path / name)
