"""A process's own folder for temporary files: it goes with the process, however that ends.

The folder lies under a lock that ends with its process. Whoever makes one next removes the folders
of processes that were killed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: nothing tells whether the owner of a folder still runs
    fcntl = None

_NAME = "nlviz-own-"
_LOCK = "lock"


@cache
def own_folder() -> Path:
    """This process's folder, which only its user can read; those of the dead go before."""
    remove_those_of_the_dead()
    folder = Path(tempfile.mkdtemp(prefix=_NAME))
    atexit.register(_remove, folder, _locked(folder))
    return folder


def _remove(folder: Path, lock: IO[bytes] | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:  # open for as long as the process runs
        lock.close()


def new_folder(prefix: str) -> Path:
    """A new folder in it, for whoever removes it when it is no longer needed."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=own_folder()))


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
    """Remove the folders of processes of this user that were killed."""
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
