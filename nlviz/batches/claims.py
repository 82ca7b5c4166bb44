"""Claims: which process does which clips, on one machine or on many that share a folder.

A claim is a hard link to a file of its owner's, which one process alone can make; where links
cannot be made, a file that one alone can create. The owner touches its file every few seconds. A
claim whose owner is gone is taken over by making the next one: ``ID.0``, then ``ID.1``, …
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlviz.errors import BatchError

_BEAT = 5.0  # seconds from one touch to the next
_QUIET = 60.0  # seconds without one after which the owner on another machine is gone
_OWNER = "owner-"


class Claims:
    """The claims of one process over a folder; to be closed.

    Args:
        folder: where they lie; it is made, and removed once nothing is left in it.
        clock: seconds, of this machine alone: no two machines' clocks are compared.

    Raises:
        BatchError: nothing can be written there.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._token = uuid.uuid4().hex
        self._own = folder / f"{_OWNER}{self._token}"
        self._mine: dict[str, Path] = {}
        self._beats: dict[str, tuple[int, float]] = {}
        self._content = json.dumps({"token": self._token, **_here()}).encode()
        try:
            folder.mkdir(exist_ok=True)
            self._own.write_bytes(self._content)
        except OSError as error:
            self._own.unlink(missing_ok=True)
            raise BatchError(
                f"'{folder.parent}' cannot be written ({error.strerror}); free some space, or "
                "choose another folder."
            ) from None
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def take(self, name: str) -> bool:
        """Whether a name is now this process's; False where a living one has it.

        Raises:
            BatchError: nothing can be written there.
        """
        if name in self._mine:
            return True
        there = self._generations(name)
        if there and self._lives(there[-1]):
            return False
        number = 1 + int(there[-1].suffix[1:]) if there else 0
        target = self._folder / f"{name}.{number}"
        if not self._made(target):
            return False
        self._mine[name] = target
        return True

    def release(self, name: str) -> None:
        """A name is done with: the claims of those who had it before go too."""
        self._mine.pop(name, None)
        for path in reversed(self._generations(name)):
            path.unlink(missing_ok=True)

    def sweep(self, names: Iterable[str]) -> None:
        """Remove what dead processes left of names that are done, and of themselves."""
        done = set(names)
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                owner = path.name.startswith(_OWNER)
                if path == self._own or (not owner and path.stem not in done):
                    continue
                if not owner or not self._lives(path):
                    path.unlink(missing_ok=True)

    @property
    def alone(self) -> bool:
        """Whether no other process works over the folder."""
        others = (path for path in self._folder.glob(f"{_OWNER}*") if path != self._own)
        return not any(self._lives(path) for path in others)

    def close(self) -> None:
        """Let go of everything."""
        self._ended.set()
        self._beating.join()
        for name in list(self._mine):
            self.release(name)
        self._own.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()  # only where it is empty

    def _made(self, target: Path) -> bool:
        try:
            os.link(self._own, target)
            return True
        except FileExistsError:
            return False
        except OSError:
            pass  # a file system without hard links
        try:
            with open(target, "xb") as file:
                file.write(self._content)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            target.unlink(missing_ok=True)
            raise BatchError(
                f"'{self._folder.parent}' cannot be written ({error.strerror}); free some space, "
                "and start again to go on."
            ) from None

    def _generations(self, name: str) -> list[Path]:
        found = [path for path in self._folder.glob(f"{name}.*") if path.suffix[1:].isdecimal()]
        return sorted(found, key=lambda path: int(path.suffix[1:]))

    def _lives(self, claim: Path) -> bool:
        """Whether who made a claim is still there."""
        try:
            owner: dict[str, Any] = json.loads(claim.read_bytes())
        except FileNotFoundError:
            return True  # it was let go just now; whoever comes next sees it gone
        except (OSError, ValueError):
            owner = {}  # half written
        if owner.get("machine") == _here()["machine"]:
            return _runs(owner)
        beat = self._folder / f"{_OWNER}{owner['token']}" if owner.get("token") else claim
        try:
            touched = beat.stat().st_mtime_ns
        except FileNotFoundError:
            return not owner.get("token")
        before, since = self._beats.get(beat.name, (None, 0.0))
        if touched != before:
            self._beats[beat.name] = (touched, self._clock())
            return True
        return self._clock() - since < _QUIET

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            with suppress(OSError):
                os.utime(self._own)


def _here() -> dict[str, Any]:
    """This process: the machine (a container counts as one), its number, and when it began."""
    return {"machine": _machine(), "pid": os.getpid(), "began": _began(os.getpid())}


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{platform.node()} {uuid.getnode()}"


def _began(pid: int) -> str | None:
    """When a process began, in the kernel's own clock; None where that is not told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def _runs(owner: dict[str, Any]) -> bool:
    """Whether a process of this machine still runs, and is not another of the same number."""
    if Path("/proc/self/stat").exists():
        began = _began(owner["pid"])
        return began is not None and began == owner["began"]
    if os.name == "nt":  # asking would end it
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
