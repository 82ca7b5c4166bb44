"""From the masks of sequences to which links can exist: as a rule where there is one, else bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import CaptureError
from nlviz.groups import NO_KEY, NO_QUERY, Group, Groups, LinkBits, Links
from nlviz.hooks.attention.logits import LogitTerms
from nlviz.hooks.places.layout import SlotLayout

_MOST_SEQUENCES = 64  # that one key may stand in
_MOST_BYTES = 64 << 20  # of the bits of a mask that follows no rule

Numbers = NDArray[np.intp]
Rule = tuple[Numbers, Numbers, Numbers]  # query (N,), key (M,) and until (N,), as of ``Groups``


def reach_of(terms: LogitTerms, queries: SlotLayout, keys: SlotLayout) -> tuple[Links, ...]:
    """Which links exist: sequences see themselves alone, and a mask leaves out more.

    A key that stands in several sequences is numbered in each, one ``Groups`` for each time that
    it does. Cells without a query or key are in none.

    Raises:
        CaptureError: a key in more sequences than are held, a mask without a rule over more links
            than are held.
    """
    sequences, n = queries.columns.shape
    m = keys.columns.shape[1]
    whole = n == queries.width and m == keys.width
    if terms.allowed is None and not terms.causal and sequences == 1 and whole:
        return ()
    rules = _rules(terms, sequences, n, m)
    if rules is None:
        return (_bits(terms, queries, keys),)
    of_query, of_key, until = (np.stack(side) for side in zip(*rules, strict=True))
    start = np.arange(sequences)[:, None] * (m + 2)
    query = _laid(of_query + start, queries, NO_QUERY)
    last = None
    if not np.array_equal(of_query, until):
        last = _laid(until + start, queries, NO_QUERY)
        empty = query > last  # it reaches nothing
        query[empty], last[empty] = NO_QUERY, NO_QUERY
    # The k-th time that each column stands in a sequence.
    flat = keys.columns.ravel()
    order = np.argsort(flat, kind="stable")
    ends = np.flatnonzero(np.diff(flat[order], prepend=-1))
    times = np.empty(flat.size, int)
    times[order] = np.arange(flat.size) - np.repeat(ends, np.diff(ends, append=flat.size))
    if times.max() >= _MOST_SEQUENCES:
        raise CaptureError(f"has keys that stand in more than {_MOST_SEQUENCES} sequences")
    found = []
    for k in range(int(times.max()) + 1):
        key = np.full(keys.width, NO_KEY, np.int32)
        key[flat[times == k]] = (of_key + start).ravel()[times == k]
        found.append(Groups(query, key, last))
    return tuple(found)


def _laid(numbers: Numbers, layout: SlotLayout, none: int) -> Group:
    laid = np.full(layout.width, none, np.int32)
    laid[layout.columns] = numbers
    return laid


def _rules(terms: LogitTerms, sequences: int, n: int, m: int) -> list[Rule] | None:
    """The rule of each sequence; None where one of them has none."""
    if terms.causal:
        first, own = np.zeros(n, np.intp), np.arange(n)
        return [(first, np.arange(m), own)] * sequences
    if terms.allowed is None:
        first = np.zeros(n, np.intp)
        return [(first, np.zeros(m, np.intp), first)] * sequences
    masks = terms.allowed.numpy()
    split = [_split(mask) for mask in masks]
    if not any(each is None for each in split):
        return [(query, key, query) for query, key in (each for each in split if each is not None)]
    runs = [_runs(mask) for mask in masks]
    found = [each for each in runs if each is not None]
    return found if len(found) == len(runs) else None


def _split(allowed: NDArray[np.bool_]) -> tuple[Numbers, Numbers] | None:
    """The group of each query and key of a mask (N, M); None if it does not make groups."""
    n, m = allowed.shape
    if allowed.all():
        return np.zeros(n, np.intp), np.zeros(m, np.intp)
    query = np.where(allowed.any(1), allowed.argmax(1), m)
    key = np.where(allowed.any(0), np.where(allowed, query[:, None], -1).max(0), m + 1)
    return (query, key) if np.array_equal(allowed, query[:, None] == key) else None


def _runs(allowed: NDArray[np.bool_]) -> Rule | None:
    """The run of keys of each query of a mask (N, M); None if some query has more than one."""
    m = allowed.shape[1]
    first, count = allowed.argmax(1), np.count_nonzero(allowed, axis=1)
    last = m - 1 - allowed[:, ::-1].argmax(1)
    if not np.array_equal(np.where(count, last - first + 1, 0), count):
        return None
    return np.where(count, first, m), np.arange(m), np.where(count, last, m - 1)


def _bits(terms: LogitTerms, queries: SlotLayout, keys: SlotLayout) -> LinkBits:
    """The masks of all sequences, each link where its query and key lie."""
    if terms.allowed is None:
        raise CaptureError("has no mask")
    width = -(-keys.width // 8)
    if queries.width * width > _MOST_BYTES:
        raise CaptureError(
            f"has a mask without a rule over {queries.width} queries and {keys.width} keys, which "
            f"would take more than {_MOST_BYTES >> 20} MiB; take fewer frames or a smaller input"
        )
    bits = np.zeros((queries.width, width), np.uint8)
    masks = terms.allowed.numpy()
    for mask, own, other in zip(masks, queries.columns, keys.columns, strict=True):
        row = np.zeros(keys.width, np.bool_)
        for column, allowed in zip(own, mask, strict=True):
            row[:] = False
            row[other] = allowed
            bits[column] |= np.packbits(row)
    return LinkBits(bits, keys.width)


def links_of(allowed: NDArray[np.bool_]) -> Links:
    """The links of one mask (n, M) of a sequence: a rule where it has one, else bits."""
    for rule in (_split(allowed), _runs(allowed)):
        if rule is not None:
            query, key, *until = (each.astype(np.int32) for each in rule)
            return Groups(query, key, *until)
    return LinkBits(np.packbits(allowed, axis=1), allowed.shape[1])
