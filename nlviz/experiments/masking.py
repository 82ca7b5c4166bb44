"""Does the prediction depend on the linked places: mask them by affinity, and at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.rows import row_of
from nlviz.errors import CaptureError, QueryError
from nlviz.experiments.classes import class_number
from nlviz.experiments.painting import painted_logits
from nlviz.experiments.rerun import Call, one_call
from nlviz.groups import reached_from
from nlviz.hooks.capture import capture, evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.inference.forward import placed
from nlviz.inference.passes import network_input
from nlviz.inference.protocol import Network
from nlviz.inference.score_passes import Window, windows_of
from nlviz.inference.scores import class_logits
from nlviz.progress import Progress, part_of, silent
from nlviz.query import Query

Numbers = NDArray[np.float64]

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

PROTOCOL = (
    "In one block, nlviz masks a growing share of the keys that the query may link to: for every "
    "query of the block, not only this one, it sets their weights to zero and scales the rest of "
    "each row up to the sum it would have without them. The network runs on with the new y, and "
    "nlviz reads the score of the class that was first before. Once the keys go in order of this "
    "query's weight, heaviest first; then in random orders drawn with a fixed seed. Where the "
    "first curve falls faster than the random ones, the prediction depends on the linked places "
    "more than on others; one query proves nothing about a whole block."
)

_NO_CLASSES = (
    "The network {} has no classes, so no prediction can fall; choose a network that classifies."
)
_CHUNK_BYTES = 32 << 20
_PIECE_BYTES = 256 << 20  # of y under several masks
_OFF = 0.05  # the greatest relative error of y, recomputed without a mask


@dataclass(frozen=True, slots=True, eq=False)
class Faithfulness:
    """How the first class's score falls as keys are masked; see ``PROTOCOL``.

    Args:
        query: whose links are masked.
        label: the class that is first without a mask.
        before: its softmax score without a mask.
        fractions: (S,) shares of the keys that may be linked to.
        by_affinity: (S,) the score with that share masked, heaviest first.
        by_random: (draws, S) the same in random orders.
        painted: whether the places were painted over in the clip itself, see ``PAINTING``.
    """

    query: Query
    label: str
    before: float
    fractions: Numbers
    by_affinity: Numbers
    by_random: Numbers
    painted: bool = False

    @property
    def gap(self) -> float:
        """Mean over the shares of (random − affinity): above 0 where affinity falls faster."""
        return float((self.by_random.mean(axis=0) - self.by_affinity).mean())


def faithfulness(
    analysis: Analysis,
    network: Network,
    query: Query,
    *,
    fractions: Sequence[float] = FRACTIONS,
    draws: int = 3,
    seed: int = 0,
    label: str | None = None,
    progress: Progress | None = None,
) -> Faithfulness:
    """Mask the linked places of a query in its block and see a class's score fall.

    Runs the network once for each share and order, and once more without a mask. Where its class
    scores come from square windows (see ``nlviz.analyse``), these runs are of the windows alone:
    the keys are masked in the block as it sees each window, namely those whose cells have their
    middle in a cell that is masked in the picture, at the same time.

    Of a derived block, as a rollout, the places are painted over in the clip itself, see
    ``nlviz.experiments.painting``.

    Args:
        analysis: the analysis.
        network: the network that was analysed; it must classify.
        query: which keys, and by its exclusion which of them may be masked.
        fractions: shares of those keys, above 0 and up to 1, rising.
        draws: random orders, at least 1.
        seed: of the random orders.
        label: the class whose score is read; the one that is first without a mask if None.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: a network without classes, an unknown class, a reversed query, or shares or
            draws out of range.
        CaptureError: a block that cannot be changed from outside, or whose y cannot be reproduced.
        BudgetError: the machine has too little memory.
    """
    _check(query, fractions, draws)
    orders = _orders(analysis, query, draws, seed)
    shares = np.asarray(fractions, dtype=np.float64)
    counts = np.maximum(np.rint(shares * len(orders[0])).astype(int), 1)
    affinity = analysis.affinity(query.block)
    # Rows of masks: none, then each share of each order.
    kept = np.ones((1 + len(orders) * len(counts), affinity.phi.shape[1]), dtype=np.float32)
    for mask, (order, count) in zip(
        kept[1:], ((o, c) for o in orders for c in counts), strict=True
    ):
        mask[order[:count]] = 0
    number = None if label is None else class_number(label, network.classes)
    masked = _painted_scores if affinity.is_derived else _masked_scores
    with enough_memory(f"masking keys of block {query.block!r}"):
        logits = masked(analysis, network, query.block, kept, progress or silent)
    scores = logits.softmax(1)
    first = int(scores[0].argmax()) if number is None else number
    by_class = scores[:, first].tolist()
    curves = np.asarray(by_class[1:]).reshape(len(orders), len(counts))
    return Faithfulness(
        query,
        network.classes[first],
        by_class[0],
        shares,
        curves[0],
        curves[1:],
        painted=affinity.is_derived,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """A pass of the network in whose block keys are masked.

    Args:
        given: what the network's module is called with.
        affinity: of the block in this pass.
        call: what the block did in it without a mask.
        output: what the network put out without a mask.
        kept: (S, M) masks of this pass's keys, the first empty.
    """

    given: Tensor
    affinity: Affinity
    call: Call
    output: Any
    kept: NDArray[np.float32]


def _masked_scores(
    analysis: Analysis,
    network: Network,
    block: str,
    kept: NDArray[np.float32],
    report: Progress,
) -> Tensor:
    """(S, classes) logits under each of S masks (S, M), the first empty.

    The masks are of the keys that are drawn. Where class scores come from square windows, the same
    places are masked in each of them.
    """
    with evaluating(network.module):
        windows = windows_of(analysis.clip, network)
        if windows:
            logits = torch.zeros(len(kept), len(network.classes))
            for number, window in enumerate(windows):
                words = f"window {number + 1} of {len(windows)}: "
                start, end = number / len(windows), (number + 1) / len(windows)
                told = part_of(report, start, end, words)
                a_pass = _in_window(window, analysis, network, block, kept)
                logits += _logits(a_pass, network, block, told) / len(windows)
        else:
            logits = _logits(_drawn(analysis, network, block, kept), network, block, report)
    report(1.0, "done")
    return logits


def _painted_scores(
    analysis: Analysis,
    network: Network,
    block: str,
    kept: NDArray[np.float32],
    report: Progress,
) -> Tensor:
    """(S, classes) logits with the keys of each of S masks (S, M) painted over in the clip."""
    grid = analysis.affinity(block).key_grid
    cells = kept[:, : grid.size].reshape(-1, *grid.shape) > 0
    logits = painted_logits(analysis, network, grid, cells, report)
    if logits is None:
        raise QueryError(_NO_CLASSES.format(network.name))
    report(1.0, "done")
    return logits


def _drawn(analysis: Analysis, network: Network, block: str, kept: NDArray[np.float32]) -> _Pass:
    """The pass that is drawn."""
    given = network_input(analysis.clip, analysis.view, network)
    with one_call(network.module, block) as call:
        output = network.module(given)
    return _Pass(given, analysis.affinity(block), call, output, kept)


def _in_window(
    window: Window, analysis: Analysis, network: Network, block: str, kept: NDArray[np.float32]
) -> _Pass:
    """The pass of a window, its keys masked where those that are drawn are.

    A key of the window is masked where the middle of its cell is nearest to the middle of a masked
    cell, at the same time: the cells of a window are larger or smaller than those that are drawn.
    """
    given = window.input(analysis.clip, network)
    with one_call(network.module, block) as call:
        seen = capture(network.module, given, sample=None, recorded=tuple(network.taps))
    if block not in seen.affinities:
        raise CaptureError(
            seen.refused.get(block, f"Block {block!r} did not run in a window of the picture.")
        )
    affinity = placed(seen.affinities[block], window.view, network.taps.get(block))
    own, drawn = affinity.key_grid, analysis.affinity(block).key_grid
    here = window.drawn_cells(analysis.view, own, drawn)
    return _Pass(given, affinity, call, seen.output, kept[:, here])


def _logits(a_pass: _Pass, network: Network, block: str, report: Progress) -> Tensor:
    """(S, classes) under each of a pass's masks.

    As many y at a time as ``_PIECE_BYTES`` hold, for each is as large as the block's own.
    """
    affinity, call, kept = a_pass.affinity, a_pass.call, a_pass.kept
    found = [_of_classes(a_pass.output, network)]
    values = _values(call, affinity, block)
    at_once = max(1, _PIECE_BYTES // (values.shape[1] * affinity.query_grid.size * 4))
    for start in range(0, len(kept), at_once):
        piece = kept[start : start + at_once]
        told = part_of(report, start / len(kept), (start + len(piece)) / len(kept))
        made = _masked(affinity, values, piece, part_of(told, 0.0, 0.5))
        if start == 0:
            _check_reproduced(made[0], call, block)
        for number, y in enumerate(made):
            if start + number == 0:
                continue
            told(0.5 + number / len(made) / 2, f"running {network.name} with keys masked")
            with one_call(network.module, block, y=_replaced(y)):
                found.append(_of_classes(network.module(a_pass.given), network))
    return torch.stack(found)


def _check(query: Query, fractions: Sequence[float], draws: int) -> None:
    if query.reverse:
        raise QueryError("A reversed query has no links of its own to mask; ask without reverse.")
    if not fractions or not all(0 < share <= 1 for share in fractions) or draws < 1:
        raise QueryError("Give shares above 0 and up to 1, and at least one random draw.")


def _orders(analysis: Analysis, query: Query, draws: int, seed: int) -> list[NDArray[np.intp]]:
    """Positions of the keys that may be linked to: heaviest first, then in random orders."""
    row = row_of(analysis, query)
    keys = np.flatnonzero(row.allowed)
    if not len(keys):
        raise QueryError("The query's exclusion leaves no place to mask; choose exclude='none'.")
    heaviest = keys[np.argsort(-row.ranked.ravel()[keys], kind="stable")]
    random = np.random.default_rng(seed)
    return [heaviest, *(random.permutation(keys) for _ in range(draws))]


def _values(call: Call, affinity: Affinity, block: str) -> NDArray[np.float32]:
    """g, (M, C'), in the order of φ's columns."""
    if call.attention:
        raise CaptureError(
            f"Block {block!r} is a self-attention, whose values and y cannot be reached from "
            "outside; keys can be masked in non-local blocks alone."
        )
    if call.g is None or call.y is None or affinity.tokens:
        raise CaptureError(f"The values g and y of block {block!r} cannot be reached from outside.")
    g = call.g.transpose(0, 1).flatten(1).float().cpu().numpy().T
    if len(g) != affinity.phi.shape[1]:
        raise CaptureError(f"Block {block!r} has {affinity.phi.shape[1]} keys but {len(g)} values.")
    return g


def _masked(
    affinity: Affinity,
    values: NDArray[np.float32],
    kept: NDArray[np.float32],
    report: Progress,
) -> NDArray[np.float32]:
    """(S, C', N): y of Eq. (1) under each of S masks (S, M), rows scaled to what they had.

    A row of f/C whose kept keys have weight K gets the sum 1 under a softmax; else C counts the
    kept keys that it can reach only.
    """
    parts = [affinity.head(h) for h in range(affinity.heads)]
    width = values.shape[1] // affinity.heads
    queries = affinity.query_grid
    out = np.empty((len(kept), values.shape[1], queries.size), dtype=np.float32)
    for h, head in enumerate(parts):
        g = values[:, h * width : (h + 1) * width]
        for some, whole in head.chunks(budget=_CHUNK_BYTES):
            rows, index = whole.reshape(len(whole), -1), np.arange(some.start, some.stop)
            softmax, can = head.rows_sum_to_one, reached_from(head.reach, some)
            for mask, y in zip(kept, out, strict=True):
                left = rows * mask
                if softmax:
                    factor = 1 / np.maximum(left.sum(axis=1), 1e-30)
                elif can is None:
                    factor = np.float32(mask.size / max(mask.sum(), 1))
                else:
                    factor = can.sum(axis=1) / np.maximum(can @ mask, 1)
                y[h * width : (h + 1) * width, index] = ((left @ g) * np.reshape(factor, (-1, 1))).T
            report((h + (index[-1] + 1) / queries.size) / affinity.heads, "masking keys")
    return out


def _check_reproduced(y: NDArray[np.float32], call: Call, block: str) -> None:
    real = _columns(call.y)
    off = float(np.linalg.norm(y - real)) / max(float(np.linalg.norm(real)), 1e-30)
    if not off < _OFF:
        raise CaptureError(
            f"The y of block {block!r} is not what its weights and values give (relative error "
            f"{off:.2g}), so nothing can be masked in it."
        )


def _columns(tensor: Any) -> NDArray[np.float32]:
    """(C', N) of a tensor (clips or frames, C', …)."""
    columns: NDArray[np.float32] = tensor.transpose(0, 1).flatten(1).float().cpu().numpy()
    return columns


def _replaced(y: NDArray[np.float32]) -> Callable[[Call], Tensor | None]:
    def change(call: Call) -> Tensor | None:
        if call.y is None:
            return None
        batch, channels = call.y.shape[:2]
        new = call.y.new_tensor(y).reshape(channels, batch, *call.y.shape[2:])
        return new.transpose(0, 1).contiguous()

    return change


def _of_classes(output: Any, network: Network) -> Tensor:
    logits = class_logits(output, network.classes)
    if logits is None:
        raise QueryError(_NO_CLASSES.format(network.name))
    return logits
