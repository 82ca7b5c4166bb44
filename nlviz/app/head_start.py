"""A head start for what is on its way to the page, before the rest takes the core."""

from __future__ import annotations

import time

USUAL = 0.03
"""Seconds in which an answer reaches the page."""

FIRST = 0.4
"""The same where the page still has to draw the viewer itself."""


def give(seconds: float = USUAL) -> None:
    """Wait so long."""
    time.sleep(seconds)
