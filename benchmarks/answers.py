"""What a click makes Python work out beside seven boxes: every pin's answer, and the new one alone.

`python -m benchmarks.answers`. The grids are those of `benchmarks.regions`, at 640 pixels; the
times are of the processor, not of the clock, so that what else the machine does adds nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.measure import machine
from benchmarks.regions import made_up
from nlviz import Point, Query, Region, top_links
from nlviz.ask.answers import Answers

BOXES, CLICKS = 7, 9
LIMIT = 30.0  # ms, in the median


def queries(size: int) -> list[Query]:
    """A box of about a ninth of the frame on each of seven frames."""
    width, height = size, size * 9 // 16
    return [
        Query(
            Region.box(t, 0.05 * t * width, 0.2 * height, (0.05 * t + 0.3) * width, 0.6 * height),
            "nl3",
            exclude="cell",
        )
        for t in range(BOXES)
    ]


def spent(work: Callable[[int], object]) -> float:
    """ms of the processor for a click, in the median."""
    taken = []
    for number in range(CLICKS):
        begun = time.process_time()
        work(number)
        taken.append(1000 * (time.process_time() - begun))
    return statistics.median(taken)


def main() -> int:
    """Print both; 1 if a click costs more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=640)
    size = parser.parse_args().size
    analysis, asked, answers = made_up(size, 8), queries(size), Answers()

    def pinned(number: int) -> list[Query]:
        point = Point(7, size * (0.1 + 0.08 * number), 0.3 * size)
        return [*asked, Query(point, "nl3", exclude="cell")]

    for query in asked:
        answers.top_links(analysis, query)
    anew = spent(lambda number: [top_links(analysis, query) for query in pinned(number)])
    kept = spent(lambda number: [answers.top_links(analysis, query) for query in pinned(number)])
    print(f"a click beside {BOXES} boxes, {size} pixels, 8 frames; {machine()}")
    print(f"every answer anew {anew:.0f} ms, the new one alone {kept:.1f} ms of the processor")
    print(f"limit {LIMIT:.0f} ms: {'missed' if kept > LIMIT else 'kept'}")
    return int(kept > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
