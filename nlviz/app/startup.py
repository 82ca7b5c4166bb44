"""What the app was started with: ``streamlit run app.py -- --model FILE.py:FUNCTION``, and more.

Running a file is its owner's decision, so it is an option of the start and never an upload. So is
what visitors may open and choose, and how much of the server all of them together may take.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from nlviz.cli.typed import field
from nlviz.errors import NlvizError
from nlviz.inference.by_name.spec import is_by_name
from nlviz.models import zoo

LONGEST = 900
"""Seconds that one computation may take where nothing else was said."""

VISITORS = 64
"""How many may use the app at a time where nothing else was said."""

_DISK_SHARE, _DISK_MOST = 4, 20 << 30

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class UserModel:
    """``FILE.py:FUNCTION``, and a checkpoint for it or None."""

    name: str
    weights: str | None = None


def user_model() -> UserModel | None:
    """What the app was started with, or None."""
    options = _said()
    return UserModel(options.model, options.weights) if options.model else None


def keep_bytes() -> int | None:
    """How much the server may keep of all visitors' results; None where nothing was said."""
    return (_said().keep or 0) * 10**6 or None


def disk_bytes() -> int:
    """How much all visitors' files may take on disk: a quarter of what is free, 20 GiB at most."""
    said = _said().disk
    if said is None:
        with suppress(OSError):
            return min(shutil.disk_usage(tempfile.gettempdir()).free // _DISK_SHARE, _DISK_MOST)
    return (said or 0) * 10**6


def longest() -> float:
    """Seconds that one computation may take, its waiting not counted."""
    return _said().longest or LONGEST


def most_visitors() -> int:
    """How many may use the app at a time."""
    return _said().visitors or VISITORS


def is_demo() -> bool:
    """Whether visitors see the bundled clips alone: they give no file and fetch nothing."""
    return bool(_said().demo)


def media() -> Path | None:
    """The folder whose files visitors may open, or None."""
    folder = _said().media
    return Path(folder) if folder else None


def models() -> tuple[str, ...] | None:
    """The networks that visitors may choose, of the zoo and by name; None where none are named."""
    said = _said().models
    return tuple(name for name in said.split(",") if name) if said else None


def listed_by_name() -> tuple[str, ...]:
    """Those of them that are networks by name."""
    return tuple(name for name in models() or () if is_by_name(name))


def trusted() -> tuple[str, ...]:
    """The repositories whose own code may run."""
    return tuple(_said().trust or ())


def input_record() -> dict[str, Any] | None:
    """What the network that the app was started with is told of its input; None for nothing."""
    return dict(_said().input or ()) or None


def may_choose(name: str) -> bool:
    """Whether visitors may choose that network of the zoo."""
    allowed = models()
    return (allowed is None or name in allowed) and (not is_demo() or zoo.is_here(name))


def offered_models() -> tuple[str, ...]:
    """The networks of the zoo that visitors may choose, in its order."""
    return tuple(filter(may_choose, zoo.names()))


def first_model() -> str:
    """The network that a new visitor sees, where it is none of the owner's."""
    here = (name for name in offered_models() if zoo.is_here(name))
    return next(here, zoo.bundled()[0])


def may_fetch() -> bool:
    """Whether visitors may bring published networks onto this machine, for all.

    Where only this machine can open the app, its visitor is its owner; elsewhere the owner has to
    say so at the start, with ``--fetch``.
    """
    if _said().fetch or is_demo():
        return not is_demo()
    return is_own_machine()


def is_own_machine() -> bool:
    """Whether only this machine can open the app, so that its visitor is its owner."""
    names = {st.get_option("server.address"), *(st.get_option("server.allowedHosts") or [None])}
    return names <= _THIS_MACHINE


def _said() -> argparse.Namespace:
    return _options(tuple(sys.argv[1:]))


@lru_cache(maxsize=4)
def _options(arguments: tuple[str, ...]) -> argparse.Namespace:
    """Read once: the menu of networks asks for each of its entries on each rerun."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--weights")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--media")
    parser.add_argument("--models")
    parser.add_argument("--trust", action="append")
    parser.add_argument("--input", action="append", type=field)
    for name in ("--keep", "--disk", "--longest", "--visitors"):
        parser.add_argument(name, type=_count)
    try:
        options, _ = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        options = parser.parse_args([])
        options.wrong = str(error)
    return options


def _count(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def check() -> None:
    """NlvizError, in one sentence, for what the app cannot be started with."""
    said = _said()
    wrong = getattr(said, "wrong", None)
    if wrong is not None:
        raise NlvizError(f"The app cannot be started so: {wrong}.")
    if said.media is not None and not Path(said.media).is_dir():
        raise NlvizError(f"--media: there is no folder '{said.media}'; give one that exists.")
    if said.demo and (said.media is not None or said.fetch):
        raise NlvizError(
            "--demo opens the bundled clips alone; leave out --media and --fetch, or --demo."
        )
    unknown = [name for name in models() or () if name not in zoo.names() and not is_by_name(name)]
    if unknown or said.models == "":
        raise NlvizError(
            f"--models: there is no network '{', '.join(unknown)}'; `nlviz models` lists those "
            "that there are. Give their names with commas between them."
        )
    if not any(zoo.is_here(name) for name in offered_models()):
        raise NlvizError(
            f"--models: none of {said.models} is on this machine yet; bring one here with "
            "`nlviz fetch`."
        )


def is_user_model(name: str) -> bool:
    """Whether a model of the menu is the one that the app was started with."""
    started = user_model()
    return started is not None and started.name == name


def load(name: str) -> Any:
    """That network; NetworkError if it cannot be loaded."""
    from nlviz.inference import loading

    started = user_model()
    weights = started.weights if started else None
    return loading.load(name, weights=weights, input=input_record(), trust=trusted())
