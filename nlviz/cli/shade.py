"""How heat is coloured, where a command draws it."""

from __future__ import annotations

import argparse

from nlviz.heat.colormap import COLOUR_MAPS, Colours
from nlviz.heat.scale import CURVES


def add_shade(parser: argparse.ArgumentParser, *, colours: Colours, opacity: float) -> None:
    """``--curve``, ``--colours`` and ``--opacity``."""
    add = parser.add_argument
    along = "how the heat's colours rise with the weight (default: %(default)s)"
    add("--curve", choices=CURVES, default="linear", help=along)
    add(
        "--colours", choices=COLOUR_MAPS, default=colours, help="of the heat (default: %(default)s)"
    )
    add("--opacity", type=float, default=opacity, help="of the heat, 0 to 1 (default: %(default)s)")
