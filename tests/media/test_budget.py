"""Decoding has a budget of pixels and of time, can be stopped, and is done once."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlviz import MediaError
from nlviz.media import budget, gif_frames, probe, read, sampling
from nlviz.media.reel import look_through
from nlviz.media.sampling import Sampling
from tests.support import media_files as make


def h264(folder: Path, count: int) -> Path:
    """A stream without a container: its packets have no times, so it has to be counted."""
    return make.video(folder / "a.h264", count, container="h264", codec="libx264", pixels="yuv420p")


def gif(folder: Path, count: int) -> Path:
    path = folder / "a.gif"
    path.write_bytes(make.animation("GIF", count))
    return path


def tiff(folder: Path, count: int) -> Path:
    path = folder / "a.tif"
    first, *others = (Image.new("L", (8, 8), i) for i in range(count))
    first.save(path, save_all=True, append_images=others)
    return path


def frames(folder: Path, count: int) -> Path:
    for index in range(count):
        Image.new("L", (8, 8), index).save(folder / f"{index}.png")
    return folder


def mp4(folder: Path, count: int) -> Path:
    return make.video(folder / "a.mp4", count)


KINDS = {"mp4": mp4, "h264": h264, "gif": gif, "tiff": tiff, "folder": frames}


class StoppedError(RuntimeError):
    """Readers take a RuntimeError for damage of the file; this one is the visitor's."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_progress_raises_ends_the_reading_and_comes_out_as_it_is(
    tmp_path, monkeypatch, kind
):
    path = KINDS[kind](tmp_path, 12)
    monkeypatch.setattr(budget, "_OFTEN", 0.0)
    told: list[tuple[float, str]] = []

    def stop(fraction: float, what: str) -> None:
        told.append((fraction, what))
        if len(told) == 3:
            raise StoppedError("enough")

    with pytest.raises(StoppedError, match="enough"):
        read(path, progress=stop)
    assert len(told) == 3
    assert all(0 <= fraction <= 1 for fraction, _ in told)
    assert len(read(path, progress=lambda fraction, what: None).frames) == 8


@pytest.mark.parametrize("kind", ["mp4", "h264", "gif", "tiff"])
@pytest.mark.parametrize("ask", [read, probe])
def test_more_time_than_there_is_ends_in_a_sentence(tmp_path, monkeypatch, kind, ask):
    path = KINDS[kind](tmp_path, 12)
    monkeypatch.setattr(sampling, "MAX_SECONDS", -1.0)
    with pytest.raises(MediaError, match=r"'a\.\w+' takes longer than -1 s to decode; cut it"):
        ask(path)


@pytest.mark.parametrize("kind", ["mp4", "h264", "gif", "tiff"])
def test_more_pixels_than_may_be_decoded_end_in_a_sentence(tmp_path, monkeypatch, kind):
    path = KINDS[kind](tmp_path, 12)
    clip = read(path)
    monkeypatch.setattr(sampling, "MAX_DECODED", 3 * clip.width * clip.height)
    with pytest.raises(MediaError, match="takes more than 0 million pixels to decode"):
        read(path)
    if kind != "h264":  # of which all is decoded to be counted
        assert len(read(path, frames=3, stride=1).frames) == 3


@pytest.mark.parametrize("count", [1, 2, 9])
def test_frames_of_a_gif_are_counted_as_pillow_counts_them(count):
    content = make.animation("GIF", count)
    with Image.open(io.BytesIO(content)) as image:
        assert gif_frames.count(io.BytesIO(content), 99, lambda: None) == image.n_frames == count
    garbage = content[:-1] + b"\x00\x07garbage"  # Pillow skips what is no block
    with Image.open(io.BytesIO(garbage)) as image:
        assert gif_frames.count(io.BytesIO(garbage), 99, lambda: None) == image.n_frames
    cut = content[: len(content) // 2]
    assert gif_frames.count(io.BytesIO(cut), 99, lambda: None) <= count
    assert gif_frames.count(io.BytesIO(content), 1, lambda: None) == 1


@pytest.mark.parametrize("ask", [read, probe])
def test_a_gif_of_millions_of_tiny_frames_is_refused_at_once(ask):
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    content = head + frame * 1_000_000 + b";"
    begun = time.monotonic()
    with pytest.raises(MediaError, match=r"'a\.gif' has more than 131,072 frames to play through"):
        ask(content, name="a.gif")
    assert time.monotonic() - begun < 5


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    return make.counting_decoded(monkeypatch)


@pytest.mark.parametrize("kind", ["mp4", "h264", "gif", "tiff"])
def test_a_file_is_looked_through_once(tmp_path, decoded, kind):
    path = KINDS[kind](tmp_path, 30)
    plain = read(path, frames=5, start=3)
    info = probe(path)
    decoded.clear()
    reel, clip = look_through(path, Sampling(8), path.name)
    # A stream without times is counted first, as nobody knows which frames are the wanted ones.
    assert len(decoded) <= (60 if kind == "h264" else 31)
    assert reel.info == info
    assert clip.indices == read(path).indices
    decoded.clear()
    again = reel.read(path, Sampling(5, start=3))
    assert len(decoded) <= 31
    np.testing.assert_array_equal(again.frames, plain.frames)
    assert (again.indices, again.timestamps, again.total) == (
        plain.indices,
        plain.timestamps,
        plain.total,
    )
    assert again.notes == plain.notes
