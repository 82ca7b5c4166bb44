"""The networks of a batch: loaded once, and known again by their weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nlviz.batches.measuring import without_scores
from nlviz.batches.one_clip import Loaded
from nlviz.batches.options import BatchOptions
from nlviz.errors import BatchError, QueryError
from nlviz.inference.loading import is_by_name, is_user_network, load, usual_frames
from nlviz.inference.user_network import UserNetwork
from nlviz.media.sampling import Sampling
from nlviz.windows.long_analysis import frames_of
from nlviz.windows.plan import WindowPlan


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The networks of a batch.

    Args:
        loaded: in the order of the options.
        samplings: which frames of a clip; each network sees one of them. Empty for clips in
            windows, where all networks see the same.
        described: each one's name, and what tells its weights from others.
    """

    loaded: tuple[Loaded, ...]
    samplings: tuple[Sampling, ...]
    described: dict[str, str]

    @classmethod
    def of(cls, options: BatchOptions) -> Networks:
        """Load them.

        Raises:
            NetworkError: as ``nlviz.load``.
            BatchError: two networks of one name, a block that a network does not have, or windows
                that it does not take.
        """
        loaded: list[Loaded] = []
        samplings: list[Sampling] = []
        described: dict[str, str] = {}
        for spec in options.models:
            sized = {"size": options.size} if options.size is not None else {}
            said = {**sized, **(options.input or {})} if is_by_name(spec) else options.input
            network = load(
                spec,
                device=options.device,
                weights=options.weights,
                input=said or None,
                trust=options.trust,
            )
            _check_blocks(network, options)
            _check_windows(network, options)
            if network.name in described:
                raise BatchError(
                    f"Two networks are called {network.name}; rename the file or function of one."
                )
            described[network.name] = _weights(spec, network)
            if options.window is not None:
                loaded.append(Loaded(without_scores(network), 0))
                continue
            frames = options.frames
            if frames is None:
                frames = usual_frames(spec, network if isinstance(network, UserNetwork) else None)
            sampling = Sampling(frames, options.stride, options.start)
            if sampling not in samplings:
                samplings.append(sampling)
            loaded.append(Loaded(without_scores(network), samplings.index(sampling)))
        return cls(tuple(loaded), tuple(samplings), described)


def _check_blocks(network: Any, options: BatchOptions) -> None:
    for block in options.blocks:
        if network.taps and block not in network.taps:
            raise BatchError(
                f"Block '{block}' does not exist in {network.name}; choose of "
                f"{', '.join(network.taps)}."
            )


def _check_windows(network: Any, options: BatchOptions) -> None:
    if options.window is None:
        return
    try:
        WindowPlan(options.window, options.window, options.overlap, *frames_of(network))
    except QueryError as why:
        raise BatchError(f"{network.name}: {why}") from None


def _weights(spec: str, network: Any) -> str:
    """What tells a network from another: its weights' checksum, or where there is none all.

    A file of one's own may set its weights itself, so theirs are looked at as they are, and the
    file with them.
    """
    own = is_user_network(spec)
    if not own and network.weights is not None:
        return str(network.weights)
    whole = hashlib.sha256(Path(spec.rpartition(":")[0]).read_bytes() if own else b"")
    for name, tensor in network.module.state_dict().items():
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if not tensor.is_meta:
            plain = tensor.detach().cpu().contiguous().flatten()
            whole.update(plain.view(torch.uint8).numpy().tobytes())
    return f"sha256:{whole.hexdigest()}"
