"""Media files for the tests, made on the spot; a frame's brightness tells its number."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nlviz.media import budget

STEP = 4
"""Grey levels from one frame to the next; they come back exactly from a lossless stream."""


def grey(index: int) -> int:
    return 16 + STEP * index


def numbers(frames: np.ndarray) -> list[int]:
    """The frame numbers that the pictures carry, by their median level."""
    return [round((float(np.median(frame)) - 16) / STEP) for frame in frames]


def moving_square(folder: Path, count: int, step: int) -> Path:
    """So many pictures in a folder, 160×96: a bright square that moves to the right."""
    for i in range(count):
        pixels = np.full((96, 160, 3), 60, np.uint8)
        pixels[30:60, 10 + step * i : 40 + step * i] = (250, 200, 40)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def picture(index: int, width: int, height: int, *, corner: bool = False) -> np.ndarray:
    pixels = np.full((height, width, 3), grey(index), np.uint8)
    if corner:  # red upper left, blue upper right
        pixels[: height // 4, : width // 4] = (255, 0, 0)
        pixels[: height // 4, -(width // 4) :] = (0, 0, 255)
    return pixels


def video(
    path: Path,
    count: int = 12,
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264rgb",
    pixels: str = "rgb24",
    container: str = "mp4",
    times: Iterable[int] | None = None,
    rate: int = 25,
    corner: bool = False,
    aspect: Fraction | None = None,
    **options: str,
) -> Path:
    """A lossless video; ``times`` are presentation times in milliseconds."""
    if codec.startswith("libx264"):
        options = {"qp": "0", "preset": "ultrafast", **options}
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if aspect:
            stream.sample_aspect_ratio = aspect
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        shown = list(times) if times is not None else range(count)
        for index in range(count):
            drawn = picture(index, *size, corner=corner)
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.pts = shown[index]
            frame.time_base = Fraction(1, 1000) if times is not None else Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def sound(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the display matrix (a, b, c, d) into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (value * 65536 for value in matrix)
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG by hand: for headers that no library would write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def animation(kind: str, count: int = 5, **options: object) -> bytes:
    frames = [Image.fromarray(picture(i, 20, 12)) for i in range(count)]
    more = {"lossless": True} if kind == "WEBP" else {}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **(more | options))


def counting_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each frame that is decoded."""
    seen: list[int] = []
    spend = budget.Budget.spend

    def counted(self: budget.Budget, width: int, height: int) -> None:
        seen.append(1)
        spend(self, width, height)

    monkeypatch.setattr(budget.Budget, "spend", counted)
    return seen
