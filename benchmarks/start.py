"""How long from `streamlit run` to links on the screen, in headless Chromium.

`python -m benchmarks.start`. Each round starts a new server and a new visitor; the browser itself
is already open. The time runs until the viewer shows the frames, and Python's exact links of the
first pin.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.measure import machine
from tests.support.app_page import AppPage, serve
from tests.support.browser import launch

LIMIT = 15.0  # seconds
ROUNDS = 3


def main() -> int:
    """Print the seconds of each round; 1 if their median is above the limit."""
    taken = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            with serve(Path(folder) / "log.txt") as address:
                page = AppPage(browser, address)
                page.ready()
                taken.append(time.perf_counter() - start)
                page.close()
        browser.close()
    median = statistics.median(taken)
    rounds = ", ".join(f"{seconds:.1f}" for seconds in taken)
    print(f"streamlit run to links on the screen, {ROUNDS} fresh servers; {machine()}")
    print(
        f"seconds: {rounds}; median {median:.1f}; limit {LIMIT:.0f}: "
        f"{'missed' if median > LIMIT else 'kept'}"
    )
    return int(median > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
