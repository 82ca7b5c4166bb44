"""What visitors gave lies on disk, once for all who gave the same, for as long as one has it."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
import threading
import weakref
from collections.abc import Hashable
from pathlib import Path
from typing import IO

from nlviz.display import bytes_in_words
from nlviz.errors import MediaError
from nlviz.media.own_folder import new_folder, own_folder


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


class HeldFolder:
    """A folder on this server's disk, gone when nobody refers to it any more.

    ``size`` is what may come to lie in it, in bytes.
    """

    __slots__ = ("__weakref__", "path", "size")

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)


class Disk:
    """All files of visitors, at most so many bytes; two of the same content are one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: weakref.WeakValueDictionary[str, Held] = weakref.WeakValueDictionary()
        self._folders: weakref.WeakValueDictionary[Hashable, HeldFolder] = (
            weakref.WeakValueDictionary()
        )
        self._number = itertools.count()

    @property
    def total(self) -> int:
        """Bytes of all that it holds, folders as large as they may become."""
        return sum(file.size for file in list(self._files.values())) + self.in_folders

    @property
    def in_folders(self) -> int:
        """Of these, bytes that folders may come to hold."""
        return sum(folder.size for folder in list(self._folders.values()))

    def folder(self, key: Hashable, size: int, most: int) -> HeldFolder:
        """A folder for so many bytes, the same for all who give that key.

        MediaError where there is no room for it beside what is held.
        """
        with self._lock:
            if (found := self._folders.get(key)) is not None:
                return found
            if self.total + size > most:
                raise MediaError(
                    f"This needs {bytes_in_words(size)} of the server's disk, and visitors hold "
                    f"{bytes_in_words(self.total)} of the {bytes_in_words(most)} that they may; "
                    "take fewer frames (a larger 'Every n-th'), or try again when somebody has "
                    "left."
                )
            made = self._folders[key] = HeldFolder(new_folder("windows-"), size)
            return made

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


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
