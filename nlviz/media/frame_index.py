"""FrameIndex: which frames a video has and when each is shown; FFmpeg opens it only here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from nlviz.errors import MediaError
from nlviz.media import mp4_boxes
from nlviz.media.budget import Budget
from nlviz.media.sampling import MAX_PIXELS, check_frame
from nlviz.media.source import KINDS, Source

# Playlists and image sequences open other files and addresses. So only these containers are read,
# from a file that is open already, and FFmpeg is left no protocol to open another by.
DEMUXERS = "mov,matroska,avi,flv,asf,mpegts,mpeg,mpegvideo,h264,hevc,ogg,ivf,yuv4mpegpipe"
# FFmpeg sets about 70 bytes aside for each sample that an MP4 declares, whether it is there or not.
MAX_SAMPLES = 4_000_000
OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "none"}


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of a video in the order they are shown.

    Args:
        times: presentation time of each frame, rising, in units of ``base``.
        keys: (presentation time, time to seek to) of each key frame, rising.
        base: seconds of one unit.
        missing: frames that the file declares and does not hold, or holds damaged.
    """

    times: tuple[int, ...]
    keys: tuple[tuple[int, int], ...]
    base: Fraction
    missing: int

    def seconds(self, index: int) -> Fraction:
        """Seconds of a frame after the first one."""
        return (self.times[index] - self.times[0]) * self.base


@contextmanager
def open_video(source: Source) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its video stream; trouble becomes one MediaError."""
    with source.open() as file:
        declared = mp4_boxes.samples(file)
        if declared > MAX_SAMPLES:
            raise MediaError(
                f"'{source.name}' declares {declared} frames or pieces of sound; at most "
                f"{MAX_SAMPLES} are read, so cut it into shorter parts."
            )
        file.seek(0)
        try:
            with av.open(file, "r", options=OPTIONS, metadata_errors="replace") as container:
                stream = _stream(container, source.name)
                # PyAV has no context for a codec that it does not know.
                context: VideoCodecContext | None = stream.codec_context
                if context is None:
                    raise _unknown_codec(source.name)
                if context.width and context.height:
                    check_frame(source.name, context.width, context.height)
                context.options = {"max_pixels": str(MAX_PIXELS)}  # of later frames too
                stream.thread_type = "AUTO"
                yield container, stream
        except av.FFmpegError as error:
            raise _unreadable(source, error) from None


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames in the order they are shown, from where the container stands, without damaged ones."""
    for packet in _packets(container, stream):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            continue


def scan(source: Source, budget: Budget | None = None) -> FrameIndex | None:
    """The index by its packets, nothing decoded; None where they do not carry usable times."""
    budget = budget or Budget(source.name)
    times: list[int] = []
    keys: list[tuple[int, int]] = []
    hidden = 0
    with open_video(source) as (container, stream):
        for packet in _packets(container, stream):
            budget.look()
            if not packet.size:
                continue
            hidden += packet.is_discard
            if packet.is_discard or packet.is_corrupt:
                continue
            if packet.pts is None:
                return None
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
        base = stream.time_base or Fraction(1, 1)
        missing = max(stream.frames - hidden - len(times), 0)
    if not keys or len(set(times)) < len(times):
        return None
    return FrameIndex(tuple(sorted(times)), tuple(sorted(keys)), base, missing)


def count(source: Source, budget: Budget | None = None, promised: int = 0) -> FrameIndex:
    """The index by decoding all of it: slow, and right where the packets' times are not.

    Args:
        source: the file.
        budget: what may be decoded.
        promised: how many frames its packets seemed to hold.

    Raises:
        MediaError: no frame can be decoded, or too much would have to be.
    """
    budget = budget or Budget(source.name)
    with open_video(source) as (container, stream):
        times = [frame.pts for frame in budget.over(decoded(container, stream))]
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        base = stream.time_base or 1 / rate
        missing = max(stream.frames - len(times), promised - len(times), 0)
    if not times:
        raise MediaError(f"'{source.name}' has no frame that can be decoded; choose another file.")
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return FrameIndex(tuple(known), (), base, missing)
    return FrameIndex(tuple(range(len(times))), (), 1 / rate, missing)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets up to the end, or to where the file is cut."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.InvalidDataError, av.EOFError):
            return
        yield packet


def which(container: InputContainer, stream: VideoStream) -> tuple[str, ...]:
    """One sentence where a file holds several videos, on which of them is read."""
    films = _films(container)
    if len(films) < 2:
        return ()
    usual = "the default" if stream.disposition & Disposition.default else "the first"
    size = f"{stream.width}×{stream.height}"
    number = films.index(stream) + 1
    return (f"The file holds {len(films)} videos; this is number {number}, {usual} one ({size}).",)


def _films(container: InputContainer) -> list[VideoStream]:
    """Its videos; a cover picture is none."""
    videos = container.streams.video
    return [each for each in videos if not each.disposition & Disposition.attached_pic]


def _stream(container: InputContainer, name: str) -> VideoStream:
    films = _films(container)
    if films:  # the one that players show
        usual = (film for film in films if film.disposition & Disposition.default)
        return next(usual, films[0])
    if container.streams.audio:
        raise MediaError(f"'{name}' has sound and no picture; give {KINDS}.")
    raise MediaError(f"'{name}' has no video in it; give {KINDS}.")


def _unreadable(source: Source, error: av.FFmpegError) -> MediaError:
    if isinstance(error, av.DecoderNotFoundError):
        return _unknown_codec(source.name)
    if source.head(12)[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free"):
        return MediaError(
            f"'{source.name}' is an MP4 or MOV without a whole index (moov), as a recording or "
            "download that was cut off leaves it; save or download it again."
        )
    return MediaError(f"'{source.name}' is not a video or image that nlviz can read; give {KINDS}.")


def _unknown_codec(name: str) -> MediaError:
    return MediaError(f"'{name}' uses a codec that nlviz cannot read; save it as H.264 MP4.")
