"""What the libraries' own caches on this machine hold; nothing is imported, run or asked for."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from pathlib import Path

_OF_PICTURES = ("image_size", "crop_size", "patch_size", "vision_config", "architecture")
_MOST = 1 << 20  # bytes of a configuration


def hub_cache() -> Path:
    """The folder of Hugging Face's cache, by the variables that its client reads."""
    if said := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(said).expanduser()
    home = os.environ.get("HF_HOME") or _cache_home() / "huggingface"
    return Path(home).expanduser() / "hub"


def torch_cache() -> Path:
    """The folder of torch.hub's repositories, by the variables that torch reads."""
    return Path(os.environ.get("TORCH_HOME") or _cache_home() / "torch").expanduser() / "hub"


def snapshot_of(repository: str, revision: str | None = None) -> Path | None:
    """The folder that a repository of the Hugging Face hub is kept in; None where it is not.

    Args:
        repository: ``ORG/NAME``.
        revision: a branch, tag or commit; None for the main one.
    """
    at = hub_cache() / f"models--{repository.replace('/', '--')}"
    named = at / "refs" / (revision or "main")
    try:
        commit = named.read_text(encoding="utf-8").strip() if named.is_file() else revision
    except (OSError, ValueError):
        return None
    folder = at / "snapshots" / (commit or "main")
    return folder if commit and folder.is_dir() else None


def kept_repositories() -> tuple[str, ...]:
    """``ORG/NAME`` of the kept models of pictures or clips that have a record and weights."""
    folder = hub_cache()
    names = sorted(each.name for each in folder.glob("models--*")) if folder.is_dir() else []
    repositories = (name.removeprefix("models--").replace("--", "/", 1) for name in names)
    return tuple(
        name
        for name in repositories
        if (kept := snapshot_of(name)) is not None and weight_files(kept) and _of_pictures(kept)
    )


def weight_files(folder: Path) -> list[Path]:
    """The files of weights that a folder's model is loaded from: safetensors before PyTorch's."""
    for stem, ending in (("model", "safetensors"), ("pytorch_model", "bin")):
        if (one := folder / f"{stem}.{ending}").is_file():
            return [one]
        if parts := sorted(folder.glob(f"{stem}-*-of-*.{ending}")):
            return parts
    return []


def torch_folder(repository: str) -> Path | None:
    """The folder that ``OWNER/REPO`` or ``OWNER/REPO:BRANCH`` is kept in; None where it is not."""
    name, _, branch = repository.partition(":")
    flat = name.replace("/", "_")
    for each in (branch,) if branch else ("main", "master"):
        folder = torch_cache() / f"{flat}_{each.replace('/', '_')}"
        if folder.is_dir():
            return folder
    return None


def entries_of(folder: Path) -> tuple[str, ...]:
    """The names that a repository's ``hubconf.py`` offers, read without running it."""
    try:
        tree = ast.parse((folder / "hubconf.py").read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return ()
    return tuple(name for name in _names(tree) if not name.startswith("_") and name.islower())


def _names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def _of_pictures(folder: Path) -> bool:
    try:
        with (folder / "config.json").open("rb") as file:
            said = json.loads(file.read(_MOST))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and any(name in said for name in _OF_PICTURES)


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
