"""What visitors gave lies on disk, once for all who gave the same, for as long as one has it.

A server has a folder of its own, under a lock that ends with its process. Whoever starts next
removes the folders of those that died.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO

from nlviz.errors import MediaError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: nothing tells whether the owner of a folder still runs
    fcntl = None

_NAME = "nlviz-app-"
_LOCK = "lock"


class Held:
    """A file on this server's disk, gone when nobody refers to it any more.

    ``digest`` tells it from others in an address, and ``content`` is one that nobody can find
    another file for; ``size`` in bytes.
    """

    __slots__ = ("__weakref__", "content", "digest", "path", "size")

    def __init__(self, path: Path, data: bytes, content: str) -> None:
        self.path, self.size, self.content = path, len(data), content
        self.digest = hashlib.blake2b(data, digest_size=8).hexdigest()
        weakref.finalize(self, _remove, path)

    def open(self) -> IO[bytes]:
        """The file, to be closed by whoever asked."""
        return self.path.open("rb")


class Disk:
    """All files of visitors, at most so many bytes; two of the same content are one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: weakref.WeakValueDictionary[str, Held] = weakref.WeakValueDictionary()
        self._number = itertools.count()

    @property
    def total(self) -> int:
        """Bytes of all that it holds."""
        return sum(file.size for file in list(self._files.values()))

    def hold(self, data: bytes, most: int) -> Held:
        """A file of that content; MediaError where all together would be more than ``most``."""
        content = hashlib.blake2b(data, digest_size=32).hexdigest()
        with self._lock:
            if (found := self._files.get(content)) is not None:
                return found
            held = self.total
            if held and held + len(data) > most:
                raise MediaError(
                    f"This server holds {held / 1e6:,.0f} MB of its visitors' files and takes no "
                    "more now; try again when somebody has left, or give a smaller file."
                )
            path = own_folder() / f"{content[:16]}-{next(self._number)}"
            try:
                path.write_bytes(data)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise MediaError(
                    f"This server could not write the file down ({error.strerror}); try again "
                    "when somebody has left, or tell whoever runs it."
                ) from None
            file = self._files[content] = Held(path, data, content)
            return file


DISK = Disk()
"""The server's."""


@cache
def own_folder() -> Path:
    """This process's folder, which only its user can read; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=_NAME))
    _locks.append(_locked(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_locks: list[IO[bytes] | None] = []  # open for as long as the process runs


def _locked(folder: Path) -> IO[bytes] | None:
    """The folder's lock, held before it can be seen under its name."""
    if fcntl is None:
        return None
    new = folder / f"{_LOCK}.new"
    lock = new.open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    new.rename(folder / _LOCK)
    return lock


def remove_those_of_the_dead() -> None:
    """Remove the folders of servers of this user that were killed."""
    if fcntl is None:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_NAME}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
                _remove_if_dead(folder)


def _remove_if_dead(folder: Path) -> None:
    with (folder / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[union-attr]
        shutil.rmtree(folder, ignore_errors=True)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
