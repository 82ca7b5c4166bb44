"""Source: what the user gave, as a name and a binary file that can be opened again and again."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nlviz.display import as_text
from nlviz.errors import MediaError
from nlviz.media import samples

Given = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""What ``read`` and ``probe`` take."""

KINDS = (
    "a video (MP4, MOV, MKV, WebM, AVI …), an image (PNG, JPEG, WebP, GIF …) or a folder of images"
)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A file on disk or in memory.

    Args:
        name: what messages call it.
        path: the path as given, or a sample's name; None for bytes and file objects.
        file: the open file where there is no path; it is never closed here.
        lies: where the file of a sample lies on this machine.
        origin: of a sample: who made it, and its licence.
    """

    name: str
    path: str | None
    file: IO[bytes] | None = None
    lies: str | None = None
    origin: str = ""

    @classmethod
    def of(cls, given: Given, name: str | None = None) -> Source:
        """The source behind a path, bytes or a binary file object.

        Raises:
            MediaError: it is missing, empty, not a file, not readable, or has no name.
        """
        if isinstance(given, (str, os.PathLike)):
            path = os.fspath(given)
            if path.startswith(samples.PREFIX):
                return cls._of_sample(path, name)
            _check_path(path)
            return cls(name or as_text(Path(path).name), path)
        found = name or getattr(given, "name", None)
        if not isinstance(found, str):
            raise MediaError("Bytes and files without a name need one; pass name='clip.mp4'.")
        file = _seekable(given, found)
        file.seek(0)
        if not file.read(1):
            raise _empty(found)
        return cls(Path(found).name, None, file)

    @classmethod
    def _of_sample(cls, path: str, name: str | None) -> Source:
        sample = samples.sample(path.removeprefix(samples.PREFIX))
        _check_path(str(sample.path))
        return cls(name or sample.file, path, lies=str(sample.path), origin=sample.origin)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is told with every clip of it."""
        return (self.origin,) if self.origin else ()

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content from its first byte on; a file opened here is closed here."""
        if self.file is not None:
            self.file.seek(0)
            yield self.file
            return
        with ExitStack() as stack:
            try:
                file = stack.enter_context(open(self.lies or str(self.path), "rb"))
            except OSError as error:
                raise _unreadable(self.name, error) from None
            yield file

    def head(self, size: int) -> bytes:
        """The first bytes, at most ``size``."""
        with self.open() as file:
            return file.read(size)


def _check_path(path: str) -> None:
    if "://" in path:
        raise MediaError(f"'{path}' is an address; download the file and give its path.")
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise MediaError(f"The file '{path}' does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"'{path}' is not a file; give {KINDS}.")
    if status.st_size == 0:
        raise _empty(Path(path).name)


def _seekable(given: Any, name: str) -> IO[bytes]:
    if isinstance(given, (bytes, bytearray, memoryview)):
        return io.BytesIO(given)
    if isinstance(given, io.TextIOBase) or not hasattr(given, "read"):
        raise MediaError(
            f"'{name}' is not open as bytes; open it with mode 'rb', or give its path."
        )
    file: IO[bytes] = given
    return file if file.seekable() else io.BytesIO(file.read())


def _empty(name: str) -> MediaError:
    return MediaError(f"'{name}' is empty (0 bytes); save or download it again.")


def _unreadable(name: str, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or error
    return MediaError(f"'{name}' cannot be opened ({reason}); check the path and its permissions.")
