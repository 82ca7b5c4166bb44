"""What a pass of a network is given, and its stages told as it reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.clip import Clip
from nlviz.geometry import View
from nlviz.hooks.module_calls import this_thread
from nlviz.inference.protocol import Network
from nlviz.inference.user_network import AxisOrder, UserNetwork
from nlviz.media.filters import filtered
from nlviz.progress import Progress


def network_input(clip: Clip, view: View, network: Network) -> torch.Tensor:
    """What a network's module is called with for a clip."""
    how = network.input.interpolation if isinstance(network, UserNetwork) else None
    if how is not None:
        return network.prepare(filtered(clip.frames, *view.input, how))
    return network.prepare(resized(clip.frames, *view.input))


def layout_of(network: Network) -> AxisOrder:
    """The axes of what a network's module is called with."""
    return network.layout if isinstance(network, UserNetwork) else "BCTHW"


def resized(frames: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Frames (T, height, width, 3), area-averaged where they shrink, so that no detail aliases."""
    shrinks = frames.shape[1] > height or frames.shape[2] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in frames])


@contextmanager
def telling_stages(network: Network, report: Progress) -> Iterator[None]:
    """Report each of the network's stages by its name as it begins, for one pass."""
    stages = network.stages
    begun: set[str] = set()

    def entered(stage: str) -> None:
        if stage not in begun:
            begun.add(stage)
            report(len(begun) / (len(stages) + 1), stage)

    with ExitStack() as hooks:
        for stage in stages:
            enter = this_thread(lambda module, args, stage=stage: entered(stage))
            part = network.module.get_submodule(stage)
            hooks.callback(part.register_forward_pre_hook(enter).remove)
        yield
