"""Tell the user's errors, and their line, from the machine's and from ours."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from pathlib import Path

from nlviz.errors import NlvizError

_OURS = str(Path(__file__).parents[1]) + os.sep
_MODULES = _OURS + "models" + os.sep  # which the user's own module may have in it
_HANDS_OVER = re.compile(r"\b(?:module|module\.eval|func|build|exec_module)\(")  # to their code
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


def is_users(error: BaseException) -> bool:
    """Whether the user's own code, or a module that it made, raised an error, and not nlviz.

    What matters is the last frame of ours: whether it handed over to the user's code. An error that
    theirs raised from one of ours is ours.
    """
    origin = error.__cause__ or error.__context__
    ours = origin is not None and not isinstance(origin, NlvizError) and _ends_in_ours(origin)
    return not ours and not _ends_in_ours(error)


def _ends_in_ours(error: BaseException) -> bool:
    frames = _frames(error)
    last = max((i for i, frame in enumerate(frames) if _is_ours(frame.filename)), default=None)
    return last is not None and not _HANDS_OVER.search(frames[last].line or "")


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS) and not file.startswith(_MODULES)


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)
