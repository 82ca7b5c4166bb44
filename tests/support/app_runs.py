"""Pages of Streamlit's AppTest, run again until what is at work is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest


def until_done(page: AppTest, what: str, *, runs: int) -> AppTest:
    """The page once the visit's ``what`` is None, or after so many runs."""
    for _ in range(runs):
        if getattr(page.session_state["nlviz"], what) is None:
            break
        time.sleep(0.05)
        page.run()
    return page
