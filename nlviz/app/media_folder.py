"""The folder whose files visitors open, ``--media FOLDER``, and nothing beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from nlviz.app import startup
from nlviz.app.endings import UPLOADS
from nlviz.errors import MediaError

PREFIX = "media:"
"""Begins the name of such a file in an address."""

MOST_LISTED = 1000
"""Names that the menu lists; others are typed."""

_MOST_SEEN = 20_000  # entries of the folder that are looked at for the menu
_LONGEST = 500  # signs of a name
_ENDINGS = tuple(f".{ending}" for ending in UPLOADS)


def names() -> tuple[tuple[str, ...], bool]:
    """Names of files for the menu, with their folders, and whether there are more than these."""
    root = startup.media()
    if root is None:
        return (), False
    seen = 0
    found: list[str] = []
    for name in islice(_walk(root, ""), _MOST_SEEN):
        seen += 1
        if name.lower().endswith(_ENDINGS):
            found.append(name)
        if len(found) > MOST_LISTED:
            break
    more = len(found) > MOST_LISTED or seen == _MOST_SEEN
    return tuple(sorted(found[:MOST_LISTED])), more


def _walk(root: Path, inside: str) -> Iterator[str]:
    """Each entry below a folder, by its name from ``root`` on; no link to a folder is followed."""
    try:
        entries = os.scandir(root / inside)
    except OSError:
        return
    folders: list[str] = []
    with entries:
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{name}/")
            yield name
    for folder in folders:
        yield from _walk(root, folder)


def state(name: str) -> str:
    """What changes with the file's content; MediaError where the folder has no such file.

    Where it really lies decides: a link that leads out of the folder opens nothing.
    """
    _, status = _inside(name)
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def open_file(name: str) -> IO[bytes]:
    """The file itself, to be closed by whoever asked; MediaError as for ``state``."""
    path, _ = _inside(name)
    try:
        return path.open("rb")
    except OSError as error:
        raise MediaError(f"'{name:.60}' cannot be opened ({error.strerror}).") from None


def _inside(name: str) -> tuple[Path, os.stat_result]:
    root = startup.media()
    if root is None:
        raise MediaError(
            f"'{name:.60}' is a file of a server's folder, and this server was started without "
            "one (--media FOLDER)."
        )
    not_there = MediaError(f"This server's folder has no clip, picture or session '{name:.60}'.")
    if len(name) > _LONGEST or "\0" in name or not name.lower().endswith(_ENDINGS):
        raise not_there
    try:
        home = root.resolve(strict=True)
        path = (home / name).resolve(strict=True)
        status = path.stat()
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a ring
        raise not_there from None
    if not path.is_relative_to(home) or not stat.S_ISREG(status.st_mode):
        raise not_there
    return path, status
