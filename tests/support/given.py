"""Files as visitors give them to the app."""

from __future__ import annotations

from nlviz.app.choice import Material
from nlviz.app.choice import uploaded as of_file
from nlviz.app.held import DISK


def uploaded(name: str, data: bytes) -> Material:
    """An upload of that content, which lies on disk for as long as the material is there."""
    return of_file(name, DISK.hold(data, 1 << 40))
