"""A file from the web: resumed where it broke off, refused where it is a web page."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from itertools import count, islice
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from nlviz.errors import FetchError
from nlviz.models.published.file_lock import if_free

ByteProgress = Callable[[int, int | None], None]

_CHUNK = 1 << 20
_MOST = 16  # downloads of one file at a time
_FULL = (errno.ENOSPC, errno.EDQUOT)


def download(url: str, target: Path, *, progress: ByteProgress, timeout: float = 30.0) -> None:
    """Download a file; resume what an earlier try left in ``target``.part.

    A part belongs to who writes it: another process that downloads the same meanwhile has a part
    of its own, and nobody waits for anybody.

    Args:
        url: where it is.
        target: where it goes; it appears only when it is complete.
        progress: called with the bytes received so far, and the total if that is known; what it
            raises stops the download, which can be resumed.
        timeout: seconds without an answer.

    Raises:
        FetchError: no network, no such file, a web page in its place, a full disk, or a connection
            that broke.
    """
    with _Part.of(target) as part:
        try:
            _received(url, part, progress, timeout)
            part.path.replace(target)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise _full(target, part.size) from error
            reason = error.reason if isinstance(error, URLError) else error
            raise FetchError(
                f"{url} cannot be reached or broke off ({reason}); run it again to resume, or get "
                "the file another way and give it with --from FILE."
            ) from error
        part.tag.unlink(missing_ok=True)
    _remove_left_parts(target)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What is there of a file; ``tag`` holds the version that it is of, ``file`` is ours alone."""

    path: Path
    tag: Path
    file: IO[bytes]

    @classmethod
    @contextmanager
    def of(cls, target: Path) -> Iterator[_Part]:
        """One that nobody else writes; without a byte it is removed again."""
        for path in (*_left(target), *islice(_names(target), _MOST)):
            if (file := if_free(path)) is not None:
                break
        else:
            raise FetchError(f"{target.name} is downloaded {_MOST} times already; wait for these.")
        with file:
            part = cls(path, path.with_suffix(".tag"), file)
            try:
                yield part
            finally:
                if not part.size:
                    path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self.file.fileno()).st_size

    def begin(self, version: str) -> None:
        """Forget what is there, for another version or one that does not say."""
        self.file.truncate(0)
        self.tag.unlink(missing_ok=True)
        if version and not version.startswith("W/"):
            self.tag.write_text(version, encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """All of it, at the end."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[self.file.write(rest) :]


def _names(target: Path) -> Iterator[Path]:
    """Where parts of a file lie; there is no last one."""
    yield target.with_name(f"{target.name}.part")
    yield from (target.with_name(f"{target.name}.{number}.part") for number in count(2))


def _left(target: Path) -> list[Path]:
    """Parts that are there, the largest first: nobody may write them any more."""
    name = glob.escape(target.name)
    found = (*target.parent.glob(f"{name}.part"), *target.parent.glob(f"{name}.[0-9]*.part"))
    sizes: dict[Path, int] = {}
    for path in found:
        with suppress(FileNotFoundError):  # its download has just ended
            sizes[path] = path.stat().st_size
    return sorted(sizes, key=sizes.__getitem__, reverse=True)


def _remove_left_parts(target: Path) -> None:
    """What others left of a file that is here now, and nobody writes any more."""
    for path in _left(target):
        with suppress(OSError):
            if (file := if_free(path)) is not None:
                with file:
                    path.unlink()
                    path.with_suffix(".tag").unlink(missing_ok=True)


def _received(url: str, part: _Part, progress: ByteProgress, timeout: float) -> None:
    start = part.size if part.tag.exists() else 0
    headers = {"User-Agent": "nlviz"}
    if start:
        headers |= {
            "Range": f"bytes={start}-",
            "If-Range": part.tag.read_text(encoding="utf-8"),
        }
    try:
        with _opened(Request(url, headers=headers), timeout) as answer:
            if answer.status != 206 or not _goes_on(answer, start):
                start = 0
            _keep(answer, part, start, progress)
    except HTTPError as error:
        if error.code == 416 and start:  # the part is at least as long as the file
            part.begin("")
            return _received(url, part, progress, timeout)
        raise FetchError(
            f"{url} answers {error.code} ({error.reason}); get the file another way and give it "
            "with --from FILE."
        ) from error


def _opened(request: Request, timeout: float) -> HTTPResponse:
    answer: HTTPResponse = urlopen(request, timeout=timeout)
    return answer


def _goes_on(answer: HTTPResponse, start: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _keep(answer: HTTPResponse, part: _Part, start: int, progress: ByteProgress) -> None:
    if answer.headers.get_content_type() == "text/html":
        raise FetchError(
            f"{answer.url} answers with a web page instead of the file; open it in a browser, and "
            "give the file with --from FILE."
        )
    length = answer.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    # The converted weights come beside the file, so there must be room for it twice.
    if total is not None and shutil.disk_usage(part.path.parent).free < 2 * total - start:
        raise _full(part.path, 2 * total - start)
    if not start:
        part.begin(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
    done = told = start
    progress(done, total)
    while chunk := answer.read1(_CHUNK):  # what has come: it is there for the next try
        part.write(chunk)
        done += len(chunk)
        if done - told >= _CHUNK or done == total:
            told = done
            progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"{done:,} of {total:,} bytes received")


def _full(path: Path, needed: int) -> FetchError:
    return FetchError(
        f"The disk of {path.parent} is full: {needed / 1e6:,.0f} MB more are needed; free some "
        "space, or set NLVIZ_CACHE to a folder elsewhere."
    )
