"""What a visitor chooses: a bundled file or an upload, a part of it, and a network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from nlviz.geometry import Point
from nlviz.resources import CLIPS, HOME

if TYPE_CHECKING:
    from nlviz.export import Session


SESSION = "nlviz"
"""File ending of a session."""

UPLOADS = (
    SESSION,
    *("mp4", "mov", "m4v", "mkv", "webm", "avi", "mpg", "mpeg", "ogv"),
    *("gif", "webp", "apng", "png", "jpg", "jpeg", "avif", "bmp", "tif", "tiff", "jp2"),
)
"""File endings that the upload takes; what is inside is checked when it is read."""


@dataclass(frozen=True, slots=True)
class Material:
    """A file to analyse.

    Args:
        id: tells materials apart; two uploads of the same bytes are one.
        title: what to call it.
        path: where it lies, as the command line would name it; the file name of an upload.
        about: one sentence on what it shows, or "".
        at: a good place for the first pin, or None.
        data: the content of an upload; None for a bundled file.
        digest: of the content of an upload; empty for a bundled file.
        content: a longer one, that nobody can find another file for; the id of a bundled file.
        session: what an upload holds that is a session file; its ``data`` is then empty.
    """

    id: str
    title: str
    path: str
    about: str = ""
    at: Point | None = None
    data: bytes | None = field(default=None, compare=False, repr=False)
    digest: str = ""
    content: str = ""
    session: Session | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]

    @property
    def source(self) -> str | bytes:
        """What ``nlviz.read`` takes."""
        return str(HOME / self.path) if self.data is None else self.data


@dataclass(frozen=True, slots=True)
class ClipPart:
    """Which frames of a material: see ``nlviz.read``; ``stride`` None spreads them evenly."""

    start: int = 0
    frames: int = 8
    stride: int | None = None


@dataclass(frozen=True, slots=True)
class OwnWeights:
    """A checkpoint that a visitor gave: their own, and nobody else's.

    Args:
        file: its name.
        checksum: of its content, ``"sha256:…"``.
    """

    file: str
    checksum: str

    def of(self, model: str) -> str:
        """What to call the network ``model`` with these weights."""
        return f"{model} ({self.file})"


@dataclass(frozen=True, slots=True, eq=False)
class GivenWeights:
    """An uploaded checkpoint that is still to be read.

    Args:
        model: the network that it is for.
        file: its name.
        data: its content.
        file_id: what Streamlit calls it.
    """

    model: str
    file: str
    data: bytes = field(repr=False)
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that decides an analysis.

    Args:
        material: what is looked at.
        part: which frames of it.
        model: the network, as ``nlviz.load`` takes it.
        size: the longer side of its input, in pixels.
        weights: the visitor's own for that network; None for the usual ones.
    """

    material: Material
    part: ClipPart
    model: str
    size: int
    weights: OwnWeights | None = None

    @property
    def network(self) -> str:
        """What to call the network; weights of a visitor are named with it."""
        return self.model if self.weights is None else self.weights.of(self.model)


@lru_cache(maxsize=1)
def bundled() -> tuple[Material, ...]:
    """The clips and images that come with the project, in the order of their index."""
    index = json.loads((CLIPS / "index.json").read_text(encoding="utf-8"))
    return tuple(
        Material(
            id=f"bundled-{number}",
            content=f"bundled-{number}",
            title=entry["title"],
            path=(CLIPS / entry["file"]).relative_to(HOME).as_posix(),
            about=entry.get("description", ""),
            at=Point(*entry["at"]) if entry.get("at") else None,
        )
        for number, entry in enumerate(index)
    )


def uploaded(name: str, data: bytes) -> Material:
    """An uploaded file, which stays in memory. ExportError for a bad session file."""
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()
    content = hashlib.blake2b(data, digest_size=32).hexdigest()
    session = None
    if name.lower().endswith(f".{SESSION}"):
        from nlviz.export import open_session  # brings torch: the first page need not wait for it

        session, data = open_session(data, repr(name)), b""
    return Material(
        id=f"upload-{digest}-{name}",
        title=name,
        path=name,
        data=data,
        digest=digest,
        content=content,
        session=session,
    )
