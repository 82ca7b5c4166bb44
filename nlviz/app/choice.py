"""What a visitor chooses: a sample or an upload, a part of it, and a network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nlviz.geometry import Point
from nlviz.media import samples

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
        path: as the command line names it: ``sample:FILE``; the file name of an upload.
        about: what it shows and, where it is not nlviz's own, whose it is; or "".
        at: a good place for the first pin, or None.
        data: the content of an upload; None for a sample.
        digest: of the content of an upload; empty for a sample.
        content: a longer one, that nobody can find another file for; the id of a sample.
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
        name = self.path.rpartition("/")[2]
        return name.removeprefix(samples.PREFIX) if self.data is None else name

    @property
    def is_public(self) -> bool:
        """Whether all may know of it: it is no visitor's own."""
        return self.data is None and self.session is None

    @property
    def source(self) -> str | bytes:
        """What ``nlviz.read`` takes."""
        return self.path if self.data is None else self.data


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
    def is_public(self) -> bool:
        """Whether nothing in it is a visitor's own, not even a name."""
        return self.material.is_public and self.weights is None

    @property
    def network(self) -> str:
        """What to call the network; weights of a visitor are named with it."""
        return self.model if self.weights is None else self.weights.of(self.model)


def bundled() -> tuple[Material, ...]:
    """The clips and images that come with the project, in the order of their index."""
    return tuple(map(_material, samples.bundled()))


def offered() -> tuple[Material, ...]:
    """All of the gallery: the bundled ones, then those that installed packages bring."""
    return tuple(map(_material, samples.samples()))


def sample(file: str) -> Material:
    """The sample of that name; MediaError, which says why, where it is not there."""
    return _material(samples.sample(file))


def _material(sample: samples.Sample) -> Material:
    return Material(
        id=f"sample-{sample.file}",
        content=f"sample-{sample.file}",
        title=sample.title,
        path=sample.name,
        about=" ".join(filter(None, (sample.about, sample.origin))),
        at=sample.at,
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
        path=f"./{name}" if name.startswith(samples.PREFIX) else name,
        data=data,
        digest=digest,
        content=content,
        session=session,
    )
