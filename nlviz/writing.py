"""Write files atomically, and never overwrite one unless asked."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nlviz.errors import ExportError

Target = str | os.PathLike[str]

_LEFT = 3600.0  # seconds without a change


def check(path: Target, endings: Sequence[str], *, force: bool = False) -> str:
    """The ending of a file that could be written, in lower case; to be asked before long work.

    Raises:
        ExportError: another ending, a folder that is missing or cannot be written, or a file that
            already exists, unless ``force``.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in endings:
        *others, last = endings
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise ExportError(f"Nothing can be written to '{target}'; end its name in {allowed}.")
    _check_folder(target)
    if not os.access(target.parent, os.W_OK):
        raise ExportError(f"The folder '{target.parent}' cannot be written; choose another.")
    if os.path.isdir(target):  # Path's own raises where a name is too long
        raise ExportError(f"'{target}' is a folder; give the name of a file.")
    if os.path.exists(target) and not force:
        raise ExportError(f"'{target}' already exists; use --force to overwrite it.")
    return ending


def write(path: Target, content: bytes) -> None:
    """Write a file in one step; what was there before stays until the new one is whole.

    Raises:
        ExportError: a missing folder, a full disk, or a file that cannot be written.
    """
    target = Path(path)
    _check_folder(target)
    # A whole file beside the target, then one step: never half of one.
    _remove_left_parts(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, target)
    except OSError as error:
        raise ExportError(
            f"'{target}' cannot be written ({error.strerror}); free some space, or write it "
            "elsewhere."
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()


def _remove_left_parts(target: Path) -> None:
    """What processes that were killed left half written; a living one writes for seconds."""
    for part in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _LEFT:
                part.unlink()


def _check_folder(target: Path) -> None:
    if not os.path.isdir(target.parent):
        raise ExportError(f"The folder '{target.parent}' does not exist; create it first.")
