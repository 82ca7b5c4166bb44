"""Chunks of work side by side, each on one thread from its first product to its last.

Torch shares each product among its threads and waits for all of them after each. Where a processor
is busy with something else, that wait is long, and a row through all layers is thousands of
products.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

_MOST = 4  # each holds what it gives until its turn comes

Given = TypeVar("Given")
Made = TypeVar("Made")


class Workers:
    """Some threads, each of which computes alone; see ``workers``.

    Args:
        pool: of the threads; None where the caller's own does the work.
        count: how many there are.
    """

    def __init__(self, pool: ThreadPoolExecutor | None, count: int) -> None:
        self._pool, self._count = pool, count

    def each(
        self,
        work: Callable[[Given], Made],
        given: Sequence[Given],
        told: Callable[[float], None],
    ) -> Iterator[Made]:
        """What the work makes of each, in order; at most as many at once as there are threads.

        ``told`` is called in the caller's thread with the share that is done. What it or the work
        raises comes out here, and then none is begun any more.
        """
        made = map(work, given) if self._pool is None else self._ahead(self._pool, work, given)
        told(0.0)
        for done, one in enumerate(made, start=1):
            yield one
            told(done / len(given))

    def _ahead(
        self, pool: ThreadPoolExecutor, work: Callable[[Given], Made], given: Sequence[Given]
    ) -> Iterator[Made]:
        begun: deque[Future[Made]] = deque()
        try:
            for one in given:
                begun.append(pool.submit(work, one))
                if len(begun) == self._count:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()


def workers() -> Workers:
    """As many threads as torch would share a product among, at most four."""
    count = min(torch.get_num_threads(), _MOST)
    if count == 1:
        return Workers(None, 1)
    with _starting:
        return Workers(_pool(os.getpid(), count, torch.get_num_threads()), count)


_starting = threading.Lock()


@lru_cache(maxsize=2)
def _pool(process: int, count: int, usual: int) -> ThreadPoolExecutor:
    """Threads that have all begun, the same for all: ``_compute_alone`` may disturb others once.

    ``process`` is part of what tells them apart, for a fork has no threads of its parent's.
    """
    pool = ThreadPoolExecutor(count, f"nlviz-layer-{process}", _compute_alone, (usual,))
    here = threading.Barrier(count)  # no thread is done before the last one is there
    for begun in [pool.submit(here.wait) for _ in range(count)]:
        begun.result()
    return pool


def _compute_alone(usual: int) -> None:
    """Let torch use one thread in this one, and the usual number in all others.

    The number is each thread's own, but a thread takes the last that any has set when it first
    computes: so this one is asked for its own before, and for a moment another may take one.
    """
    torch.get_num_threads()
    torch.set_num_threads(1)
    last = threading.Thread(target=torch.set_num_threads, args=(usual,))
    last.start()
    last.join()
