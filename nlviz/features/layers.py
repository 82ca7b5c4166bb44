"""Features of an analysis: θ and φ as they are held, any layer's by one more pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, QueryError
from nlviz.hooks.batch import Sample
from nlviz.hooks.capture import evaluating
from nlviz.hooks.features import LayerFeatures, Side, hearing_layers
from nlviz.hooks.memory import enough_memory
from nlviz.hooks.places.follow import Following, Places
from nlviz.hooks.places.notes import on_our_own
from nlviz.inference.forward import explaining
from nlviz.inference.passes import layout_of, network_input, telling_stages
from nlviz.inference.protocol import Network
from nlviz.progress import Progress, silent
from nlviz.query import OFS, Of, layer_of

NEEDS_A_PASS: tuple[Of, ...] = ("input", "output")
"""What an analysis does not hold, so that the network runs once more for it."""

Array = NDArray[np.float32]


def features_of(
    analysis: Analysis,
    block: str,
    of: Of,
    network: Network | None = None,
    progress: Progress | None = None,
) -> LayerFeatures:
    """The vectors of a block's input, θ, φ or output, or of a layer's input or output.

    Args:
        analysis: of which clip.
        block: a block of the analysis or, for input and output, the path of any layer.
        of: which vectors.
        network: the network that was analysed; None will do for θ and φ.
        progress: as for ``analyse``, of the pass.

    Raises:
        QueryError: an unknown block, nothing of this name, or no network where one is needed.
        CaptureError: a path that names no layer, or vectors that are not of one place each.
        NetworkError, BudgetError: what the pass raises.
    """
    if of not in OFS:
        raise QueryError(f"Features are of {', '.join(OFS)}; got {of!r}.")
    if of not in NEEDS_A_PASS:
        return _held(analysis.affinity(block), block, of)
    path = layer_of(block) or block
    if analysis.is_joined:
        raise QueryError(
            f"The {of} of {path!r} is of one window; leave out the neighbours, or take theta or "
            "phi."
        )
    if network is None:
        raise QueryError(
            f"The {of} of {path!r} is not held, so the network runs again for it; give the "
            "network, or take theta or phi."
        )
    with enough_memory(f"the {of} of {path!r}"):
        return _run(analysis, network, path, "input" if of == "input" else "output", progress)


def _run(
    analysis: Analysis, network: Network, path: str, side: Side, progress: Progress | None
) -> LayerFeatures:
    """One pass with a hook on the layer; its places are followed as those of blocks are.

    Calls that each see other cells, as frame by frame, are one map; it ends where one sees a cell
    again.
    """
    found: list[LayerFeatures] = []
    faults: list[CaptureError] = []
    again: list[str] = []

    def heard(call: str, read: Callable[[], LayerFeatures]) -> None:
        if again or faults:
            return
        try:
            with on_our_own():
                more = read()
        except CaptureError as why:  # told once the pass has ended
            faults.append(CaptureError(f"Layer {path!r} {why}."))
            return
        whole = found[0].with_call(more) if found else more
        if whole is None:
            again.append(call)
        else:
            found[:] = [whole]

    module = network.module
    with evaluating(module):
        given = network_input(analysis.clip, analysis.view, network)
        places = Places(module, (given,), layout=layout_of(network))
        sample = Sample(None, len(given))
        with (
            hearing_layers(module, [path], places, sample, heard, side=side),
            telling_stages(network, progress or silent),
            explaining(network, given),
            places.outside.hearing_scripts(places.holds),
            Following(places),
        ):
            module(given)
    if faults:
        raise faults[0]
    if not found:
        raise CaptureError(f"Layer {path!r} did not run in this forward pass; choose another.")
    return found[0]


def _held(affinity: Affinity, block: str, of: Of) -> LayerFeatures:
    """θ or φ on its grid, tokens left out, and what nlviz has added to them."""
    if affinity.is_derived:
        raise QueryError(
            f"Block {block!r} is derived from several layers and has rows alone, no {of}; choose a "
            "block of the network."
        )
    queries = of == "theta"
    grid = affinity.query_grid if queries else affinity.key_grid
    there = affinity.has_query if queries else affinity.has_key
    if not there.any():
        raise QueryError(
            f"Block {block!r} has no {'queries' if queries else 'keys'} on the clip, so there is "
            f"no {of} to look at; choose another."
        )
    if affinity.function == "concatenation":  # θ_i is (a_i, 1), φ_j is (1, b_j)
        own = np.array([queries, not queries])
    else:
        own = ~_added(affinity)
    held = affinity.theta if queries else affinity.phi
    vectors = held[:, : grid.size] if own.all() else held[own, : grid.size]
    return LayerFeatures(vectors, grid, there)


def _added(affinity: Affinity) -> NDArray[np.bool_]:
    """(C',), True for channels that are no features: those by which θ and φ hold further terms.

    A bias by position is held as channels of φ that say which slot a key is: in each head those
    that are 0 or 1 everywhere, one of them 1 at each key.
    """
    there = affinity.has_key.ravel()
    added = np.zeros(affinity.width, np.bool_)
    width = affinity.width // affinity.heads
    for head in range(affinity.heads):
        some = slice(head * width, (head + 1) * width)
        phi = affinity.phi[some, : there.size][:, there]
        binary = ((phi == 0) | (phi == 1)).all(axis=1) & (phi == 1).any(axis=1)
        if not binary.all() and binary.any() and (phi[binary].sum(axis=0) == 1).all():
            added[some] = binary
    return added
