"""When what a component shows was first sent, so that the page never puts older data over newer.

The first time that a page mounts a component it still loads its script. Data that change meanwhile
reach the script a second time, and Chromium may let the later call go first: then the older data
would be what stays.
"""

from __future__ import annotations

import hashlib
import time

import streamlit as st

_KEY = "nlviz-sent"


def sent(key: str, content: str) -> int:
    """Microseconds since 1970 at which this visitor was first sent this content; each is later.

    The same content gives the same number, so that what has not changed is not sent again.
    """
    known: dict[str, tuple[bytes, int]] = st.session_state.setdefault(_KEY, {})
    digest = hashlib.blake2b(content.encode(), digest_size=12).digest()
    last, when = known.get(key, (b"", 0))
    if last != digest:
        when = max(time.time_ns() // 1000, when + 1)
        known[key] = digest, when
    return when
