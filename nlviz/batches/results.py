"""The folder of a batch: a part of the table for each clip, errors, files, and a manifest.

What reads it needs no torch. A part is written last of all that belongs to its clip, and by a
rename, so a clip whose part is there is done.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from nlviz.batches.listing import Entry
from nlviz.batches.options import differences
from nlviz.batches.reading import Failure
from nlviz.batches.stores import is_address
from nlviz.batches.table import ERRORS, as_parquet
from nlviz.errors import BatchError
from nlviz.writing import write

ROWS, FAILED, WORK = "rows", "failed", ".work"
MANIFEST, ALL_ERRORS = "manifest.json", "errors.parquet"
_FILES = ("arrays", "figures", "films")
_OWN = {ROWS, FAILED, WORK, MANIFEST, ALL_ERRORS, *_FILES}

# Of a manifest, what the folder's next run must share.
_COMPARED = ("nlviz", "networks", "ask", "options", "columns")


class Results:
    """The folder of a batch.

    Args:
        out: the folder, which ``begin`` has made.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Make the folder, or go on in one of the same networks and options.

        Raises:
            BatchError: a folder of something else, of other options, or that cannot be written.
        """
        self.check(manifest)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            for name in (ROWS, FAILED):
                (self.out / name).mkdir(exist_ok=True)
            self._write_first(json.dumps(manifest, indent=1).encode())
        except OSError as error:
            raise BatchError(
                f"'{self.out}' cannot be written ({error.strerror}); free some space, or choose "
                "another folder."
            ) from None
        self.check(manifest)  # another process may have been first

    def check(self, manifest: Mapping[str, Any]) -> None:
        """BatchError where ``begin`` could not go on here."""
        if not os.path.lexists(self.out):
            return
        if not self.out.is_dir():
            raise BatchError(f"'{self.out}' is not a folder; choose another name.")
        others = sorted({path.name for path in self.out.iterdir()} - _OWN)
        others = [name for name in others if not name.startswith(f".{MANIFEST}.")]
        if not (self.out / MANIFEST).exists():
            if others:
                raise BatchError(
                    f"'{self.out}' holds other files ({others[0]}); choose an empty folder or a "
                    "new one."
                )
            return
        differ = differences(_compared(self.manifest()), _compared(manifest))
        if differ:
            raise BatchError(
                f"'{self.out}' holds a batch of other options ({'; '.join(differ)}); give the "
                "same, or choose another folder."
            )

    def manifest(self) -> dict[str, Any]:
        """What the folder was made with; BatchError where that cannot be read."""
        path = self.out / MANIFEST
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            return found
        except (OSError, ValueError):
            raise BatchError(
                f"'{self.out}' is no folder of a batch: '{MANIFEST}' is missing or damaged; start "
                "again with another folder."
            ) from None

    def _write_first(self, content: bytes) -> None:
        """The manifest, in one step, by whoever comes first."""
        target = self.out / MANIFEST
        if target.exists():
            return
        part = self.out / f".{MANIFEST}.{os.getpid()}.part"
        part.write_bytes(content)
        try:
            os.link(part, target)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links, or another was first and tidied
            if not target.exists():
                os.replace(part, target)
            return
        part.unlink(missing_ok=True)

    def parts(self) -> set[str]:
        """Names of the parts, without their ending."""
        return {path.stem for path in (self.out / ROWS).glob("*.parquet")}

    def has(self, part: str) -> bool:
        """Whether a part is there and whole."""
        try:
            parquet.read_metadata(self._part(part))
        except (OSError, pa.ArrowException):
            return False
        return True

    def rows(self, part: str) -> pa.Table:
        """The table of one part."""
        return parquet.ParquetFile(self._part(part)).read()

    def keep(self, entry: Entry, part: str, rows: bytes, files: Mapping[str, bytes]) -> None:
        """Write a clip's files, then its part; what was there of it before goes.

        Raises:
            ExportError: a full disk, or a folder that is gone.
        """
        for name, content in files.items():
            target = self.out / name
            with suppress(OSError):
                target.parent.mkdir(exist_ok=True)
            write(target, content)
        write(self._part(part), rows)
        for other in (self.out / ROWS).glob(f"{entry.id}-*.parquet"):
            if other.stem != part:
                other.unlink(missing_ok=True)
        for folder in {name.partition("/")[0] for name in files}:
            for other in (self.out / folder).glob(f"*-{entry.id}-*"):
                if f"{folder}/{other.name}" not in files:
                    other.unlink(missing_ok=True)
        self.settle(entry)

    def settle(self, entry: Entry) -> None:
        """A clip is done: it has not failed, and killed processes have left nothing of it."""
        self._failure(entry.id).unlink(missing_ok=True)
        for path in (self.out / ROWS).glob(f".{glob.escape(entry.id)}-*.part"):
            path.unlink(missing_ok=True)

    def fail(self, entry: Entry, failure: Failure) -> None:
        """Write down why a clip could not be done; ExportError for a full disk."""
        told = {
            "id": entry.id,
            "path": entry.shown,
            "clip": entry.name,
            "stage": failure.stage,
            "error": failure.error,
            "why": failure.why,
            "traceback": failure.traceback,
        }
        write(self._failure(entry.id), json.dumps(told, indent=1).encode())

    def failures(self) -> dict[str, dict[str, str]]:
        """ID → what ``fail`` wrote."""
        found = {}
        for path in sorted((self.out / FAILED).glob("*.json")):
            with suppress(OSError, ValueError):  # settled just now by another process
                found[path.stem] = json.loads(path.read_bytes())
        return found

    def failed_at(self, entry: Entry) -> int | None:
        """When a clip failed, in a number that no later failure has; None where it has not."""
        try:
            return self._failure(entry.id).stat().st_mtime_ns
        except OSError:
            return None

    def gather_errors(self, listed: Collection[str]) -> None:
        """Write ``errors.parquet`` from all that has failed; ExportError for a full disk.

        What failed and is neither in the list, by the IDs of its entries, nor on the disk any more
        is forgotten.
        """
        for name, each in self.failures().items():
            path = each["path"]
            if name not in listed and not is_address(path) and not os.path.lexists(path):
                self._failure(name).unlink(missing_ok=True)
        told = sorted(self.failures().values(), key=lambda each: (each["path"], each["id"]))
        lines = [{name: each[name] for name in ERRORS.names} for each in told]
        write(self.out / ALL_ERRORS, as_parquet(pa.Table.from_pylist(lines, ERRORS)))

    def tidy(self) -> None:
        """Remove what killed processes have left half written, once all is done."""
        for path in (*self.out.glob(".*.part"), *self.out.glob("*/.*.part")):
            with suppress(OSError):
                path.unlink()

    def _part(self, part: str) -> Path:
        return self.out / ROWS / f"{part}.parquet"

    def _failure(self, name: str) -> Path:
        return self.out / FAILED / f"{name}.json"


def _compared(manifest: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: manifest.get(name) for name in _COMPARED}
    options = kept.pop("options") or {}
    return {**kept, **options}


def opened(out: str | os.PathLike[str]) -> Results:
    """The folder of a batch that is there; BatchError for anything else."""
    results = Results(Path(out))
    results.manifest()
    return results
