"""A repository of the Hugging Face hub as a folder of this machine: kept already, or brought."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nlviz.errors import NetworkError
from nlviz.inference.by_name import extras
from nlviz.inference.by_name.kept import (
    hub_cache,
    kept_repositories,
    snapshot_of,
    weight_files,
)
from nlviz.inference.by_name.spec import or_listed
from nlviz.models.checkpoints import checksum
from nlviz.progress import Progress

_RECORDS = ("*.json",)
_OF_WORDS = ("*.txt", "*.model", "*.jinja")  # of tokenizers, and the form of a question
_SAFE, _PICKLED = ("*.safetensors", "*.safetensors.index.json"), ("*.bin", "*.bin.index.json")
_HASH = re.compile(r"[0-9a-f]{64}")  # what the cache calls a large file, by its content


def snapshot(
    repository: str,
    *,
    revision: str | None = None,
    download: bool = True,
    weights: bool = True,
    code: bool = False,
    words: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The folder of a repository in Hugging Face's own cache.

    What is there already is not asked for again unless it is incomplete.

    Args:
        repository: ``ORG/NAME``.
        revision: a branch, tag or commit; None for the main one.
        download: bring what is not there; else it is refused.
        weights: whether its weights are needed: safetensors, else PyTorch's.
        code: whether its Python files are needed.
        words: whether what makes tokens of text is needed.
        progress: told of each file.

    Raises:
        NetworkError: no such repository, one that is gated, no network, no space.
    """
    hub = extras.huggingface_hub()
    kept = snapshot_of(repository, revision)
    if kept is not None and _is_whole(kept, weights=weights):
        return kept
    if not download:
        raise NetworkError(
            f"'hf:{repository}' is not on this machine, and nothing is downloaded here; whoever "
            f"runs this can bring it with: hf download {repository}"
        )
    with _explaining(repository):
        files = hub.HfApi().list_repo_files(repository, revision=revision)
        wanted = [*_RECORDS, *(["*.py"] if code else []), *(_OF_WORDS if words else [])]
        if weights:
            safe = any(name.endswith(".safetensors") for name in files)
            wanted += _SAFE if safe else _PICKLED
        bar = None if progress is None else _bar(hub, progress, repository)
        return Path(
            hub.snapshot_download(
                repository,
                revision=revision,
                cache_dir=hub_cache(),
                allow_patterns=wanted,
                **({} if bar is None else {"tqdm_class": bar}),
            )
        )


def checksum_of(files: Iterable[Path]) -> str:
    """``"sha256:…"`` of a file of weights; of several, that of their names and checksums."""
    import hashlib

    found = [(path.name, _checksum(path)) for path in files]
    if len(found) == 1:
        return found[0][1]
    whole = "".join(f"{digest.removeprefix('sha256:')}  {name}\n" for name, digest in found)
    return "sha256:" + hashlib.sha256(whole.encode()).hexdigest()


def _checksum(path: Path) -> str:
    blob = path.resolve().name
    return f"sha256:{blob}" if path.is_symlink() and _HASH.fullmatch(blob) else checksum(path)


def _is_whole(folder: Path, *, weights: bool) -> bool:
    return (folder / "config.json").is_file() and (not weights or bool(weight_files(folder)))


_CLIENT = re.compile(r"(httpx|httpcore|requests|urllib3)\d*(\.|$)")
"""Whose errors the hub's client lets through: today's is httpx2, tomorrow's may be httpx3."""


@contextmanager
def _explaining(repository: str) -> Iterator[None]:
    """Turns what the hub's client raises into one sentence."""
    hub = extras.huggingface_hub()
    errors = hub.errors
    where = f"https://huggingface.co/{repository}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise NetworkError(
            f"'hf:{repository}' is gated: ask for access at {where}, then log in here with "
            "`hf auth login` (or set HF_TOKEN) and load it again."
        ) from error
    except errors.RepositoryNotFoundError as error:
        near = get_close_matches(repository, kept_repositories(), 3, 0.6)
        meant = f" Is {or_listed([f'hf:{each}' for each in near])} meant?" if near else ""
        raise NetworkError(
            f"There is no model '{repository}' on the Hugging Face hub, or it is private; check "
            f"{where}, and log in with `hf auth login` if it is yours.{meant}"
        ) from error
    except errors.HFValidationError as error:
        raise NetworkError(
            f"'{repository}' is no name on the Hugging Face hub; give ORG/NAME, or a folder that "
            "exists."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NetworkError(
            f"'hf:{repository}' has no such revision; see the branches and tags at {where}."
        ) from error
    except (OSError, errors.HfHubHTTPError) as error:
        if error.errno == errno.ENOSPC:
            raise NetworkError(
                f"There is no space left for 'hf:{repository}' in {hub_cache()}; free some, or set "
                "HF_HOME to another place."
            ) from error
        raise unreachable(repository, error) from error
    except Exception as error:
        if not _CLIENT.match(type(error).__module__):
            raise
        raise unreachable(repository, error) from error


def unreachable(repository: str, error: BaseException) -> NetworkError:
    """What to say where the hub does not answer."""
    near = get_close_matches(repository, kept_repositories(), 3, 0.6)
    kept = f" On this machine is {or_listed([f'hf:{each}' for each in near])}." if near else ""
    return NetworkError(
        f"'hf:{repository}' is not on this machine, and the Hugging Face hub cannot be reached "
        f"({type(error).__name__}); try again with a network, or give a folder that holds the "
        f"model: hf:FOLDER.{kept}"
    )


def _bar(hub: Any, progress: Progress, repository: str) -> type:
    """A bar as the hub's client wants one, which tells ``progress``."""

    class Bar(hub.utils.tqdm):  # type: ignore[misc]
        """Says how much of how much is here."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **{**named, "disable": False, "file": _Nowhere()})

        def update(self, n: float | None = 1) -> bool | None:
            """As tqdm has it."""
            told: bool | None = super().update(n)
            if self.unit == "B" and self.total:
                progress(
                    min(self.n / self.total, 1.0),
                    f"{repository}: {self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB",
                )
            return told

    return Bar


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, text: str) -> int:
        """Of all that is written."""
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""
