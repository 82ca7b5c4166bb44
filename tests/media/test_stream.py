"""Streams: the frames that ``read`` gives, one after the other, and nothing else decoded."""

from __future__ import annotations

import numpy as np
import pytest

import nlviz
from nlviz.errors import MediaError
from nlviz.media import budget, frame_index, video
from nlviz.media.stream import open_stream
from tests.support import media_files as make


def _gif(path, count: int = 7):
    from PIL import Image

    pictures = [Image.fromarray(make.picture(i, 32, 24)) for i in range(count)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80)
    return path


def _folder(path, count: int = 6):
    from PIL import Image

    path.mkdir()
    for i in range(count):
        Image.fromarray(make.picture(i, 32, 24)).save(path / f"{i}.png")
    return path


MADE = {
    "video": lambda home: make.video(home / "a.mp4", 23, g="5"),
    "animation": lambda home: _gif(home / "a.gif"),
    "folder": lambda home: _folder(home / "a"),
    "picture": lambda home: make.video(home / "a.mp4", 1),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_stream_gives_what_read_gives(kind, tmp_path):
    path = MADE[kind](tmp_path)
    whole = nlviz.read(path, frames=99, stride=1)
    stream = open_stream(path)
    assert np.array_equal(np.stack(list(stream.frames(0, len(stream.indices)))), whole.frames)
    assert (stream.indices, stream.timestamps) == (whole.indices, whole.timestamps)
    assert (stream.path, stream.info) == (whole.path, nlviz.probe(path))
    if whole.total > 4:
        part = nlviz.read(path, frames=2, stride=2, start=1)
        some = open_stream(path, frames=2, stride=2, start=1)
        assert some.indices == part.indices
        assert np.array_equal(np.stack(list(some.frames(0, 2))), part.frames)
        assert np.array_equal(next(some.frames(1, 2)), part.frames[1])
        spread = open_stream(path, frames=3)
        assert spread.indices == nlviz.read(path, frames=3).indices


def _decoded(monkeypatch) -> list[int]:
    """The times of all frames that come out of a decoder from now on."""
    times: list[int] = []
    plain = frame_index.decoded

    def counted(container, stream):
        for frame in plain(container, stream):
            times.append(frame.pts)
            yield frame

    monkeypatch.setattr(frame_index, "decoded", counted)
    monkeypatch.setattr(video, "decoded", counted)
    return times


def test_only_the_part_that_is_asked_for_is_decoded(tmp_path, monkeypatch):
    """From the key frame before it on; and the first frame, which says how large all are."""
    path = make.video(tmp_path / "a.mp4", 55, g="10")
    decoded = _decoded(monkeypatch)
    clip = nlviz.read(path, frames=3, stride=1, start=35)
    assert make.numbers(clip.frames)[0] == 35
    base = round(1 / 25 / float(frame_index.scan(nlviz.media.source.Source.of(path)).base))
    assert sorted({time // base for time in decoded}) == [0, *range(30, 38)]
    decoded.clear()
    nlviz.probe(path)
    assert [time // base for time in decoded] == [0]
    decoded.clear()
    stream = open_stream(path, stride=1)
    assert [time // base for time in decoded] == [0]
    decoded.clear()
    list(stream.frames(42, 45))
    assert sorted({time // base for time in decoded}) == [0, *range(40, 45)]


def test_frames_one_after_the_other_are_decoded_once(tmp_path, monkeypatch):
    path = make.video(tmp_path / "a.mp4", 40, g="10")
    stream = open_stream(path, stride=3)
    decoded = _decoded(monkeypatch)
    list(stream.frames(0, len(stream.indices)))
    assert len(decoded) - 1 == len(set(decoded)) <= 40  # the first says how large all are, too


def test_the_time_between_two_frames_is_bounded_and_not_that_of_all(tmp_path, monkeypatch):
    path = make.video(tmp_path / "a.mp4", 12)
    stream = open_stream(path)
    monkeypatch.setattr(budget.sampling, "MAX_DECODED", 64 * 48 * 3)
    assert len(list(stream.frames(0, 12))) == 12
    with pytest.raises(MediaError, match="million pixels to decode"):
        list(open_stream(path, stride=6).frames(0, 2))


def test_a_file_that_gives_fewer_frames_than_it_promised_says_where(tmp_path, monkeypatch):
    path = make.video(tmp_path / "a.mp4", 12)
    stream = open_stream(path)
    plain = stream.play
    object.__setattr__(stream, "play", lambda wanted, budget: list(plain(wanted, budget))[:5])
    frames = stream.frames(2, 12)
    with pytest.raises(MediaError, match="frame 7 cannot be decoded"):
        list(frames)
