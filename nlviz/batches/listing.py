"""The list of a batch: folders, lists, tables, globs and addresses become entries."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nlviz.batches.options import digest
from nlviz.batches.places import places_of
from nlviz.batches.stores import beside, ending_of, file_name, here, is_address, listed_at
from nlviz.errors import BatchError, MediaError
from nlviz.geometry import Point, Region
from nlviz.media.images import SUFFIXES as PICTURES
from nlviz.media.samples import PREFIX

VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv"),
    *(".3gp", ".ts", ".mts", ".m2ts"),
)
_TABLES = (".csv", ".tsv", ".parquet")
_LISTS = (".txt", ".list")
_POINT = ("frame", "x", "y")

Given = Any
"""A path, address, folder, list or table of clips; a sequence of them; or a table in memory."""


@dataclass(frozen=True)
class Entry:
    """One clip of a batch.

    Args:
        path: as ``nlviz.read`` takes it, or an address.
        number: 1 for the first time that the list has this path, 2 for the second, …
        places: the points and regions that the list asks of it.
        masks: its folder of masks, or its mask, or None.
        carried: the list's other columns, name by name.
        root: the folder that it was found in; None for one that was named.
    """

    path: str
    number: int = 1
    places: tuple[Point | Region, ...] = ()
    masks: str | None = None
    carried: tuple[tuple[str, Any], ...] = ()
    root: str | None = None

    @cached_property
    def id(self) -> str:
        """Twelve digits that stand for its place in the list, whatever the file holds."""
        plain = self.path if is_address(self.path) else Path(os.path.normpath(self.path)).as_posix()
        return digest(plain, self.number)[:12]

    @property
    def shown(self) -> str:
        """The path in signs that a table can hold, whatever the file system made of it."""
        return self.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def name(self) -> str:
        """What to call it: its file's name."""
        if is_address(self.path):
            return re.split(r"[\\:]", file_name(self.shown))[-1] or self.shown
        return re.split(r"[\\/:]", self.shown.rstrip("/\\"))[-1] or self.shown


def entries(given: Given, masks: str | None = None) -> list[Entry]:
    """The clips of a batch, in the order of the list; a folder's by name.

    A folder's own files are each a clip; a folder in it that holds pictures and no video is one
    clip of frames, and any other is looked through.

    Args:
        given: folders, files, ``sample:FILE``, globs, addresses of object stores, lists (``.txt``,
            a path a line) and tables (``.csv``, ``.parquet``), or several of them.
        masks: a folder with masks for each clip.

    Raises:
        BatchError: nothing that could be read, a table without a column ``path``, a cell that is
            no place.
    """
    if masks is not None and is_address(masks):
        raise BatchError(f"'{masks}' is an address; masks are read from a folder of this machine.")
    there = None if masks is None else Path(masks)
    if there is not None and not there.is_dir():
        raise BatchError(f"The folder of masks '{masks}' does not exist; check the path.")
    found = [entry for one in _several(given) for entry in _entries(one, there)]
    if not found:
        raise BatchError(f"There are no clips in {_named(given)}; give videos, pictures or a list.")
    seen: Counter[str] = Counter()
    numbered = []
    for entry in found:
        key = entry.id
        seen[key] += 1
        entry = replace(entry, number=seen[key])
        if entry.masks is None and there is not None:
            entry = replace(entry, masks=str(_mask_of(entry, there)))
        numbered.append(entry)
    return numbered


def _several(given: Given) -> Sequence[Any]:
    if isinstance(given, (str, os.PathLike)) or hasattr(given, "column_names"):
        return (given,)
    if hasattr(given, "to_records"):  # a pandas table, which pandas need not be loaded for
        import pyarrow as pa

        return (pa.Table.from_pandas(given, preserve_index=False),)
    return tuple(given)


def _named(given: Given) -> str:
    names = [str(one) for one in _several(given) if isinstance(one, (str, os.PathLike))]
    return ", ".join(f"'{name}'" for name in names[:3]) or "the list"


def _entries(one: Any, masks: Path | None) -> Iterable[Entry]:
    if hasattr(one, "column_names"):
        return _of_table(one, "the table", ".")
    path = os.fspath(one)
    if path.startswith(PREFIX):
        return [Entry(path)]
    if is_address(path):
        if ending_of(path) in (*_TABLES, *_LISTS) and "*" not in path:
            return _of_list(path)
        return [Entry(each) for each in listed_at(path, (*VIDEOS, *PICTURES))]
    if os.path.isdir(path):
        return _in_folder(Path(path), path, masks)
    if os.path.isfile(path):
        is_list = Path(path).suffix.lower() in (*_TABLES, *_LISTS)
        return _of_list(path) if is_list else [Entry(path)]
    if glob.has_magic(path):
        return _matching(path, masks)
    raise BatchError(f"'{path}' does not exist; give a folder, a list, a table or clips.")


def _matching(pattern: str, masks: Path | None) -> Iterator[Entry]:
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise BatchError(f"Nothing matches '{pattern}'; check the path.")
    for path in found:
        if not os.path.isdir(path):
            if Path(path).suffix.lower() in (*VIDEOS, *PICTURES):
                yield Entry(path)
        elif _is_frames(Path(path)):
            yield Entry(path)
        else:
            yield from _in_folder(Path(path), path, masks)


def _in_folder(folder: Path, root: str, masks: Path | None) -> Iterator[Entry]:
    for path in _sorted(folder):
        if path.is_dir():
            if masks is not None and path.resolve() == masks.resolve():
                continue
            if _is_batch(path):
                continue
            if _is_frames(path):
                yield Entry(str(path), root=root)
            else:
                yield from _in_folder(path, root, masks)
        elif path.suffix.lower() in (*VIDEOS, *PICTURES):
            yield Entry(str(path), root=root)


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise BatchError(
            f"The folder '{folder}' cannot be opened ({error.strerror}); check its permissions."
        ) from None


def _is_batch(folder: Path) -> bool:
    """Whether a folder holds the results of a batch, whose figures and films are no clips."""
    return (folder / "manifest.json").is_file() and (folder / "rows").is_dir()


def _is_frames(folder: Path) -> bool:
    """Whether a folder is a clip of frames: pictures, and no video."""
    endings = {path.suffix.lower() for path in _sorted(folder) if path.is_file()}
    return bool(endings & {*PICTURES}) and not endings & {*VIDEOS}


def _of_list(path: str) -> list[Entry]:
    """The entries of a list or a table, here or at an address."""
    try:
        with here(path) as file:
            if Path(file).suffix.lower() in _TABLES:
                return list(_of_table(_read_table(file, path), f"'{path}'", path))
            return _of_lines(Path(file), path)
    except MediaError as error:
        raise BatchError(str(error)) from None


def _of_lines(file: Path, named: str) -> list[Entry]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(f"'{named}' is not a list of paths ({error}); write one a line.") from None
    return [Entry(_found(line.strip(), named)) for line in lines if line.strip()]


def _found(path: str, home: str) -> str:
    """A path of a list: from the list's own folder, or where it is not there as it stands."""
    if is_address(path) or path.startswith(PREFIX) or os.path.isabs(path):
        return path
    if is_address(home):
        return beside(home, path)
    there = os.path.join(Path(home).parent, path)
    return path if os.path.exists(path) and not os.path.exists(there) else there


def _read_table(path: str, named: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if path.lower().endswith(".parquet"):
            return parquet.read_table(path)
        delimiter = "\t" if path.lower().endswith(".tsv") else ","
        return csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=delimiter))
    except (OSError, pa.ArrowException) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise BatchError(f"'{named}' is not a table that can be read ({why}).") from None


def _of_table(table: Any, named: str, home: str) -> Iterator[Entry]:
    names = list(table.column_names)
    if "path" not in names:
        raise BatchError(
            f"{named} has no column 'path' (it has {', '.join(names) or 'none'}); name the column "
            "of the clips' paths so."
        )
    for number, line in enumerate(table.to_pylist(), start=1):
        where = f"line {number} of {named}"
        if not line["path"]:
            raise BatchError(f"The path in {where} is empty; fill it in, or leave the line out.")
        masks = line.get("masks") or None
        yield Entry(
            _found(str(line["path"]), home),
            places=tuple(places_of(line, where)),
            masks=None if masks is None else _found(str(masks), home),
            carried=tuple((name, line[name]) for name in names if name in carried_of(names)),
        )


def carried_of(names: Sequence[str]) -> list[str]:
    """A table's columns that are carried through: all but the path, and a point's three."""
    point = _POINT if set(_POINT) <= set(names) else ()
    return [name for name in names if name not in ("path", *point)]


def _mask_of(entry: Entry, masks: Path) -> Path:
    stem = Path(entry.name).stem
    picture = masks / f"{stem}.png"
    return picture if picture.is_file() and not (masks / stem).is_dir() else masks / stem


def columns_of(found: Sequence[Entry]) -> Mapping[str, Any]:
    """Name → a value of each carried column, in the order in which the list has them."""
    values: dict[str, Any] = {}
    for entry in found:
        for name, value in entry.carried:
            if values.get(name) is None:
                values[name] = value
    return values
