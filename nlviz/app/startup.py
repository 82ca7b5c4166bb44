"""The network that the app was started with: ``streamlit run app.py -- --model FILE.py:FUNCTION``.

Running a file is its owner's decision, so it is an option of the start and never an upload.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Own:
    """``FILE.py:FUNCTION``, and a checkpoint for it or None."""

    name: str
    weights: str | None = None


def given() -> Own | None:
    """What the app was started with, or None."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--weights")
    try:
        options, _ = parser.parse_known_args(sys.argv[1:])
    except argparse.ArgumentError:
        return None
    return Own(options.model, options.weights) if options.model else None


def is_own(name: str) -> bool:
    """Whether a model of the menu is the one that the app was started with."""
    own = given()
    return own is not None and own.name == name


def load(name: str) -> Any:
    """That network; NetworkError where it cannot be had."""
    from nlviz.inference import loading

    own = given()
    return loading.load(name, weights=own.weights if own else None)
