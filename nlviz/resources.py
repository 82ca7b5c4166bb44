"""Where the files that come with nlviz lie: at the top of a clone, in the package of a wheel."""

from __future__ import annotations

from pathlib import Path

_WHEEL = Path(__file__).parent / "data"
HOME = _WHEEL if _WHEEL.is_dir() else Path(__file__).parents[1]
"""The folder that holds ``app.py``, ``assets``, ``models`` and ``static``."""

MEND = "install nlviz again" if HOME == _WHEEL else "bring it back with: git restore ."
"""What to do where a file of the weights is missing or damaged."""

ASSETS = HOME / "assets"
CLIPS = ASSETS / "clips"
WEIGHTS = HOME / "models" / "weights"
