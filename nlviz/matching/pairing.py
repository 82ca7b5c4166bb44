"""A pairing: one block's θ of one clip against its φ of another, which no network weighed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from nlviz.about import MATCHED_COSINES
from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.display import listed
from nlviz.errors import QueryError
from nlviz.groups import NO_KEY, NO_QUERY, Groups, Links, reached_from
from nlviz.matching.content import by_content

if TYPE_CHECKING:
    from nlviz.inference.protocol import Network

Of = Literal["weights", "cosine"]
OF: tuple[Of, ...] = get_args(Of)
"""What two clips can be compared by."""

_ROWS = 64  # queries whose reach is looked at together

UNWEIGHED = "no network weighed these"

_KINDS: dict[Of, str] = {
    "weights": f"θ of one clip against φ of another; {UNWEIGHED}",
    "cosine": f"{MATCHED_COSINES}; {UNWEIGHED}",
}


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """One block asked in one clip and answered in another.

    Args:
        here: the analysis that is asked.
        there: the analysis that the answers lie in.
        block: the block's name, as in both.
        of: ``"weights"`` or ``"cosine"``.
        affinity: queries of ``here`` by keys of ``there``: f of θ and φ with C over the keys of
            ``there``, or the cosines.
        sentences: what has to be said beside any picture of it.
    """

    here: Analysis
    there: Analysis
    block: str
    of: Of
    affinity: Affinity
    sentences: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the block is called in answers: "nl5", or "nl5 (cosine)"."""
        return self.block if self.of == "weights" else f"{self.block} (cosine)"

    @property
    def kind(self) -> str:
        """What the block is, in a few words."""
        return f"{self.here.kinds.get(self.block, 'non-local block')}, {_KINDS[self.of]}"

    @property
    def asked(self) -> Analysis:
        """``here`` with this affinity alone; its keys are places of ``there``."""
        return replace(
            self.here,
            affinities=MappingProxyType({self.name: self.affinity}),
            fidelity=MappingProxyType({self.name: None}),
            kinds=MappingProxyType({self.name: self.kind}),
            places=MappingProxyType({}),
            refused=MappingProxyType({}),
            sizes=MappingProxyType({}),
            prediction=(),
        )


def pair(
    here: Analysis,
    there: Analysis,
    block: str | None = None,
    *,
    of: Of = "weights",
    network: Network | None = None,
) -> Pairing:
    """Pair a block of two analyses of one network: ask in ``here``, look in ``there``.

    ``"weights"`` takes θ of ``here`` and φ of ``there``: row i is f(x_i, x_j)/C, Eq. (1), with j
    over the keys of ``there`` alone. No network weighed these, for it never saw both clips
    together. Which links can exist, and a bias by position, are of one clip and are left out.
    ``"cosine"`` compares the block's input as the baseline of that name does, with weights from −1
    to 1, and runs the network once more on each clip.

    The clips may differ in size and length. Paired with its own clip, a block that looks everywhere
    and has no bias by position has its own rows.

    Args:
        here: the analysis that is asked.
        there: the analysis to look in; it may be the same.
        block: the block's name; the default one of ``here`` if None.
        of: ``"weights"`` or ``"cosine"``.
        network: the network of both; only ``"cosine"`` needs it.

    Raises:
        QueryError: analyses of different networks or weights, or of windows that were joined; a
            block that one of them lacks or that is another one there; an unknown ``of``; no
            network, or another one, where it is needed.
        CaptureError: a block whose input is not one feature vector for each place.
        BudgetError: the machine has too little memory.
    """
    block = here.default_block if block is None else block
    if of not in OF:
        raise QueryError(f"Clips are compared by {' or '.join(OF)}; got {of!r}.")
    _check_network(here, there)
    here.affinity(block)
    if block not in there.affinities:
        why = there.refused.get(block, f"it has {listed(there.blocks)}.")
        raise QueryError(f"Block {block!r} is not there in '{there.clip.name}': {why}")
    if of == "cosine":
        return Pairing(here, there, block, of, *_cosines(here, there, block, network))
    return Pairing(here, there, block, of, *_weights(here, there, block))


def _check_network(here: Analysis, there: Analysis) -> None:
    for each in (here, there):
        if each.is_joined:
            raise QueryError(
                f"'{each.clip.name}' is joined of several windows; match one window of it, as "
                "LongAnalysis.window gives it."
            )
    if here.network != there.network:
        raise QueryError(
            f"'{here.clip.name}' was analysed by {here.network} and '{there.clip.name}' by "
            f"{there.network}, whose features cannot be compared; analyse both with one network."
        )
    first, second = here.weights, there.weights
    if first is not None and second is not None and first != second:
        raise QueryError(
            f"Both clips were analysed by {here.network}, but with different weights, {first:.19}… "
            f"and {second:.19}…; analyse both with the same."
        )


def _weights(here: Analysis, there: Analysis, block: str) -> tuple[Affinity, tuple[str, ...]]:
    """θ of one against φ of the other, and what has to be said of it."""
    mine, theirs = here.affinity(block), there.affinity(block)
    theta, _, biased = by_content(mine)
    _, phi, _ = by_content(theirs)
    alike = mine.function == theirs.function and mine.heads == theirs.heads
    scale = _scale(mine, theirs)
    if not alike or len(theta) != len(phi) or scale is None:
        raise QueryError(
            f"Block {block!r} computes something else in '{there.clip.name}' than in "
            f"'{here.clip.name}'; choose another block, or compare by cosine."
        )
    if mine.tokens != theirs.tokens:
        raise QueryError(
            f"Block {block!r} has other tokens in '{there.clip.name}' than in "
            f"'{here.clip.name}'; choose another block, or compare by cosine."
        )
    made = Affinity(
        mine.function,
        theta,
        phi,
        mine.query_grid,
        theirs.key_grid,
        scale,
        mine.heads,
        _reach(Side(mine), Side(theirs, reverse=True)),
        mine.tokens,
    )
    name = there.clip.name
    said = [f"Each row goes over the places of '{name}' alone; {UNWEIGHED}."]
    if made.rows_sum_to_one:
        tokens = ", its tokens included" if made.tokens else ""
        said = [
            f"Each row is a distribution over the places of '{name}' alone{tokens}: it sums to 1 "
            f"also where nothing there is alike; {UNWEIGHED}."
        ]
    if _limited(mine):
        said.append(
            f"Within a clip the block links {here.about(block).reach}; between clips that says "
            "nothing, so here every place can be reached."
        )
    if biased:
        said.append("The block's bias by position is between places of one clip and is left out.")
    return made, tuple(said)


def _scale(mine: Affinity, theirs: Affinity) -> float | None:
    """The factor on the logits that both have; None where they differ.

    A layer's similarity has its own number of keys, which takes away that Eq. (4) divides by it.
    """
    if all(each.scale == Side(each, reverse=True).cells.size for each in (mine, theirs)):
        return theirs.scale
    return mine.scale if np.isclose(mine.scale, theirs.scale, rtol=1e-3) else None


def _cosines(
    here: Analysis, there: Analysis, block: str, network: Network | None
) -> tuple[Affinity, tuple[str, ...]]:
    """The cosines of a block's input, and what has to be said of them."""
    if network is None:
        raise QueryError("Comparing by cosine runs the network again; give it.")
    if network.name != here.network:
        raise QueryError(f"The clips were analysed by {here.network}; got {network.name}.")
    from nlviz.experiments.baselines import baseline  # brings torch

    analyses = (here,) if here is there else (here, there)
    found = [baseline(each, network, block, "cosine") for each in analyses]
    mine, theirs = (next(iter(found[at].affinities.values())) for at in (0, -1))
    asked = Side(theirs, reverse=True)
    made = Affinity(
        "dot_product",
        mine.theta,
        theirs.phi,
        mine.query_grid,
        theirs.key_grid,
        float(asked.cells.size),  # Eq. (4) divides by as many, so that weights are cosines
        reach=_reach(Side(mine), asked),
    )
    said = f"Weights are cosines of the block's input, from −1 to 1, each by itself; {UNWEIGHED}."
    return made, (said,)


def _reach(asking: Side, asked: Side) -> tuple[Links, ...]:
    """From each query that is there to each key that is there."""
    queries, keys = asking.present, asked.present
    if queries.all() and keys.all():
        return ()
    return (Groups(np.where(queries, 0, NO_QUERY), np.where(keys, 0, NO_KEY)),)


def _limited(affinity: Affinity) -> bool:
    """Whether some query reaches some key, but not all, within the clip."""
    keys = Side(affinity, reverse=True).present
    asking = np.flatnonzero(Side(affinity).present)
    for start in range(0, asking.size, _ROWS):
        reached = reached_from(affinity.reach, asking[start : start + _ROWS])
        if reached is not None and not reached[:, keys].all():
            return True
    return False
