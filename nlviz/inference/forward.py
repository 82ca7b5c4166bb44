"""One forward pass of a network on a clip, and everything a view of it needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import MappingProxyType

import torch

from nlviz.about import SIMILARITY
from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import BudgetError, NetworkError
from nlviz.geometry import MOST_INPUT, Grid, View
from nlviz.hooks.capture import Capture, capture
from nlviz.hooks.memory import enough_memory
from nlviz.inference.passes import layout_of, network_input, telling_stages
from nlviz.inference.protocol import Network, Tap
from nlviz.inference.score_passes import declared, mean_logits, windows_of
from nlviz.inference.scores import top_classes, why_no_class
from nlviz.inference.user_network import LARGEST, UserNetwork
from nlviz.progress import Progress, part_of, silent


def analyse(
    clip: Clip,
    network: Network,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    features: Sequence[str] = (),
) -> Analysis:
    """Run a network once on a clip and keep each block's θ and φ.

    Where the network says so (the bundled ones do), its class scores come from further passes, one
    for each of a few square windows of the picture; nothing is captured of these.

    Args:
        clip: the frames.
        network: a network of ``nlviz.models.zoo.load`` or one of the same shape.
        size: the longer side of the network's input in pixels, up to 4096 and at least what
            the network takes; its own default if None. The aspect ratio is kept, up to rounding to
            the network's grid.
        progress: called with a fraction from 0 to 1 and a word on what is being done; what it
            raises stops the analysis.
        features: paths of layers of the network's module, convolutional ones too: the cosines of
            what each puts out become one more block, ``"PATH (similarity)"``, which is no weight of
            the network. So one without attention can be asked as well.

    Raises:
        NetworkError: a size outside the range, or an error of the user's own module.
        CaptureError: no block or attention ran, or none could be reproduced; a path that names no
            layer.
        BudgetError: the machine has too little memory; says what to lower.
    """
    size = network.default_size if size is None else size
    if not 1 <= size <= LARGEST:
        raise NetworkError(f"The input size {size} is not supported; choose 1 to {LARGEST} pixels.")
    report = progress or silent
    report(0.0, "preparing the frames")
    width, height = network.input_size(clip.width, clip.height, size)
    view = View((clip.width, clip.height), (width, height), clip.indices)
    most = MOST_INPUT // (width * height)
    if len(clip.frames) > most:
        raise BudgetError(
            f"{len(clip.frames)} frames at {width}×{height} do not fit into memory; take at most "
            f"{most} frames, or a smaller input size."
        )
    windows = windows_of(clip, network)
    of_windows = sum(each.pixels for each in windows)
    turn = width * height / (width * height + of_windows)  # from the picture to the windows
    with enough_memory(f"{len(clip.frames)} frames at {width}×{height}"):
        frames = network_input(clip, view, network)
        told = part_of(report, 0.0, turn, f"running {network.name}: ")
        with telling_stages(network, told), explaining(network, frames):
            seen = capture(
                network.module,
                frames,
                sample=None,
                recorded=tuple(network.taps),
                layout=layout_of(network),
                features=features,
            )
    output = seen.output
    if windows:
        told = part_of(report, turn, 1.0, f"class scores of {network.name}, ")
        output = mean_logits(windows, clip, network, progress=told)
    report(1.0, "done")
    return analysis_of(clip, view, network, seen, output)


def analysis_of(
    clip: Clip, view: View, network: Network, seen: Capture, output: object
) -> Analysis:
    """The record of one pass.

    Args:
        clip, view, network: what ran.
        seen: what was captured.
        output: what class scores are read from.
    """
    why = why_no_class(output, network.classes)
    notes = dict.fromkeys((*clip.notes, *([why] if why else [])))
    return Analysis(
        clip=replace(clip, notes=tuple(notes)) if why else clip,
        view=view,
        network=network.name,
        affinities=MappingProxyType(
            {
                name: placed(
                    affinity,
                    view,
                    None
                    if seen.kinds[name] == SIMILARITY
                    else network.taps.get(name.partition("#")[0]),
                )
                for name, affinity in seen.affinities.items()
            }
        ),
        fidelity=MappingProxyType(dict(seen.fidelity)),
        prediction=top_classes(output, network.classes),
        refused=seen.refused,
        kinds=seen.kinds,
        places=seen.places,
        weights=getattr(network, "weights", None),  # networks of others need not say
        score_windows=declared(network),
    )


def explaining(network: Network, frames: torch.Tensor) -> AbstractContextManager[None]:
    """Report errors of a user's own module as such; ours raise only where nlviz has a bug."""
    return network.explaining(frames) if isinstance(network, UserNetwork) else nullcontext()


def placed(affinity: Affinity, view: View, tap: Tap | None) -> Affinity:
    """Put the affinity's grids where the network's tap says; without one they lie as captured."""
    if tap is None:
        queries, keys = (_tiled(grid, view) for grid in (affinity.query_grid, affinity.key_grid))
        if affinity.key_grid.stride is None and affinity.query_grid.stride is None:
            keys = queries.pooled(affinity.key_grid.shape)
        return replace(affinity, query_grid=queries, key_grid=keys)
    queries = replace(affinity.query_grid, stride=tap.stride, first=tap.first)
    return replace(affinity, query_grid=queries, key_grid=queries.pooled(affinity.key_grid.shape))


def _tiled(grid: Grid, view: View) -> Grid:
    """A grid that says nothing of where it lies tiles the input evenly."""
    if grid.stride is not None:
        return grid
    extent = (len(view.frames), *reversed(view.input))
    dt, dy, dx = (size / n for size, n in zip(extent, grid.shape, strict=True))
    return replace(grid, stride=(dt, dy, dx), first=(dt / 2, dy / 2, dx / 2))
