"""How long after a click on a tab its first words, picture or progress are on screen.

`python -m benchmarks.tabs`. The real app shows its first clip; each tab is opened for one new pin
after the other, so that nothing of it was worked out before. The time runs in the page's own clock,
from the mouse going up to the first animation frame in which the tab's panel holds something. The
first tab stands beside them: it is opened in between, holds text that is there, and computes
nothing, so that what a tab takes above it is its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys

from benchmarks.measure import machine
from nlviz.app.stage.tab_row import TABS
from tests.support.app_page import PATIENCE, AppPage, settled, visiting

LIMIT = 300.0  # ms, in the median
ROUNDS = 5

_LISTEN = """
    () => {
        const deep = (node) => node.shadowRoot ?? node;
        const pictures = new Set(["canvas", "img", "svg", "video"]);
        // What has no box of its own, as around Streamlit's components, may hold what has one.
        const shows = (node) =>
            node.checkVisibility?.() || getComputedStyle(node).display === "contents";
        const holds = (node) => [...deep(node).childNodes].some((child) =>
            child.nodeType === Node.TEXT_NODE
                ? child.textContent.trim() !== ""
                : child.nodeType === Node.ELEMENT_NODE && shows(child) &&
                    (pictures.has(child.localName) || holds(child)));
        document.addEventListener("click", (event) => {
            const tab = event.target.closest("[role=tab]");
            if (!tab) return;
            const start = performance.now();
            globalThis.took = null;
            const look = () => {
                // The tab may have been drawn anew since the click.
                const now = [...document.querySelectorAll("[role=tab]")].find(
                    ({ textContent }) => textContent === tab.textContent);
                const panel = document.getElementById(now?.getAttribute("aria-controls"));
                const there = panel?.checkVisibility() && holds(panel);
                if (there) globalThis.took = performance.now() - start;
                else requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        }, true);
    }
"""


def measure(page: AppPage, rounds: int) -> dict[str, list[float]]:
    """ms of each opening of each tab, the first one first; that of text alone comes first."""
    draw = random.Random(0)
    page.page.evaluate(_LISTEN)
    first, *others = TABS
    taken: dict[str, list[float]] = {name: [] for name in TABS}
    for _ in range(rounds):
        for name in others:
            taken[first].append(_open(page, first))
            page.page.locator(".nlviz").get_by_role("button", name="Clear").click()
            page.until(lambda state: state["pins"] == [], "no pins")
            page.click(draw.randrange(8), draw.uniform(60, 580), draw.uniform(40, 320))
            page.until(lambda state: len(state["pins"]) == 1 and settled(state), "a new pin")
            page.page.wait_for_timeout(600)  # the run that answered it has ended
            taken[name].append(_open(page, name))
            page.page.wait_for_timeout(1500)  # long work is under way, as when somebody reads
    return taken


def _open(page: AppPage, name: str) -> float:
    page.page.evaluate("() => { globalThis.took = null; }")
    page.page.get_by_role("tab", name=name, exact=True).click()
    page.page.wait_for_function("() => globalThis.took !== null", timeout=PATIENCE * 1000)
    spent: float = page.page.evaluate("() => globalThis.took")
    return spent


def main() -> int:
    """Print median and worst of each tab; 1 if a median is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with visiting() as page:
        page.page.wait_for_timeout(2000)
        taken = measure(page, rounds)
    print(f"click on a tab to something in it, ms, {rounds} new pins; {machine()}")
    slow, (text, *_) = False, map(statistics.median, taken.values())
    for name, times in taken.items():
        middle = statistics.median(times)
        slow |= middle > LIMIT
        print(
            f"{name:16} median {middle:4.0f}, worst {max(times):4.0f}, first {times[0]:4.0f}, "
            f"{middle / text:.2f} of text alone"
        )
    print(f"limit: {LIMIT:.0f} ms in the median: {'missed' if slow else 'kept'}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
