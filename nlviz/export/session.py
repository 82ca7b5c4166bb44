"""Session: an analysis and what was asked of it in one file, opened again without the network.

A ``.nlviz`` file is a zip of three parts, none of them compressed: ``session.json``, and as
safetensors ``frames.safetensors`` and ``blocks.safetensors``. Format 2 knows three things more, and
a file is of it only where it has one of them: a φ that equals θ is stored once; and a slim session,
which lies beside its clip, has no frames and its θ and φ at half precision.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import ExportError, NlvizError
from nlviz.export import session_contents
from nlviz.export.arrays import affinity_arrays
from nlviz.provenance import Provenance, checksum
from nlviz.query import Query

FORMAT = 3
"""The newest format of the files that this version writes; it opens all up to it."""

_TEXT, _FRAMES, _BLOCKS = PARTS = ("session.json", "frames.safetensors", "blocks.safetensors")
_SLIM_SINCE = 2  # the format that knows sessions without frames, and a φ that is θ
_MASKS_SINCE = 3  # the format that knows masks
_LONGEST_TEXT = 16 << 20
_LARGEST = 4 << 30
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same session gives the same bytes


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What a session file holds.

    Args:
        analysis: the analysis; its clip has no path.
        queries: what was asked, the pins.
        settings: of the view, as its host names them: plain JSON.
        provenance: how it was made.
        slim: whether it comes from a slim session, its θ and φ rounded to half precision.
    """

    analysis: Analysis
    provenance: Provenance
    queries: tuple[Query, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    slim: bool = False


def save(session: Session, *, slim: bool = False) -> bytes:
    """The content of a session file.

    Args:
        session: what is kept.
        slim: leave out the frames and round θ and φ to half precision (float16, a relative error of
            up to 0.0005): a third of the bytes, for a session that lies beside its clip, which is
            needed to open it.

    Raises:
        ExportError: half precision does not reach as far as θ or φ, 65,504, or a block's name that
            ``open_session`` would not take.
    """
    analysis = session.analysis
    for block in analysis.blocks:
        if not session_contents.is_name(block):
            raise ExportError(
                f"A session takes names of up to {session_contents.LONGEST_NAME} signs that all "
                f"show, and block {block[:60]!r} has another; analyse with other names."
            )
    arrays: dict[str, NDArray[Any]] = {}
    tied = False
    for block, affinity in analysis.affinities.items():
        arrays |= _halved(block, affinity_arrays(block, affinity), slim=slim)
        if session_contents.is_tied(affinity):
            tied = True
            del arrays[f"{block}/phi"]
        if block in analysis.sizes:
            arrays[f"{block}/sizes"] = analysis.sizes[block]
    masked = any(
        links.arrays.keys() != {"query", "key"}
        for affinity in analysis.affinities.values()
        for links in affinity.reach
    )
    text = {
        "format": _MASKS_SINCE if masked else _SLIM_SINCE if slim or tied else 1,
        "nlviz": session.provenance.version,
        **session_contents.told(analysis, session.queries),
        "settings": dict(session.settings),
        "provenance": asdict(session.provenance),
    }
    parts = {
        _TEXT: json.dumps(text, ensure_ascii=False, allow_nan=False, indent=1).encode(),
        _FRAMES: safetensors.save(
            {} if slim else {"frames": np.ascontiguousarray(analysis.clip.frames)}
        ),
        _BLOCKS: safetensors.save(arrays),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as file:
        for name in PARTS:
            file.writestr(zipfile.ZipInfo(name, _EPOCH), parts[name])
    return content.getvalue()


def _halved(
    block: str, arrays: Mapping[str, NDArray[Any]], *, slim: bool
) -> Mapping[str, NDArray[Any]]:
    """A block's arrays, those of float32 as float16 where the session is slim."""
    if not slim:
        return arrays
    far = max(float(np.abs(each).max()) for each in arrays.values() if each.dtype == np.float32)
    if far > float(np.finfo(np.float16).max):
        raise ExportError(
            f"θ or φ of block {block} reach {far:.3g}, beyond half precision; save the session "
            "with its frames, at full precision."
        )
    return {
        name: each.astype(np.float16) if each.dtype == np.float32 else each
        for name, each in arrays.items()
    }


def open_session(
    source: str | os.PathLike[str] | bytes, name: str | None = None, *, clip: Clip | None = None
) -> Session:
    """Open a session file: the same analysis again, and no network is needed.

    Args:
        source: a path, or the content.
        name: what messages call it.
        clip: whose frames a slim session was made of; others hold their frames and need none.

    Raises:
        ExportError: it cannot be read, is cut short, comes from another version, or is not what a
            session file is; a slim session without its clip, or with another one. Nothing in it is
            run or written anywhere.
    """
    called = name or ("The session file" if isinstance(source, bytes) else repr(str(source)))
    parts = _parts(source, called)
    try:
        return _session(parts, called, clip)
    except (SafetensorError, NlvizError, ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, ExportError):
            raise
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ExportError(
            f"{called} is damaged or was changed ({what}); save the session again."
        ) from error


def _session(parts: Mapping[str, bytes], called: str, given: Clip | None) -> Session:
    text = session_contents.whole_object(
        json.loads(parts[_TEXT], parse_constant=session_contents.no_number)
    )
    if text.get("format") not in range(1, FORMAT + 1):
        raise ExportError(
            f"{called} was written by nlviz {text.get('nlviz')!s:.20} in format "
            f"{text.get('format')!s:.20}, and this is nlviz for formats 1 to {FORMAT}; open it "
            "with the version that wrote it."
        )
    made = session_contents.provenance(text["provenance"])
    frames = safetensors.load(parts[_FRAMES])
    slim = not frames and text["format"] >= _SLIM_SINCE
    clip = _own_clip(given, made, called) if slim else None
    if clip is None:
        clip = session_contents.clip(session_contents.whole_object(text["clip"]), frames["frames"])
    seen = session_contents.analysis(text, clip, safetensors.load(parts[_BLOCKS]))
    analysis = replace(seen, weights=made.weights)
    queries = tuple(session_contents.query(each, analysis) for each in text["queries"])
    return Session(
        analysis=analysis,
        provenance=made,
        queries=queries,
        settings=session_contents.whole_object(text["settings"]),
        slim=slim,
    )


def _own_clip(given: Clip | None, made: Provenance, called: str) -> Clip:
    """The clip that a slim session was made of; ExportError where it is another or none."""
    if given is None:
        raise ExportError(
            f"{called} holds no frames, for it lies beside its clip {made.clip}; open it with "
            f"open_session(…, clip=nlviz.read('{made.clip}'))."
        )
    if checksum(given) != made.checksum:
        raise ExportError(
            f"{called} was made of other frames than those of {given.name}; give the frames "
            f"{', '.join(map(str, made.frames))} of {made.clip}."
        )
    return given


def _parts(source: str | os.PathLike[str] | bytes, called: str) -> dict[str, bytes]:
    """The three parts, checked before they are read."""
    try:
        with _bytes(source) as given, zipfile.ZipFile(given) as file:
            size = given.seek(0, os.SEEK_END)
            _check(file.infolist(), size, called)
            return {name: file.read(name) for name in PARTS}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ExportError(
            f"{called} is not a session file, or it is cut short or damaged; save or copy it again."
        ) from error
    except OSError as error:
        raise ExportError(
            f"{called} cannot be read ({error.strerror}); check the path and its permissions."
        ) from None


def _bytes(source: str | os.PathLike[str] | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


def _check(entries: Sequence[zipfile.ZipInfo], size: int, called: str) -> None:
    names = [entry.filename for entry in entries]
    for name in names:
        if name not in PARTS:
            raise ExportError(
                f"{called} holds {name!r:.60}, which does not belong in a session file; it was "
                "changed, so save the session again."
            )
    missing = [name for name in PARTS if name not in names]
    if missing or len(names) > len(PARTS):
        wrong = f"lacks {missing[0]}" if missing else "holds a part twice"
        raise ExportError(f"{called} {wrong}; save the session again.")
    for entry in entries:
        # Parts as long as what lies in the file: nothing can unfold to more.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ExportError(
                f"{called} has a compressed part, {entry.filename}, which session files never "
                "have; save the session again."
            )
        most = _LONGEST_TEXT if entry.filename == _TEXT else _LARGEST
        if entry.file_size > min(most, size):
            raise ExportError(
                f"{called} says that {entry.filename} has {entry.file_size} bytes, more than is "
                "opened; save the session again, with fewer frames or a smaller input size."
            )
