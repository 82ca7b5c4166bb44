"""A video ResNet of the non-local literature, as a frozen plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from nlviz.models.pairwise import Function
from nlviz.models.taps import Tap

BlockPlaces = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
Stages = tuple[int, int, int, int]

R50: Stages = (3, 4, 6, 3)
R101: Stages = (3, 4, 23, 3)

# Temporal kernels of the stem and of res2 to res5, where they repeat from block to block.
C2D_KERNELS = ((1,), (1,), (1,), (1,), (1,))
I3D_KERNELS = ((5,), (3,), (3, 1), (3, 1), (1, 3))
SLOW_KERNELS = ((1,), (1,), (1,), (3,), (3,))


@dataclass(frozen=True, slots=True)
class Plan:
    """A ResNet over spacetime with non-local blocks; Table 1 of the paper and what followed it.

    Args:
        blocks: residual blocks of res2 to res5; ``R50`` or ``R101``.
        kernels: temporal kernel sizes of the stem and of the first convolution of the residual
            blocks of res2 to res5; a stage's sizes repeat over its blocks.
        stem_stride: temporal stride of the first convolution.
        pool1: temporal kernel and stride of the pool after it.
        pool1_padding: its padding in space; 0 in Caffe2, 1 elsewhere.
        pool2: temporal kernel and stride of the pool after res2.
        shift: shift an eighth of the channels each way in time before the residual blocks (TSM).
        places: after which residual blocks of res2 to res5 a non-local block sits.
        function: the blocks' pairwise function.
        scaled: divide the logits of a softmax by √C', C' being the width of θ and φ.
        sub_sample: pool the keys.
        pool_first: pool them before φ and g, and not behind.
        group: frames that see each other in the blocks of res3; None for all.
        classes: how many there are.
        width: channels of the stem; 64 but in tests.
    """

    blocks: Stages = R50
    kernels: tuple[tuple[int, ...], ...] = I3D_KERNELS
    stem_stride: int = 2
    pool1: tuple[int, int] = (2, 2)
    pool1_padding: int = 0
    pool2: int = 2
    shift: bool = False
    places: BlockPlaces = ((), (1, 3), (1, 3, 5), ())
    function: Function = "embedded_gaussian"
    scaled: bool = True
    sub_sample: bool = True
    pool_first: bool = True
    group: int | None = None
    classes: int = 400
    width: int = 64

    @property
    def frames_step(self) -> int:
        """Input frames to one time step of res3 and deeper."""
        return self.stem_stride * self.pool1[1] * self.pool2

    @property
    def taps(self) -> Mapping[str, Tap]:
        """Path of each non-local block to its tap, from input to output."""
        kernel, pool = self.kernels[0][0], self.pool1
        tap = Tap().after((kernel, 7, 7), (self.stem_stride, 2, 2), (kernel // 2, 3, 3))
        padding = self.pool1_padding
        tap = tap.after((pool[0], 3, 3), (pool[1], 2, 2), (0, padding, padding))
        taps: dict[str, Tap] = {}
        for index, places in enumerate(self.places):
            if index == 1:
                tap = tap.after((self.pool2, 1, 1), (self.pool2, 1, 1), (0, 0, 0))
            if index > 0:
                tap = tap.after((1, 3, 3), (1, 2, 2), (0, 1, 1))
            taps |= {f"res{index + 2}.nl{place}": tap for place in places}
        return MappingProxyType(taps)

    def kernel(self, stage: int, block: int) -> int:
        """Temporal kernel of a residual block, both counted from 0."""
        sizes = self.kernels[stage + 1]
        return sizes[block % len(sizes)]

    def shifts(self, block: int) -> bool:
        """Whether a residual block shifts its input in time; in deep networks every second does."""
        return self.shift and block % (2 if self.blocks[2] >= R101[2] else 1) == 0


def paper(
    kind: Literal["c2d", "i3d"],
    *,
    depth: int = 50,
    blocks: int = 5,
    function: Function = "embedded_gaussian",
) -> Plan:
    """The paper's networks: Table 1 with 1, 5 or 10 non-local blocks, as its authors' code has it.

    Args:
        kind: "c2d", whose convolutions see single frames, or "i3d".
        depth: 50 or 101.
        blocks: how many non-local blocks; see ``spread``.
        function: their pairwise function.

    Raises:
        ValueError: another kind, depth or number of blocks.
    """
    kernels, stages = {"c2d": C2D_KERNELS, "i3d": I3D_KERNELS}, {50: R50, 101: R101}
    if kind not in kernels or depth not in stages:
        raise ValueError(f"There is no {kind!r} of depth {depth}; choose c2d or i3d, 50 or 101.")
    places = spread(stages[depth], blocks)
    return Plan(blocks=stages[depth], kernels=kernels[kind], places=places, function=function)


def spread(blocks: Stages, count: int) -> BlockPlaces:
    """Where the paper puts 1, 5 or 10 non-local blocks in a ResNet-50 or -101.

    One sits before the last residual block of res4; five sit after every other block of res3 and
    res4 of a ResNet-50, and as many, evenly, in the longer res4 of a ResNet-101; ten after every
    block of res3 and six of res4.

    Raises:
        ValueError: another count.
    """
    long = blocks[2] >= R101[2]
    if count == 1:
        return ((), (), (blocks[2] - 2,), ())
    if count == 5:
        return ((), (1, 3), (6, 13, 20) if long else (1, 3, 5), ())
    if count == 10:
        return ((), (0, 1, 2, 3), (2, 6, 10, 14, 18, 22) if long else (0, 1, 2, 3, 4, 5), ())
    raise ValueError(f"The paper has no network with {count} non-local blocks; choose 1, 5 or 10.")
