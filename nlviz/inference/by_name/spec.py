"""Spec: a network of a library by its name, such as ``timm:vit_tiny_patch16_224``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from nlviz.errors import NetworkError

LIBRARIES = {
    "timm": "timm:NAME or timm:FOLDER",
    "hf": "hf:ORG/NAME or hf:FOLDER",
    "torchhub": "torchhub:OWNER/REPO:ENTRY or torchhub:FOLDER:ENTRY",
}
"""What a spec may start with → how it goes on."""

_ALMOST = {
    "huggingface": "hf",
    "hugging_face": "hf",
    "hf-hub": "hf",
    "hub": "hf",
    "torch": "torchhub",
}


@dataclass(frozen=True, slots=True)
class Spec:
    """A network by name.

    Args:
        library: one of ``LIBRARIES``.
        name: what that library calls it, or a folder; for torch.hub the repository.
        entry: of a torch.hub repository; empty for others.
        revision: of a repository on the Hugging Face hub; None for the main one.
    """

    library: str
    name: str
    entry: str = ""
    revision: str | None = None

    @classmethod
    def of(cls, text: str) -> Spec:
        """What was typed; NetworkError for what is no spec."""
        library, _, name = text.partition(":")
        entry, revision = "", None
        if library == "torchhub":
            name, _, entry = name.rpartition(":")
        elif library == "hf" and not Path(name).expanduser().is_dir():
            name, _, after = name.partition("@")
            revision = after or None
        if library not in LIBRARIES or not name or (library == "torchhub" and not entry):
            how = LIBRARIES.get(library, "; ".join(LIBRARIES.values()))
            raise NetworkError(f"'{text}' names no network; write {how}.")
        return cls(library, name, entry, revision)

    @property
    def folder(self) -> Path | None:
        """The folder of this machine that the name is, or None."""
        path = Path(self.name).expanduser()
        # An organisation and a name have one slash; a folder that is there goes before them.
        return path.resolve() if path.is_dir() else None

    @property
    def is_path(self) -> bool:
        """Whether the name can only be a folder, there or not."""
        return (
            self.name.startswith((".", "/", "~")) or self.name.count("/") > 1 or "\\" in self.name
        )

    @property
    def called(self) -> str:
        """What to call the network: the spec, a folder by its last name alone."""
        folder = self.folder
        name = self.name if folder is None else folder.name
        ending = f":{self.entry}" if self.entry else f"@{self.revision}" if self.revision else ""
        return f"{self.library}:{name}{ending}"


def is_by_name(text: str) -> bool:
    """Whether a model's name is a library's: it starts with timm:, hf: or torchhub:."""
    return text.partition(":")[0] in LIBRARIES and ":" in text


def nearest_spec(text: str, names: Iterable[str]) -> str | None:
    """A sentence for a name that nothing has and that is close to one; None where none is.

    Args:
        text: what was typed, which is no network.
        names: of the networks that need no library's name before them.
    """
    library, colon, rest = text.partition(":")
    if colon:
        meant = _ALMOST.get(library.lower()) or next(
            iter(get_close_matches(library.lower(), LIBRARIES, 1, 0.5)), None
        )
        return f"'{text}' names no network; " + (
            f"is '{meant}:{rest}' meant?"
            if meant
            else "a network by name is " + "; ".join(LIBRARIES.values()) + "."
        )
    near = get_close_matches(text, names, 3)
    if near:
        return f"Model '{text}' is unknown; is {or_listed(near)} meant?"
    if text.count("/") == 1 and not text.startswith((".", "/", "~")):
        return f"Model '{text}' is unknown; is 'hf:{text}' meant?"
    if text.count("_") > 1:
        return f"Model '{text}' is unknown; is 'timm:{text}' meant?"
    return None


def or_listed(names: list[str]) -> str:
    """``'a', 'b' or 'c'``."""
    *first, last = [f"'{name}'" for name in names]
    return f"{', '.join(first)} or {last}" if first else last
