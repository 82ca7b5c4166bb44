"""Who shows an analysis: a slot that the library's face fills, so that no record looks upward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Widget(Protocol):
    """What ``Analysis.show`` gives: the viewer in a notebook, and what is pinned in it.

    ``queries``, ``pins`` and ``links`` are what is pinned now; ``observe(told, "queries")`` calls
    ``told`` at each change.
    """

    queries: Any
    pins: Any
    links: Any

    def observe(self, handler: Callable[[Any], None], names: Any = ...) -> None:
        """Call ``handler`` with each change of the named traits."""


class Layer(Protocol):
    """Colours of cells over the frames, as ``Components.layer`` gives them."""

    def blob(self, view: Any, clip_tag: str) -> bytes:
        """As the viewer is sent it."""


show: Callable[..., Widget]
