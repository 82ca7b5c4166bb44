"""Videos: the right frames, upright, in the right colours, and one sentence for each bad one."""

from __future__ import annotations

import io
import os
import socket
import struct
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from nlviz.errors import MediaError
from nlviz.media import frame_index, probe, read
from nlviz.media.frame_index import OPTIONS
from tests.support import media_files as make


def test_eight_frames_are_spread_evenly_to_the_last(tmp_path):
    clip = read(make.video(tmp_path / "a.mp4", 50))
    assert clip.indices == (0, 7, 14, 21, 28, 35, 42, 49)
    assert make.numbers(clip.frames) == list(clip.indices)
    assert clip.timestamps == pytest.approx([i / 25 for i in clip.indices])
    assert (clip.total, clip.name, clip.path) == (50, "a.mp4", str(tmp_path / "a.mp4"))
    assert clip.notes == ()


def test_stride_and_start_pick_the_frames_they_say(tmp_path):
    path = make.video(tmp_path / "a.mp4", 30)
    assert read(path, frames=4, stride=5, start=3).indices == (3, 8, 13, 18)
    clip = read(path, frames=9, stride=10, start=5)
    assert make.numbers(clip.frames) == [5, 15, 25]
    assert clip.notes == ("From frame 5 on the clip has 3 frames at stride 10; all 3 are used.",)


def test_a_clip_shorter_than_asked_gives_all_it_has_and_says_so(tmp_path):
    clip = read(make.video(tmp_path / "a.mp4", 5))
    assert clip.indices == (0, 1, 2, 3, 4)
    assert clip.notes == ("The clip has 5 frames; all 5 are used.",)


X264 = {"codec": "libx264", "pixels": "yuv444p"}
# Three frames between two that they lean on, whatever the pictures look like; x264 makes none
# without loss, so with the least.
BOTH_WAYS = {"x264-params": "bframes=3:b-adapt=0:keyint=12:min-keyint=12:scenecut=0", "qp": "1"}
CODECS = {
    "b-frames": BOTH_WAYS,
    "open-gop": BOTH_WAYS | {"x264-params": BOTH_WAYS["x264-params"] + ":open-gop=1"},
    "one-key": {"g": "1000"},
    "all-keys": {"g": "1"},
    "matroska": {"container": "matroska", **BOTH_WAYS},
    "mpegts": {"container": "mpegts", **X264, **BOTH_WAYS},
    "flv": {"container": "flv", "codec": "libx264", "pixels": "yuv420p", **BOTH_WAYS},
    "raw-h264": {"container": "h264", **X264, **BOTH_WAYS},
    "avi": {"container": "avi", "codec": "mpeg4", "bf": "2", "g": "10", "qmin": "1", "qmax": "2"},
    "mpeg2": {"container": "mpeg", "codec": "mpeg2video", "bf": "2", "g": "9", "qmax": "2"},
    "vp9": {"container": "webm", "codec": "libvpx-vp9", "pixels": "yuv444p", "lossless": "1"},
    "vp8": {"container": "webm", "codec": "libvpx", "auto-alt-ref": "1", "lag-in-frames": "10"},
}
for codec in ("avi", "mpeg2", "vp8"):
    CODECS[codec]["pixels"] = "yuv420p"
CODECS["vp8"]["b"] = "2M"


@pytest.mark.parametrize("kind", CODECS)
def test_frames_are_exact_whatever_the_order_in_the_file(tmp_path, kind):
    path = make.video(tmp_path / f"clip.{kind}", 40, **CODECS[kind])
    assert make.numbers(read(path, frames=40).frames) == list(range(40))
    for options in (
        {"frames": 6},
        {"frames": 3, "stride": 1, "start": 29},
        {"frames": 1, "start": 39},
    ):
        clip = read(path, **options)
        assert clip.total == 40
        assert make.numbers(clip.frames) == list(clip.indices)
    assert probe(path).total == 40


@pytest.mark.parametrize("kind", ["b-frames", "open-gop", "matroska", "mpegts", "flv"])
def test_frames_in_coded_order_are_found_without_counting_all_of_them(tmp_path, monkeypatch, kind):
    path = make.video(tmp_path / f"clip.{kind}", 40, **CODECS[kind])
    with av.open(str(path), "r") as container:
        shown = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert shown != sorted(shown), "the file has B-frames"
    monkeypatch.setattr("nlviz.media.video.count", None)
    clip = read(path, frames=9, start=2)
    assert make.numbers(clip.frames) == list(clip.indices)


def test_a_late_frame_is_reached_by_its_key_frame(tmp_path, monkeypatch):
    path = make.video(tmp_path / "a.mp4", 60, g="5", preset="veryfast")
    seen = []

    def decoded(container, stream):
        for frame in frame_index.decoded(container, stream):
            seen.append(frame.pts)
            yield frame

    monkeypatch.setattr("nlviz.media.video.decoded", decoded)
    assert read(path, frames=3, stride=17, start=21).indices == (21, 38, 55)
    assert len(seen) <= 1 + 3 * 5


def test_a_variable_frame_rate_keeps_its_own_times(tmp_path):
    steps = [0, 10, 200, 15, 40, 333, 20, 20, 500, 33, 10, 90]
    times = list(accumulate(steps))
    path = make.video(tmp_path / "a.mkv", 12, container="matroska", times=times, **BOTH_WAYS)
    clip = read(path, frames=5)
    assert make.numbers(clip.frames) == list(clip.indices) == [0, 3, 6, 8, 11]
    assert clip.timestamps == pytest.approx([times[i] / 1000 for i in clip.indices])
    assert probe(path).rate == pytest.approx(11 / times[-1] * 1000)


def test_times_count_from_the_first_frame(tmp_path):
    path = make.video(tmp_path / "a.ts", 10, **CODECS["mpegts"])
    assert read(path).timestamps[0] == 0.0


# (a, b, c, d) of the matrix → where the corners red (upper left) and blue (upper right) go.
TURNS = {
    (1, 0, 0, 1): ((64, 48), "upper left", "upper right"),
    (0, 1, -1, 0): ((48, 64), "upper right", "lower right"),
    (-1, 0, 0, -1): ((64, 48), "lower right", "lower left"),
    (0, -1, 1, 0): ((48, 64), "lower left", "upper left"),
    (-1, 0, 0, 1): ((64, 48), "upper right", "upper left"),
}


def corners(frame: np.ndarray) -> dict[str, tuple[int, ...]]:
    places = {"upper left": (2, 2), "upper right": (2, -3)}
    places |= {"lower left": (-3, 2), "lower right": (-3, -3)}
    return {name: tuple(int(v) for v in frame[at]) for name, at in places.items()}


@pytest.mark.parametrize("matrix", TURNS)
def test_a_turned_video_is_set_upright(tmp_path, matrix):
    path = make.turned(make.video(tmp_path / "a.mp4", 3, corner=True), matrix)
    size, red, blue = TURNS[matrix]
    clip = read(path)
    assert (clip.width, clip.height) == size
    assert corners(clip.frames[0])[red] == (255, 0, 0)
    assert corners(clip.frames[0])[blue] == (0, 0, 255)
    info = probe(path)
    assert (info.width, info.height) == size
    assert ("Turned upright as the file says." in clip.notes) == (matrix != (1, 0, 0, 1))


def test_pixels_that_are_not_square_are_stretched_never_shrunk(tmp_path):
    wide = read(make.video(tmp_path / "a.mp4", 3, aspect=Fraction(3, 2), corner=True))
    assert (wide.width, wide.height) == (96, 48)
    assert "not square" in wide.notes[-1]
    assert (wide.frames[0, :10, :20] == (255, 0, 0)).all()
    tall = read(make.video(tmp_path / "b.mp4", 3, aspect=Fraction(1, 2)))
    assert (tall.width, tall.height) == (64, 96)


@pytest.mark.parametrize(("matrix", "tag"), [("itu709", 1), ("itu601", 5), ("bt2020", 9)])
@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p10le"])
def test_colours_follow_the_matrix_that_the_file_names(tmp_path, matrix, tag, pixels):
    path = tmp_path / "a.mkv"
    colour = np.full((32, 32, 3), (200, 50, 30), np.uint8)
    coloured(path, colour, matrix, tag, pixels)
    assert np.abs(read(path).frames[0].astype(int) - colour).max() <= 3


def test_untagged_video_is_read_as_players_do_by_its_size(tmp_path):
    for size, matrix in ((32, "itu601"), (1280, "itu709")):
        colour = np.full((16, size, 3), (200, 50, 30), np.uint8)
        coloured(tmp_path / f"{size}.mkv", colour, matrix, 2, "yuv444p")
        assert np.abs(read(tmp_path / f"{size}.mkv").frames[0].astype(int) - colour).max() <= 3


def coloured(path: Path, colour: np.ndarray, matrix: str, tag: int, pixels: str) -> None:
    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width = colour.shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.colorspace = tag
        stream.codec_context.color_range = 1
        frame = av.VideoFrame.from_ndarray(colour, format="rgb24")
        frame = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=1)
        frame.colorspace, frame.color_range, frame.pts = tag, 1, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode())


def test_a_transparent_video_lies_on_white(tmp_path):
    path = tmp_path / "a.mov"
    with av.open(str(path), "w", format="mov") as out:
        stream = out.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "argb"
        pixels = np.zeros((16, 16, 4), np.uint8)
        pixels[:, 8:] = (10, 20, 30, 255)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        out.mux(stream.encode())
    clip = read(path)
    assert (clip.frames[0, :, :8] == 255).all()
    assert (clip.frames[0, :, 8:] == (10, 20, 30)).all()
    assert clip.notes == ("Transparent pixels are shown on white.",)


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3000, 17), (17, 301)])
def test_odd_sizes_work(tmp_path, size):
    path = make.video(
        tmp_path / "a.mkv", 3, size=size, codec="ffv1", pixels="bgr0", container="matroska"
    )
    clip = read(path)
    assert (clip.width, clip.height) == size
    assert make.numbers(clip.frames) == [0, 1, 2]


def test_a_video_of_one_frame_is_an_image(tmp_path):
    clip = read(make.video(tmp_path / "a.mp4", 1))
    assert clip.is_image
    assert clip.notes == ()
    assert probe(tmp_path / "a.mp4").is_image


def test_bytes_and_open_files_read_as_paths_do(tmp_path):
    path = make.video(tmp_path / "a.mp4", 9)
    by_path = read(path, frames=3)
    with path.open("rb") as file:
        file.read(100)  # wherever it stands
        by_file = read(file, frames=3)
        assert not file.closed
    by_bytes = read(path.read_bytes(), frames=3, name="up.mp4")
    for clip, name in ((by_file, "a.mp4"), (by_bytes, "up.mp4")):
        assert clip.name == name
        assert clip.path is None
        np.testing.assert_array_equal(clip.frames, by_path.frames)


def test_probe_agrees_with_read(tmp_path):
    info = probe(make.video(tmp_path / "a.mp4", 50))
    assert (info.name, info.width, info.height, info.total) == ("a.mp4", 64, 48, 50)
    assert (info.duration, info.rate, info.is_image) == (2.0, 25.0, False)


def test_a_file_cut_in_the_middle_gives_what_is_there(tmp_path):
    data = noisy(tmp_path / "a.mp4", 40).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    clip = read(tmp_path / "cut.mp4", frames=4)
    assert 10 < clip.total < 40
    assert f"{clip.total} of its 40 frames are there" in clip.notes[-1]


def noisy(path: Path, count: int) -> Path:
    """A video whose index comes first and whose frames are large, to be cut in the middle."""
    rng = np.random.default_rng(0)
    options = {"movflags": "faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(count):
            pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    return path


def test_a_damaged_stretch_is_left_out_and_told(tmp_path):
    path = tmp_path / "a.mov"
    make.video(path, 20, codec="png", container="mov")
    data = bytearray(path.read_bytes())
    at = [i for i in range(len(data)) if data[i : i + 4] == b"\x89PNG"][7]
    data[at : at + 8] = bytes(8)
    path.write_bytes(data)
    clip = read(path, frames=20)
    assert make.numbers(clip.frames) == [*range(7), *range(8, 20)]
    assert clip.total == 19


def bad_text(folder: Path) -> Path:
    (folder / "notes.mp4").write_text("dear diary\n" * 100)
    return folder / "notes.mp4"


def bad_moov(folder: Path) -> Path:
    data = make.video(folder / "a.mp4", 20).read_bytes()
    (folder / "cut.mp4").write_bytes(data[: data.index(b"moov") - 4])
    return folder / "cut.mp4"


def bad_no_frames(folder: Path) -> Path:
    path = folder / "none.mp4"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        out.start_encoding()
    return path


def bad_all_cut(folder: Path) -> Path:
    data = noisy(folder / "a.mp4", 10).read_bytes()
    (folder / "cut.mp4").write_bytes(data[: data.index(b"mdat") + 6])
    return folder / "cut.mp4"


def bad_empty(folder: Path) -> Path:
    (folder / "void.mp4").write_bytes(b"")
    return folder / "void.mp4"


def bad_random(folder: Path) -> Path:
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    return folder / "noise.mp4"


def bad_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


BAD = {
    "text": (bad_text, "'notes.mp4' is not a video or image that nlviz can read"),
    "moov": (bad_moov, r"'cut.mp4' is an MP4 or MOV without a whole index \(moov\)"),
    "no frames": (bad_no_frames, "'none.mp4' has no video in it"),
    "cut before the first frame": (bad_all_cut, "'cut.mp4' has no frame that can be decoded"),
    "empty": (bad_empty, r"'void.mp4' is empty \(0 bytes\)"),
    "noise": (bad_random, "'noise.mp4' is not a video or image"),
    "pipe": (bad_fifo, "is not a file"),
    "sound": (lambda folder: make.sound(folder / "song.mp4"), "has sound and no picture"),
    "missing": (lambda folder: folder / "gone.mp4", "does not exist; check the path"),
    "null byte": (lambda folder: str(folder / "a\0b.mp4"), "cannot be opened"),
    "too long": (lambda folder: folder / ("a" * 300 + ".mp4"), "cannot be opened"),
    "address": (lambda folder: "https://example.org/a.mp4", "is an address; download the file"),
    "no name": (lambda folder: b"123", "need one; pass name="),
    "text file object": (lambda folder: io.StringIO("x"), "need one; pass name="),
    "number": (lambda folder: 5, "need one; pass name="),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("verb", [read, probe])
def test_each_bad_input_gets_one_sentence(tmp_path, kind, verb, capfd):
    build, says = BAD[kind]
    with pytest.raises(MediaError, match=says) as caught:
        verb(build(tmp_path))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"frames": 0}, "frames must be at least 1; got 0"),
        ({"stride": 0}, "stride must be at least 1; got 0"),
        ({"start": -1}, "start=-1 lies before the first frame"),
        ({"start": 12}, "'a.mp4' has 12 frames, counted from 0; start=12 lies after"),
    ],
)
def test_impossible_samplings_are_told(tmp_path, options, says):
    with pytest.raises(MediaError, match=says):
        read(make.video(tmp_path / "a.mp4", 12), **options)


def test_a_text_stream_with_a_name_is_told_to_open_as_bytes():
    with pytest.raises(MediaError, match="mode 'rb'"):
        read(io.StringIO("x"), name="a.mp4")


def test_a_clip_that_would_not_fit_says_how_many_frames_would(tmp_path, monkeypatch):
    path = make.video(tmp_path / "a.mp4", 12)
    monkeypatch.setattr("nlviz.media.sampling.MAX_BYTES", 64 * 48 * 3 * 5)
    with pytest.raises(MediaError, match=r"8 frames of 'a.mp4' at 64×48 need .* ask for 5 frames"):
        read(path)
    assert len(read(path, frames=5).frames) == 5


def test_a_video_of_huge_frames_is_refused_before_decoding(tmp_path, monkeypatch):
    path = make.video(tmp_path / "a.mp4", 3)
    monkeypatch.setattr("nlviz.media.sampling.MAX_PIXELS", 64 * 48 - 1)
    monkeypatch.setattr("nlviz.media.video.decoded", None)
    monkeypatch.setattr("nlviz.media.frame_index.decoded", None)
    with pytest.raises(MediaError, match=r"'a.mp4' is 64×48, 0 million"):
        read(path)


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile 'secret.mp4'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
    "<BaseURL>{target}</BaseURL></Period></MPD>",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("ending", ["mp4", "m3u8", "ffconcat"])
def test_a_playlist_opens_nothing_else(tmp_path, monkeypatch, kind, ending):
    make.video(tmp_path / "secret.mp4", 3)
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0.3)
        for target in (f"http://127.0.0.1:{port}/a.ts", str(tmp_path / "secret.mp4")):
            text = PLAYLISTS[kind].format(target=target, port=port)
            Path(f"list.{ending}").write_text(text)
            for source in (f"list.{ending}", Path(f"list.{ending}").read_bytes()):
                with pytest.raises(MediaError, match="is not a video or image that nlviz can read"):
                    read(source, name=f"list.{ending}")
        with pytest.raises(TimeoutError):
            server.accept()


def test_without_the_lists_ffmpeg_would_follow_a_playlist(tmp_path, monkeypatch):
    """The guard guards: FFmpeg by itself reads the file that the list names."""
    make.video(tmp_path / "secret.mp4", 3)
    monkeypatch.chdir(tmp_path)
    Path("list.ffconcat").write_text(PLAYLISTS["concat"])
    with av.open("list.ffconcat", "r") as container:
        assert container.streams.video
    with pytest.raises(av.FFmpegError):
        av.open("list.ffconcat", "r", options=OPTIONS)


def test_no_file_stays_open(tmp_path):
    fds = Path("/proc/self/fd")
    if not fds.exists():
        fds = Path("/dev/fd")
    path = make.video(tmp_path / "a.mp4", 12)
    bad = bad_text(tmp_path)
    before = len(list(fds.iterdir()))
    for _ in range(3):
        read(path)
        probe(path)
        with pytest.raises(MediaError):
            read(bad)
    assert len(list(fds.iterdir())) == before


def test_an_mp4_that_declares_millions_of_samples_is_refused_before_room_is_made_for_them(tmp_path):
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    table = box(b"stsz", struct.pack(">III", 0, 1, 50_000_000))
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        table = box(kind, table)
    path = tmp_path / "bomb.mp4"
    path.write_bytes(box(b"ftyp", b"isom\0\0\0\0isom") + table)
    for ask in (read, probe):
        with pytest.raises(MediaError, match="declares 50000000 frames or pieces of sound"):
            ask(path)


def test_of_two_videos_in_a_file_the_default_one_is_read(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(path, "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, (width, height) in zip(streams, [(64, 48), (160, 96)], strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        streams[0].disposition = Disposition(0)
        streams[1].disposition = Disposition.default
        for index in range(4):
            for stream in streams:
                drawn = make.picture(index, stream.width, stream.height)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(drawn, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    clip = read(path)
    assert (clip.width, clip.height, clip.total) == (160, 96, 4)
    assert (probe(path).width, probe(path).height) == (160, 96)
    note = "The file holds 2 videos; this is number 2, the default one (160×96)."
    assert note in clip.notes
    assert not any("videos" in each for each in read(make.video(tmp_path / "a.mp4", 4)).notes)


@pytest.mark.parametrize("left", [0.3, 0.6, 0.75, 0.9])
def test_a_fragmented_file_that_is_cut_says_so(tmp_path, left):
    whole = tmp_path / "whole.mp4"
    with av.open(
        str(whole), "w", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    ) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "8", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(32):
            noise = np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    assert not any("cut off" in note for note in read(whole, frames=99).notes)
    cut = tmp_path / "cut.mp4"
    content = whole.read_bytes()
    cut.write_bytes(content[: round(left * len(content))])
    clip, info = read(cut, frames=99), probe(cut)
    assert any("cut off" in note for note in clip.notes), clip.notes
    assert len(clip.frames) == clip.total <= info.total
    assert clip.total == info.total or f"{clip.total} of its {info.total} frames" in clip.notes[-1]
