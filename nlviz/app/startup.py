"""The network that the app was started with: ``streamlit run app.py -- --model FILE.py:FUNCTION``.

Running a file is its owner's decision, so it is an option of the start and never an upload.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UserModel:
    """``FILE.py:FUNCTION``, and a checkpoint for it or None."""

    name: str
    weights: str | None = None


def user_model() -> UserModel | None:
    """What the app was started with, or None."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--weights")
    try:
        options, _ = parser.parse_known_args(sys.argv[1:])
    except argparse.ArgumentError:
        return None
    return UserModel(options.model, options.weights) if options.model else None


def is_user_model(name: str) -> bool:
    """Whether a model of the menu is the one that the app was started with."""
    started = user_model()
    return started is not None and started.name == name


def load(name: str) -> Any:
    """That network; NetworkError if it cannot be loaded."""
    from nlviz.inference import loading

    started = user_model()
    return loading.load(name, weights=started.weights if started else None)
