"""The network that the app was started with: ``streamlit run app.py -- --model FILE.py:FUNCTION``.

Running a file is its owner's decision, so it is an option of the start and never an upload. So is
how many megabytes of results the server keeps: ``--keep 2000``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import streamlit as st

LONGEST = 900
"""Seconds that one computation may take where nothing else was said."""

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class UserModel:
    """``FILE.py:FUNCTION``, and a checkpoint for it or None."""

    name: str
    weights: str | None = None


def user_model() -> UserModel | None:
    """What the app was started with, or None."""
    options = _options(tuple(sys.argv[1:]))
    return UserModel(options.model, options.weights) if options and options.model else None


def keep_bytes() -> int | None:
    """How much the server may keep of all visitors' results; None where nothing was said."""
    options = _options(tuple(sys.argv[1:]))
    return options.keep * 10**6 if options and options.keep and options.keep > 0 else None


def longest() -> float:
    """Seconds that one computation may take, its waiting not counted."""
    options = _options(tuple(sys.argv[1:]))
    return options.longest if options and options.longest and options.longest > 0 else LONGEST


def may_fetch() -> bool:
    """Whether visitors may bring published networks onto this machine, for all.

    Where only this machine can open the app, its visitor is its owner; elsewhere the owner has to
    say so at the start, with ``--fetch``.
    """
    options = _options(tuple(sys.argv[1:]))
    if options is not None and options.fetch:
        return True
    names = {st.get_option("server.address"), *(st.get_option("server.allowedHosts") or [None])}
    return names <= _THIS_MACHINE


@lru_cache(maxsize=4)
def _options(arguments: tuple[str, ...]) -> argparse.Namespace | None:
    """Read once: the menu of networks asks for each of its entries on each rerun."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--weights")
    parser.add_argument("--keep", type=int)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--longest", type=int)
    try:
        options, _ = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError:
        return None
    return options


def is_user_model(name: str) -> bool:
    """Whether a model of the menu is the one that the app was started with."""
    started = user_model()
    return started is not None and started.name == name


def load(name: str) -> Any:
    """That network; NetworkError if it cannot be loaded."""
    from nlviz.inference import loading

    started = user_model()
    return loading.load(name, weights=started.weights if started else None)
