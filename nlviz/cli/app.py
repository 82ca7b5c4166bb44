"""``python -m nlviz app``: open the app in the browser."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from nlviz.errors import NlvizError

_APP = Path(__file__).resolve().parents[2] / "app.py"


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("app", help="open the app")
    parser.add_argument("--model", metavar="FILE.py:FUNCTION", help="a network of your own")
    parser.add_argument("--weights", metavar="FILE", help="a checkpoint for it")
    parser.set_defaults(command=_app)


def _app(options: argparse.Namespace) -> None:
    if not _APP.is_file():
        raise NlvizError(f"{_APP.name} is not beside the library; run this from a clone of nlviz.")
    command = [sys.executable, "-m", "streamlit", "run", str(_APP)]
    ended = subprocess.run(command + _own(options), check=False)
    if ended.returncode > 0:
        raise NlvizError("The app could not be served; Streamlit says why above.")


def _own(options: argparse.Namespace) -> list[str]:
    """What goes on to the app, once it is sure that the file can be used."""
    if options.model is None:
        if options.weights is not None:
            raise NlvizError("--weights goes with --model FILE.py:FUNCTION; give both.")
        return []
    from nlviz.inference.loading import load_user_network

    load_user_network(options.model, weights=options.weights)
    weights = [] if options.weights is None else ["--weights", options.weights]
    return ["--", "--model", options.model, *weights]
