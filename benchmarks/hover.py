"""How long a hover takes in headless Chromium: the mouse moves over the viewer, cell by cell.

`python -m benchmarks.hover`. "compute + draw" is the viewer's own time from the row to the words
below the frames; "painted" adds the wait until the canvases' pixels are there (drawn in software).
Sharpened heat takes several turns, one an animation frame: the last one's time is the first number,
the longest one's the second.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

import numpy as np
from playwright.sync_api import sync_playwright

from tests.support import blobs
from tests.support.browser import launch
from tests.support.viewer_page import Viewer, loaded

LIMIT = 16.0  # ms, at the 95th percentile
MOVES = 150
WARM_UP = 25
CHANNELS = 64
SIZE = (640, 360)

# Runs after the viewer's own work in each animation frame, and waits for the pixels.
PAINTED = """
    const later = requestAnimationFrame;
    globalThis.painted = [];
    globalThis.requestAnimationFrame = (draw) => later((now) => {
        const start = performance.now();
        draw(now);
        for (const name of ["heat", "ink"]) {
            const context = document.querySelector(`.nlviz-${name}`)?.getContext("2d");
            context?.getImageData(0, 0, 1, 1);
        }
        painted.push(performance.now() - start);
    });
"""


@dataclass(frozen=True)
class Case:
    """A block of some size; the keys of a pooled one are halved across and down."""

    frames: int
    side: int
    pooled: bool = False
    pins: int = 0
    reverse: bool = False
    heads: int = 1
    sharpened: bool = False

    @property
    def query(self) -> tuple[int, int, int]:
        return self.frames, self.side, self.side

    @property
    def key(self) -> tuple[int, int, int]:
        side = self.side // 2 if self.pooled else self.side
        return self.frames, side, side

    def __str__(self) -> str:
        more = [f"{self.pins} pins"] * (self.pins > 0) + ["who looks here"] * self.reverse
        more += [f"{self.heads} heads"] * (self.heads > 1)
        more += ["sharpened"] * self.sharpened
        size = f"{self.frames}×{self.side}×{self.side}"
        return ", ".join([size, f"{int(np.prod(self.key)):,} keys", *more])


CASES = (
    Case(8, 24),
    Case(32, 28, pooled=True),
    Case(32, 28),
    Case(32, 28, pins=8),
    Case(32, 28, pins=8, reverse=True),
    Case(32, 28, heads=4),
    Case(8, 24, sharpened=True),
    Case(32, 28, pooled=True, sharpened=True),
)


def measure(view: Viewer, case: Case) -> tuple[list[float], list[float]]:
    """ms of compute + draw, and of the same with painting, for each hover over another cell."""
    random = np.random.default_rng(0)
    for pin in range(case.pins):
        view.click(pin, *(random.uniform(0.1, 0.9, 2) * SIZE))
    drawn, painted = [], []
    for move in range(MOVES + WARM_UP):
        # A stroke across the frame, now and then into another one: as a hand moves.
        along = (move % 25) / 25
        place = (move // 25) % case.frames, along * SIZE[0] * 0.9 + 30, (0.2 + along / 2) * SIZE[1]
        view.page.evaluate("() => { painted.length = 0; }")
        view.page.mouse.move(*view.at(*place))
        view.frame()
        spent = view.page.evaluate("() => root.nlviz.timing()")
        if move >= WARM_UP:
            drawn.append(spent["compute"] + spent["draw"])
            painted.append(max(view.page.evaluate("() => painted")))
    return drawn, painted


def summary(values: list[float]) -> tuple[float, float]:
    return statistics.median(values), float(np.percentile(values, 95))


def main() -> int:
    """Print the table; 1 if a case is slower than the limit."""
    slow = False
    print(f"ms, median / p95 of {MOVES} mouse moves; C' = {CHANNELS}; 1280 px wide")
    print(f"{'':46}{'compute + draw':>16}{'painted':>16}")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for case in CASES:
            block = blobs.Block(
                query=case.query,
                key=case.key,
                frames=case.frames,
                size=SIZE,
                channels=CHANNELS,
                heads=case.heads,
                seed=1,
            )
            clip = blobs.clip(case.frames, *SIZE)
            options = {"reverse": case.reverse, "sharpened": case.sharpened}
            view = loaded(browser, block, clip=clip, before=PAINTED, options=options)
            if case.reverse:
                view.put(block.constants())
            drawn, painted = (summary(values) for values in measure(view, case))
            view.close()
            cells = "".join(f"{f'{a:.1f} / {b:.1f}':>16}" for a, b in (drawn, painted))
            print(f"{case!s:46}{cells}", flush=True)
            slow |= drawn[1] > LIMIT
        browser.close()
    print(f"limit: {LIMIT:.0f} ms at p95 of compute + draw: {'missed' if slow else 'kept'}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
