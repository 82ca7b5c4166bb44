"""A file from the web: resumed where it broke off, refused where it is a web page."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from nlviz.errors import FetchError

ByteProgress = Callable[[int, int | None], None]

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def download(url: str, target: Path, *, progress: ByteProgress, timeout: float = 30.0) -> None:
    """Download a file; resume what an earlier try left in ``target``.part.

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
    part = target.with_name(target.name + ".part")
    tag = target.with_name(target.name + ".tag")  # the version that the part is of
    start = part.stat().st_size if part.exists() and tag.exists() else 0
    headers = {"User-Agent": "nlviz"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": tag.read_text(encoding="utf-8")}
    try:
        with _opened(Request(url, headers=headers), timeout) as answer:
            if answer.status != 206 or not _goes_on(answer, start):
                start = 0
            _keep(answer, part, tag, start, progress)
    except HTTPError as error:
        if error.code == 416:  # the part is at least as long as the file
            part.unlink()
            return download(url, target, progress=progress, timeout=timeout)
        raise FetchError(
            f"{url} answers {error.code} ({error.reason}); get the file another way and give it "
            "with --from FILE."
        ) from error
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise _full(target, part.stat().st_size if part.exists() else 0) from error
        reason = error.reason if isinstance(error, URLError) else error
        raise FetchError(
            f"{url} cannot be reached or broke off ({reason}); run it again to resume, or get the "
            "file another way and give it with --from FILE."
        ) from error
    part.replace(target)
    tag.unlink(missing_ok=True)
    return None


def _opened(request: Request, timeout: float) -> HTTPResponse:
    answer: HTTPResponse = urlopen(request, timeout=timeout)
    return answer


def _goes_on(answer: HTTPResponse, start: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _keep(answer: HTTPResponse, part: Path, tag: Path, start: int, progress: ByteProgress) -> None:
    if answer.headers.get_content_type() == "text/html":
        raise FetchError(
            f"{answer.url} answers with a web page instead of the file; open it in a browser, and "
            "give the file with --from FILE."
        )
    length = answer.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    # The converted weights come beside the file, so there must be room for it twice.
    if total is not None and shutil.disk_usage(part.parent).free < 2 * total - start:
        raise _full(part, 2 * total - start)
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    tag.unlink(missing_ok=True)
    if version and not version.startswith("W/"):
        tag.write_text(version, encoding="utf-8")
    done = start
    with part.open("ab" if start else "wb") as file:
        progress(done, total)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"{done:,} of {total:,} bytes received")


def _full(path: Path, needed: int) -> FetchError:
    return FetchError(
        f"The disk of {path.parent} is full: {needed / 1e6:,.0f} MB more are needed; free some "
        "space, or set NLVIZ_CACHE to a folder elsewhere."
    )
