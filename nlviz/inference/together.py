"""Clips of one size in one pass of a network: the same records as one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import BudgetError, NetworkError
from nlviz.geometry import MOST_INPUT, View
from nlviz.hooks.capture import capture_each
from nlviz.hooks.memory import enough_memory
from nlviz.hooks.nonlocal_blocks.parts import BlockParts
from nlviz.inference.forward import analyse, analysis_of
from nlviz.inference.passes import network_input
from nlviz.inference.protocol import Network
from nlviz.inference.user_network import LARGEST, UserNetwork


def analyse_together(
    clips: Sequence[Clip],
    network: Network,
    *,
    size: int | None = None,
    features: Sequence[str] = (),
) -> list[Analysis]:
    """Run a network once on clips of one shape, as ``analyse`` does on each.

    Weights agree with those of ``analyse`` up to rounding. A network that does not take several
    clips at once, or of which nlviz does not know where each block lies, runs on one after the
    other; so does one whose class scores come from passes of their own. Where the memory does not
    do for all, they run in halves.

    Args:
        clips: of one shape (T, H, W, 3).
        network, size, features: as for ``analyse``; with features one goes after the other.

    Raises:
        NetworkError, CaptureError, BudgetError: as ``analyse``.
    """
    if len(clips) < 2 or features or not _takes_several(network):
        return [analyse(clip, network, size=size, features=features) for clip in clips]
    try:
        return _at_once(clips, network, network.default_size if size is None else size)
    except BudgetError:
        middle = len(clips) // 2
        return [
            each
            for half in (clips[:middle], clips[middle:])
            for each in analyse_together(half, network, size=size)
        ]


def _takes_several(network: Network) -> bool:
    """Whether it is one of the zoo's, whose clips lie along the first axis of the input."""
    blocks = {
        name for name, module in network.module.named_modules() if BlockParts.of(module) is not None
    }
    own = isinstance(network, UserNetwork) or getattr(network, "score_windows", None) is not None
    return not own and bool(blocks) and blocks <= {*network.taps}


def _at_once(clips: Sequence[Clip], network: Network, size: int) -> list[Analysis]:
    if not 1 <= size <= LARGEST:
        raise NetworkError(f"The input size {size} is not supported; choose 1 to {LARGEST} pixels.")
    first = clips[0]
    width, height = network.input_size(first.width, first.height, size)
    frames = len(first.frames)
    if frames * width * height * len(clips) > MOST_INPUT:
        raise BudgetError("They do not fit into memory together.")
    views = [View((c.width, c.height), (width, height), c.indices) for c in clips]
    pairs = list(zip(clips, views, strict=True))
    with enough_memory(f"{len(clips)} clips of {frames} frames at {width}×{height}"):
        batch = torch.cat([network_input(clip, view, network) for clip, view in pairs])
        seen = capture_each(network.module, batch, tuple(network.taps))
    return [
        analysis_of(clip, view, network, each, each.output)
        for (clip, view), each in zip(pairs, seen, strict=True)
    ]
