"""Options: what a person chose in the toolbar, read from a page, a file or an address."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeGuard, get_args

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.heat.colormap import Colours
from nlviz.heat.scale import Against, Curve
from nlviz.query import Exclude, RankBy

MOST_LINKS = 200

ViewMode = Literal["strip", "player"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the visitor chose in the viewer's toolbar.

    Args:
        block: None is the last one.
        head: one head of the block, from 0; None for the mean of all.
        reverse: who looks here, instead of what is looked at.
        k: how many links.
        rank_by: what links and heat show: affinity, or what each place adds.
        exclude: which places get no link.
        links: whether links are drawn.
        heat: whether the heat map is drawn.
        opacity: the heat map's, 0 to 1.
        scale: what the heat map is scaled to.
        curve: how weights become colours.
        colours: the heat map's, for weights from 0 up.
        sharpened: whether heat is drawn along the frames' edges, for display only.
        components: whether the colours of features are drawn, where there are any.
        together: the links of all pins, or of the chosen one alone.
        view: all frames, or one that plays.
    """

    block: str | None = None
    head: int | None = None
    reverse: bool = False
    k: int = 20
    rank_by: RankBy = "affinity"
    exclude: Exclude = "frame"
    links: bool = True
    heat: bool = True
    opacity: float = 0.7
    scale: Against = "row"
    curve: Curve = "linear"
    colours: Colours = "dusk"
    sharpened: bool = False
    components: bool = True
    together: bool = True
    view: ViewMode = "strip"

    def changed(self, said: object) -> Options:
        """With what the viewer said; a value that makes no sense leaves the old one."""
        if not isinstance(said, Mapping):
            return self
        known = {name: _READ[name](said[name]) for name in _READ if name in said}
        good = {name: value for name, value in known.items() if value is not _WRONG}
        return replace(self, **good)

    @property
    def needs_constants(self) -> bool:
        """Whether the page needs what ``blobs.constants_blob`` holds."""
        return self.reverse or self.scale == "block"

    @property
    def needs_sizes(self) -> bool:
        """Whether the page needs what ``blobs.sizes_blob`` holds."""
        return self.rank_by == "contribution"

    def fitting(self, analysis: Analysis) -> Options:
        """For one analysis: a block and a head it has, 'cell' where links stay in one frame.

        And affinity where the analysis does not know what the places of the block add.
        """
        block = self.block if self.block in analysis.blocks else analysis.default_block
        affinity = analysis.affinity(block)
        head = self.head if self.head is not None and self.head < affinity.heads else None
        alone = self.exclude == "frame" and not _joins_frames(analysis, affinity)
        exclude: Exclude = "cell" if alone else self.exclude
        known = block in analysis.sizes and analysis.sizes[block].any()
        rank_by: RankBy = self.rank_by if known else "affinity"
        return replace(self, block=block, head=head, exclude=exclude, rank_by=rank_by)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number, and not a boolean."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)


def _joins_frames(analysis: Analysis, affinity: Affinity) -> bool:
    return len(analysis.view.frames) > 1 and affinity.joins_frames


_WRONG = object()
_Read = Callable[[object], Any]


def _one_of(choices: object) -> _Read:
    return lambda said: said if said in get_args(choices) else _WRONG


def _yes_or_no(said: object) -> object:
    return said if isinstance(said, bool) else _WRONG


def _number(least: float, most: float, kind: type[int] | type[float]) -> _Read:
    return lambda said: kind(min(max(said, least), most)) if is_number(said) else _WRONG


def _head(said: object) -> object:
    return said if said is None else _number(0, 2**31, int)(said)


_READ: Mapping[str, _Read] = {
    "block": lambda said: said if isinstance(said, str) else _WRONG,
    "head": _head,
    "reverse": _yes_or_no,
    "k": _number(1, MOST_LINKS, int),
    "rank_by": _one_of(RankBy),
    "exclude": _one_of(Exclude),
    "links": _yes_or_no,
    "heat": _yes_or_no,
    "opacity": _number(0, 1, float),
    "scale": _one_of(Against),
    "curve": _one_of(Curve),
    "colours": _one_of(Colours),
    "sharpened": _yes_or_no,
    "components": _yes_or_no,
    "together": _yes_or_no,
    "view": _one_of(ViewMode),
}
