"""What all visitors' pages hold together, which is bounded: each shows its analysis for itself."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Protocol

from nlviz.app import startup, store
from nlviz.app.meters import METERS
from nlviz.app.weight import buffers

if TYPE_CHECKING:
    from nlviz.app.shown import Shown

_SHARE = 2  # of what the server keeps of results


class Page(Protocol):
    """A visit, as far as it is weighed."""

    shown: Shown | None


_pages: weakref.WeakSet[Page] = weakref.WeakSet()


def note(page: Page) -> None:
    """A visitor came; their page is weighed until it is gone."""
    _pages.add(page)


def held(without: Page | None = None) -> int:
    """Bytes of all pages together, what several show counted once."""
    found: dict[int, int] = {}
    for page in list(_pages):
        if page is not without and page.shown is not None:
            found.update(buffers(page.shown))
    return sum(found.values())


def refusal(page: Page) -> str | None:
    """Why this page may be given no further analysis; None where it may."""
    most = _SHARE * (startup.keep_bytes() or store.usual())
    others = held(without=page)
    if others <= most:
        return None
    METERS.refused("analysis")
    return (
        f"This server's memory is taken: its visitors look at {others / 1e6:,.0f} MB of analyses. "
        "Try again when somebody has left, or look at a sample, which all share."
    )
