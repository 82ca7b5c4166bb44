"""What a visitor chooses: a sample or an upload, a part of it, and a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from nlviz.app import media_folder, startup, store
from nlviz.app.endings import SESSION
from nlviz.app.held import Held
from nlviz.display import one_line
from nlviz.geometry import Point
from nlviz.media import samples

if TYPE_CHECKING:
    from nlviz.export import Session


LONGEST_LAYER = 200
"""Signs of a layer's path, at most."""


@dataclass(frozen=True, slots=True)
class Material:
    """A file to analyse.

    Args:
        id: tells materials apart; two uploads of the same bytes are one.
        title: what to call it.
        path: as the command line names it: ``sample:FILE``; the file name of an upload; where a
            file of the server lies in its folder.
        about: what it shows and, where it is not nlviz's own, whose it is; or "".
        at: a good place for the first pin, or None.
        held: the file of an upload, which stays for as long as this does.
        digest: of the content of an upload; empty for others.
        content: a longer one, that nobody can find another file for; the id of a sample.
        session: what an upload holds that is a session file, of which nothing else is held.
        served: the name of a file of the server's folder; empty for others.
    """

    id: str
    title: str
    path: str
    about: str = ""
    at: Point | None = None
    held: Held | None = field(default=None, compare=False, repr=False)
    digest: str = ""
    content: str = ""
    session: Session | None = field(default=None, compare=False, repr=False)
    served: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        name = self.path.rpartition("/")[2]
        return name.removeprefix(samples.PREFIX) if self.is_sample else name

    @property
    def is_sample(self) -> bool:
        """Whether it comes with nlviz or another package."""
        return self.is_public and not self.served

    @property
    def is_public(self) -> bool:
        """Whether all may know of it: it is no visitor's own."""
        return not self.digest

    @contextmanager
    def open(self) -> Iterator[str | IO[bytes]]:
        """What ``nlviz.read`` takes; MediaError where a file of the server is gone."""
        if self.served:
            with media_folder.open_file(self.served) as file:
                yield file
        elif self.held is not None:
            with self.held.open() as file:
                yield file
        else:
            yield self.path


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
        held: its content.
        file_id: what Streamlit calls it.
    """

    model: str
    file: str
    held: Held = field(repr=False)
    file_id: str = ""


LONGEST_TEXT = 300
"""Signs of a question to a vision-language model, and of an answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a vision-language model is asked about the clip.

    Args:
        question: as it was typed.
        answer: the text whose words are looked at.
    """

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that decides an analysis.

    Args:
        material: what is looked at.
        part: which frames of it.
        model: the network, as ``nlviz.load`` takes it.
        size: the longer side of its input, in pixels.
        weights: the visitor's own for that network; None for the usual ones.
        asked: of a vision-language model; None for any other.
        layer: the path of a layer whose similarity is one more block; empty for none.
    """

    material: Material
    part: ClipPart
    model: str
    size: int
    weights: OwnWeights | None = None
    asked: Asked | None = None
    layer: str = ""

    @property
    def is_public(self) -> bool:
        """Whether nothing in it is a visitor's own, not even a name."""
        return self.material.is_public and self.weights is None

    @property
    def runs_again(self) -> bool:
        """Whether a network can be run on it for more: not on a session, nor on words."""
        return self.material.session is None and self.asked is None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layer as ``nlviz.analyse`` takes it."""
        return (self.layer,) if self.layer else ()

    @property
    def network(self) -> str:
        """What to call the network; weights of a visitor are named with it."""
        return self.model if self.weights is None else self.weights.of(self.model)


def bundled() -> tuple[Material, ...]:
    """The clips and images that come with the project, in the order of their index."""
    return tuple(map(_material, samples.bundled()))


def offered() -> tuple[Material, ...]:
    """All of the gallery: the bundled ones, then those that installed packages bring."""
    return bundled() if startup.is_demo() else tuple(map(_material, samples.samples()))


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


def uploaded(name: str, file: Held) -> Material:
    """A file that a visitor gave. ExportError for a bad session file."""
    session: Session | None = None
    if name.lower().endswith(f".{SESSION}"):
        from nlviz.export import open_session  # brings torch: the first page need not wait for it

        session = open_session(str(file.path), repr(name))
    return Material(
        id=f"upload-{file.digest}-{name}",
        title=name,
        path=f"./{name}" if name.startswith(samples.PREFIX) else name,
        held=None if session is not None else file,
        digest=file.digest,
        content=file.content,
        session=session,
    )


def served(name: str) -> Material:
    """A file of the server's folder; MediaError where there is none of that name in it.

    ExportError for a bad session file.
    """
    content = f"media-{name}-{media_folder.state(name)}"
    return Material(
        id=f"media-{name}",
        title=one_line(name, 120),
        path=name,
        content=content,
        session=_served_session(name, content) if name.lower().endswith(f".{SESSION}") else None,
        served=name,
    )


def _served_session(name: str, content: str) -> Session:
    """What a session file of the folder holds: once for all who open it."""
    key = "session", content
    session: Session | None = store.shared().get(key)
    if session is None:
        from nlviz.export import open_session

        with media_folder.open_file(name) as file:
            session = open_session(file.name, repr(name))
        store.shared().put(key, session)
    return session
