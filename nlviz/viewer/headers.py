"""Headers: what the JSON at the start of each blob says."""

from __future__ import annotations

from typing import Literal, TypedDict

Dtype = Literal["f16", "f32", "i32", "u8"]


class GridHeader(TypedDict):
    """A grid in source pixels: its first cell's centre and the steps from one to the next.

    ``frames`` are those that each time step covers, ``steps`` the step that stands for each frame.
    """

    t: int
    rows: int
    cols: int
    x0: float
    y0: float
    dx: float
    dy: float
    frames: list[list[int]]
    steps: list[int]


class ClipHeader(TypedDict):
    """The clip: parts frame0, frame1 … are JPEGs; source indices and seconds of the frames."""

    kind: Literal["clip"]
    name: str
    width: int
    height: int
    frames: list[int]
    times: list[float]


class BlockHeader(TypedDict):
    """A block: parts phi, theta where it is another, and of each rule of what is
    reached query0, key0 and until0, or bits0 ….

    Its width is its channels.
    """

    kind: Literal["block"]
    clip: str
    name: str
    label: str
    function: str
    stride: list[float]
    width: int
    heads: int
    tokens: list[str]
    reach: int
    scale: float
    query: GridHeader
    key: GridHeader
    fidelity: float | None
    joins_frames: bool
    about: list[str]


class ConstantsHeader(TypedDict):
    """Constants of a block's rows, by its tag; the lowest and highest weight of mean and heads."""

    kind: Literal["constants"]
    block: str
    extremes: list[tuple[float, float]]


class SizesHeader(TypedDict):
    """What each key of a block adds, by the block's tag; or a sentence why that is not known."""

    kind: Literal["sizes"]
    block: str
    problem: str | None


class MaskHeader(TypedDict):
    """An object over the frames: parts mask0, mask1 … are PNGs."""

    kind: Literal["mask"]
    clip: str
    frames: list[int]


class ComponentsHeader(TypedDict):
    """Colours of cells that are no weights, and what they are: part cells, RGBA cell by cell."""

    kind: Literal["components"]
    clip: str
    grid: GridHeader
    words: list[str]


class PartEntry(TypedDict):
    """Where a part lies after the header, in bytes."""

    name: str
    dtype: Dtype
    offset: int
    length: int


class Packed(TypedDict):
    """What every header has in addition once it is packed."""

    tag: str
    parts: list[PartEntry]
