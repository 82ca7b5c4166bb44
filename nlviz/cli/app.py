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
    parser.set_defaults(command=_app)


def _app(options: argparse.Namespace) -> None:
    if not _APP.is_file():
        raise NlvizError(f"{_APP.name} is not beside the library; run this from a clone of nlviz.")
    ended = subprocess.run([sys.executable, "-m", "streamlit", "run", str(_APP)], check=False)
    if ended.returncode > 0:
        raise NlvizError("The app could not be served; Streamlit says why above.")
