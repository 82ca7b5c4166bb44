"""Point tracks: where points of a clip are in each frame, read from NPZ or CSV."""

from __future__ import annotations

import csv
import io
import lzma
import os
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.errors import MediaError

SIDE = 256
"""Pixels of the square picture in which TAP-Vid measures positions."""

_COLUMNS = ("point", "frame", "x", "y", "visible")
_MOST = 64 << 20  # bytes of a file, and of each array in it as it is held
_MOST_POSITIONS = 4_000_000
_Position = tuple[int, int, float, float, bool]
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
# What numpy raises of a header; of one that nests too deeply Python's parser has no memory.
_BROKEN = OverflowError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError


@dataclass(frozen=True, slots=True, eq=False)
class PointTracks:
    """Where N points are in each of T frames.

    Args:
        name: the file's, for messages.
        tracks: (N, T, 2) float64, x and y in pixels of a 256 × 256 picture that the whole frame was
            stretched to; read-only.
        visible: (N, T), True where a point can be seen; read-only.

    Raises:
        MediaError: shapes that do not fit, no points, or a visible position that is not a number.
    """

    name: str
    tracks: NDArray[np.float64]
    visible: NDArray[np.bool_]

    def __post_init__(self) -> None:
        tracks, visible = np.asarray(self.tracks), np.asarray(self.visible)
        if tracks.ndim != 3 or tracks.shape != (*visible.shape, 2) or not tracks.size:
            raise MediaError(
                f"'{self.name}' has tracks {tracks.shape} and visible {visible.shape}; give "
                "(N, T, 2) and (N, T) for N points in T frames."
            )
        if tracks.dtype.kind not in "fiu" or visible.dtype.kind not in "biu":
            raise MediaError(
                f"'{self.name}' has tracks of {tracks.dtype} and visible of {visible.dtype}; give "
                "numbers of pixels, and True or False."
            )
        tracks, visible = tracks.astype(np.float64), visible.astype(np.bool_)
        if not np.isfinite(tracks[visible]).all():
            raise MediaError(f"'{self.name}' has a visible position that is not a number.")
        for name, array in (("tracks", tracks), ("visible", visible)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def of(self, clip: Clip) -> PointTracks:
        """Those of the clip's sampled frames, (N, len(clip.frames), 2).

        Raises:
            MediaError: tracks neither of all the source's frames nor of the sampled ones.
        """
        length = self.tracks.shape[1]
        if length == len(clip.frames):
            return self
        if length != clip.total:
            raise MediaError(
                f"The tracks of '{self.name}' have {length} frames, but the clip has {clip.total}, "
                f"of which {len(clip.frames)} are looked at; give as many as the one or the other."
            )
        kept = list(clip.indices)
        return PointTracks(self.name, self.tracks[:, kept], self.visible[:, kept])


def read_point_tracks(
    path: str | os.PathLike[str], *, size: tuple[float, float] = (SIDE, SIDE)
) -> PointTracks:
    """Point tracks from a file; nothing in it is run.

    An ``.npz`` file holds ``tracks``, (N, T, 2), and ``visible``, (N, T). A ``.csv`` file has the
    columns ``point,frame,x,y,visible``, frames counted from 0; a point without a line for a frame
    is not visible there; ``visible`` may be left out, and lines that begin with ``#`` do not
    count.

    Args:
        path: the file.
        size: width and height of the picture in whose pixels the positions are, as the clip's own;
            TAP-Vid's 256 × 256 if not given.

    Raises:
        MediaError: a file that is missing, too large or of another kind, or one without these
            arrays or columns.
    """
    home = Path(path)
    if not home.is_file():
        raise MediaError(f"'{path}' is not a file; give point tracks as .npz or .csv.")
    if home.stat().st_size > _MOST:
        raise MediaError(
            f"'{home.name}' has {home.stat().st_size / 2**20:,.0f} MiB, and point tracks may have "
            f"{_MOST >> 20}; give fewer points or frames."
        )
    kinds = {".npz": _from_npz, ".csv": _from_csv}
    if home.suffix.lower() not in kinds:
        raise MediaError(f"'{home.name}' holds no point tracks; give a file .npz or .csv.")
    if not (min(size) > 0 and np.isfinite(size).all()):
        raise MediaError(f"Positions in a picture of {size[0]}×{size[1]} pixels are not possible.")
    tracks, visible = kinds[home.suffix.lower()](home)
    if tracks.ndim == 3 and tracks.shape[-1] == 2 and tracks.dtype.kind in "fiu":
        tracks = tracks * (SIDE / np.asarray(size, np.float64))
    return PointTracks(home.name, tracks, visible)


def _from_npz(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    try:
        with zipfile.ZipFile(path) as archive:
            tracks = _array(archive, "tracks", path.name)
            visible = _array(archive, "visible", path.name)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        raise MediaError(f"'{path.name}' cannot be read as NPZ ({error}).") from None
    return tracks, visible


def _array(archive: zipfile.ZipFile, name: str, called: str) -> NDArray[Any]:
    """One array; its size is checked before any of it is held, and objects are not loaded."""
    if f"{name}.npy" not in archive.namelist():
        raise MediaError(f"'{called}' has no array '{name}'; give tracks and visible.")
    entry = archive.getinfo(f"{name}.npy")
    _check_size(entry.file_size, name, called)
    with archive.open(entry) as file:
        try:
            held = _declared(file)
        except (ValueError, *_BROKEN) as error:
            raise _not_an_array(name, called, error) from None
    _check_size(held, name, called)
    with archive.open(entry) as file:
        try:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, *_BROKEN) as error:
            raise _not_an_array(name, called, error) from None
    return array


def _check_size(held: int, name: str, called: str) -> None:
    if held > _MOST:
        raise MediaError(
            f"'{name}' of '{called}' would take more than {_MOST >> 20} MiB; give fewer points "
            "or frames."
        )


def _not_an_array(name: str, called: str, error: Exception) -> MediaError:
    why = "its header cannot be read" if isinstance(error, _BROKEN) else error
    return MediaError(f"'{name}' of '{called}' is not an array ({why}).")


def _declared(file: IO[bytes]) -> int:
    """Bytes of the array that an NPY header announces, once it is held as float64."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, kind = np.lib.format.read_array_header_2_0(file)
    size = max(kind.itemsize, 8)
    for side in shape:
        size *= side
    return int(size)


def _from_csv(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    try:
        text = path.read_text("utf-8-sig")
    except (UnicodeDecodeError, OSError):
        raise MediaError(f"'{path.name}' cannot be read as text in UTF-8.") from None
    try:
        found = _positions(text, path.name)
    except csv.Error as error:
        raise MediaError(f"'{path.name}' cannot be read as CSV ({error}).") from None
    if not found:
        raise MediaError(f"'{path.name}' has no positions; give lines of {','.join(_COLUMNS)}.")
    points = {number: i for i, number in enumerate(sorted({each[0] for each in found}))}
    frames = max(each[1] for each in found) + 1
    if len(points) * frames > _MOST_POSITIONS:
        raise MediaError(
            f"'{path.name}' has {len(points)} points in {frames} frames, and at most "
            f"{_MOST_POSITIONS:,} positions are read; give fewer."
        )
    tracks = np.full((len(points), frames, 2), np.nan)
    visible = np.zeros((len(points), frames), np.bool_)
    for number, frame, x, y, seen in found:
        place = points[number], frame
        if not np.isnan(tracks[place]).all():
            raise MediaError(f"'{path.name}' has point {number} twice in frame {frame}.")
        tracks[place], visible[place] = (x, y), seen
    return tracks, visible


def _positions(text: str, called: str) -> list[_Position]:
    lines = csv.reader(io.StringIO(text))
    header: list[str] | None = None
    found: list[_Position] = []
    for line in lines:
        if not line or line[0].lstrip().startswith("#"):
            continue
        if header is None:
            header = _header(line, called)
            continue
        found.append(_position(dict(zip(header, line, strict=False)), called, lines.line_num))
        if len(found) > _MOST_POSITIONS:
            raise MediaError(
                f"'{called}' has more than {_MOST_POSITIONS:,} positions, the most that are read; "
                "give fewer."
            )
    return found


def _header(line: Sequence[str], called: str) -> list[str]:
    names = [each.strip().lower() for each in line]
    missing = [each for each in _COLUMNS[:-1] if each not in names]
    if missing:
        raise MediaError(
            f"'{called}' has no column {', '.join(missing)}; give {','.join(_COLUMNS)}."
        )
    return names


def _position(
    line: dict[str, str], called: str, number: int
) -> tuple[int, int, float, float, bool]:
    said = line.get("visible", "1").strip().lower()
    try:
        point, frame = int(line["point"]), int(line["frame"])
        x, y = float(line["x"]), float(line["y"])
    except (KeyError, ValueError):
        raise MediaError(
            f"Line {number} of '{called}' is not a position; give {','.join(_COLUMNS)}, as "
            "0,12,101.5,80.0,1."
        ) from None
    if frame < 0 or said not in (*_YES, *_NO):
        raise MediaError(
            f"Line {number} of '{called}' has frame {frame} and visible '{said}'; give a frame "
            "from 0 on, and 1 or 0."
        )
    return point, frame, x, y, said in _YES
