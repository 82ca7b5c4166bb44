"""Answers that are kept, so that a click works out only what is new."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from weakref import WeakKeyDictionary

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.query import Link, Query

Links = tuple[Link, ...]

_BUDGET = 16 << 20  # bytes; a set of 20 links weighs about 8 kB
_LINK, _CORNER = 400, 120  # bytes of a link with its target, and of a corner with its two numbers


class Answers:
    """The links of questions asked before, by what was asked of what: for many visitors at once.

    The key is the content of the block's affinity, never its name or its object: whoever asks the
    same of the same numbers gets the same links. What was asked longest ago leaves first.

    Args:
        budget: bytes that all answers together may take.
    """

    def __init__(self, budget: int = _BUDGET) -> None:
        self.budget = budget
        self.held = 0
        self._kept: OrderedDict[Hashable, tuple[Links, int]] = OrderedDict()
        self._digests: WeakKeyDictionary[Affinity, bytes] = WeakKeyDictionary()
        self._lock = Lock()

    def top_links(self, analysis: Analysis, query: Query) -> Links:
        """What ``top_links`` gives, worked out once; what it raises is raised and not kept."""
        key = self._key(analysis, query)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        links = top_links(
            analysis, query
        )  # outside the lock: others' answers need not wait for this one
        self._keep(key, links, _weight(query, links))
        return links

    def _keep(self, key: Hashable, links: Links, weight: int) -> None:
        with self._lock:
            if key in self._kept or weight > self.budget:
                return
            self._kept[key] = links, weight
            self.held += weight
            while self.held > self.budget:
                _, (_, freed) = self._kept.popitem(last=False)
                self.held -= freed

    def _key(self, analysis: Analysis, query: Query) -> Hashable:
        sizes = analysis.sizes.get(query.block) if query.rank_by == "contribution" else None
        measured = b"" if sizes is None else hashlib.blake2b(sizes.tobytes()).digest()
        return self._digest(analysis.affinity(query.block)), analysis.view, query, measured

    def _digest(self, affinity: Affinity) -> bytes:
        with self._lock:
            known = self._digests.get(affinity)
        if known is None:
            known = _digest(affinity)
            with self._lock:
                self._digests[affinity] = known
        return known


def _digest(affinity: Affinity) -> bytes:
    told = (affinity.function, affinity.query_grid, affinity.key_grid, affinity.scale)
    shape = (affinity.theta.shape, affinity.heads, affinity.tokens, len(affinity.reach))
    digest = hashlib.blake2b(repr((told, shape)).encode())
    for array in (affinity.theta, affinity.phi):
        digest.update(array.data)
    for links in affinity.reach:
        for name, held in links.arrays.items():
            digest.update(name.encode())
            digest.update(held.data)
    return digest.digest()


def _weight(query: Query, links: Links) -> int:
    corners = len(getattr(query.point, "outline", ()))
    return 1000 + _CORNER * corners + _LINK * len(links)
