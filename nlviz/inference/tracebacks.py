"""Tell the user's errors, and their line, from the machine's and from ours."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_OURS = str(Path(__file__).parents[1])
_OTHERS = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def sentence(error: BaseException, path: str | None) -> str:
    """The first line of an error's words, and `` (line 12 of net.py)`` where it came through it."""
    if isinstance(error, SyntaxError) and path and error.filename == path:
        return f"{error.msg} (line {error.lineno} of {Path(path).name})"
    text = str(error).strip() or type(error).__name__
    lines = [frame.lineno for frame in _frames(error) if frame.filename == path]
    where = f" (line {lines[-1]} of {Path(path).name})" if path and lines else ""
    return text.splitlines()[0].rstrip(".") + where


def user_traceback(error: BaseException, path: str) -> str:
    """From the first frame in a file to the last that is not Python's or an installed package's."""
    frames = _frames(error)
    first = next((i for i, f in enumerate(frames) if f.filename == path), len(frames))
    last = max((i for i, f in enumerate(frames) if not f.filename.startswith(_OTHERS)), default=0)
    return "".join(traceback.format_list(frames[first : last + 1])).rstrip()


def is_from_module(error: BaseException) -> bool:
    """Whether a module raised it in its forward pass, and not a hook of ours meanwhile."""
    within = [frame.name for frame in _frames(error) if frame.filename.startswith(_OURS)]
    return within[-1:] in (["_call"], ["__torch_function__"])


def is_out_of_memory(error: BaseException) -> bool:
    """Torch's CPU allocator says so only in the words of a RuntimeError, one for each system."""
    words = ("not enough memory", "can't allocate memory")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(word in str(error) for word in words)
    )


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)
