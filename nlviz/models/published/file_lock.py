"""Locks on files, which threads and processes hold against each other; a killed one lets go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: the last to write a file wins there, as ever
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone_with(file: Path) -> Iterator[None]:
    """Wait until nobody else is alone with a file that may not be there yet; OSError.

    The lock is a file beside it, which goes with who held it last.
    """
    lock = file.with_name(f".{file.name}.lock")
    while (held := _locked(lock, wait=True)) is None:
        pass
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        held.close()


def if_free(file: Path) -> IO[bytes] | None:
    """The file, open unbuffered at its end and ours until closed; None while somebody has it.

    It is made where there is none. OSError where it cannot be written.
    """
    return _locked(file, wait=False)


def _locked(file: Path, *, wait: bool) -> IO[bytes] | None:
    """None where somebody else has it, or it was removed or put elsewhere before it was ours."""
    opened = file.open("ab", buffering=0)
    try:
        if fcntl is not None:
            fcntl.flock(opened, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(opened.fileno()), file.stat()):
            return opened
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        opened.close()
        raise
    opened.close()
    return None
