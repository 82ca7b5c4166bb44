"""Options of a batch: all that decides its rows, beside the clips themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nlviz.errors import BatchError
from nlviz.geometry import Point, Region
from nlviz.query import EXCLUDES, Exclude

Arrays = Literal["npz", "safetensors"]
Figures = Literal["png", "svg", "pdf"]
Films = Literal["mp4", "gif"]
ARRAYS: tuple[Arrays, ...] = get_args(Arrays)
FIGURES: tuple[Figures, ...] = get_args(Figures)
FILMS: tuple[Films, ...] = get_args(Films)

ASKED = ("blocks", "points", "regions", "masks")
"""What ``ask`` may hold, beside ``"grid:N"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """What is asked of every clip of a batch, and of which networks.

    Args:
        models: networks as ``nlviz.load`` takes them, at least one; several are held against each
            other clip by clip.
        weights: a checkpoint of your own, where there is one network.
        ask: any of ``"points"`` and ``"regions"`` (``at``, and those that the list has for each
            clip), ``"grid:N"`` (N × N points on the middle frame), ``"masks"`` (each object of the
            clip's masks) and ``"blocks"`` (averages over all queries of a block). Empty for what
            ``at``, ``masks`` and the list have, else ``"blocks"``.
        at: places that every clip is asked about.
        masks: a folder with a folder of masks for each clip, of its name without ending, as
            ``read_masks`` takes it, or for a picture NAME.png.
        blocks: which blocks; all of them if empty.
        each_head: also a row for each head of a block with several; else for their mean alone.
        k, exclude: of the links, as for ``Query``; exclude None for what is usual.
        frames, stride, start: which frames of each clip, as for ``nlviz.read``; frames None for
            what each network was trained on.
        size: longer side of the networks' input; None for each one's own.
        device, input, trust: as for ``nlviz.load``; the last two are for networks by name.
        together: how many clips that follow each other in the list go through a network in one
            pass, where they are of one size. Numbers may then differ in their last digits from
            those of one clip at a time.
        window: cut longer clips into windows of so many sampled frames, of which the network sees
            one at a time; None to look at the sampled frames of each clip together. Every frame to
            the end is then sampled, unless ``frames`` or ``stride`` say otherwise.
        overlap: how many of them a window shares with the next; a quarter if None.
        neighbours: points, regions and grids are answered over the windows beside their own too,
            normalised anew by nlviz, in rows that say so.
        arrays: write θ, φ and the rows of what is asked, as this format.
        figures, films: draw what is asked, a file for each clip, network and block.
        features: paths of layers whose similarity is one more block, as for ``nlviz.analyse``; each
            network of the batch must have them.

    Raises:
        BatchError: an option outside these.
    """

    models: tuple[str, ...] = ("nl-lite0",)
    weights: str | None = None
    ask: tuple[str, ...] = ()
    at: tuple[Point | Region, ...] = ()
    masks: str | None = None
    blocks: tuple[str, ...] = ()
    each_head: bool = False
    k: int = 20
    exclude: Exclude | None = None
    frames: int | None = None
    stride: int | None = None
    start: int = 0
    size: int | None = None
    device: str = "auto"
    input: Mapping[str, Any] | None = None
    trust: tuple[str, ...] = ()
    together: int = 1
    window: int | None = None
    overlap: int | None = None
    neighbours: bool = False
    arrays: Arrays | None = None
    figures: Figures | None = None
    films: Films | None = None
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("models", "ask", "at", "blocks", "trust", "features"):
            given = getattr(self, name)
            several = (given,) if isinstance(given, (str, Point, Region)) else tuple(given)
            object.__setattr__(self, name, several)
        for name in ("weights", "masks"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, str(getattr(self, name)))
        if not self.models:
            raise BatchError("A batch needs a network; give one of `nlviz models`.")
        if len(set(self.models)) < len(self.models):
            raise BatchError(f"A network is given twice: {', '.join(self.models)}; give each once.")
        if self.weights is not None and len(self.models) > 1:
            raise BatchError(
                "Weights are for one network, and there are several; start a batch for each."
            )
        for each in self.ask:
            _check_asked(each)
        _check_choice("exclude", self.exclude, EXCLUDES)
        _check_choice("arrays", self.arrays, ARRAYS)
        _check_choice("figures", self.figures, FIGURES)
        _check_choice("films", self.films, FILMS)
        for name in ("k", "together", "window"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise BatchError(f"{name} must be at least 1; got {given}.")
        if self.window is None and (self.overlap is not None or self.neighbours):
            what = "neighbours" if self.overlap is None else "overlap"
            raise BatchError(f"{what} goes with windows; give a window as well.")
        if self.window is not None and self.together > 1:
            raise BatchError("Windows go through a network one at a time; leave out together.")

    def asked(self, *, places: bool, regions: bool, masks: bool) -> tuple[str, ...]:
        """``ask``, or where it is empty what a list has and ``at`` and ``masks`` say.

        Args:
            places, regions, masks: whether the list has any for some clip.
        """
        if self.ask:
            return tuple(dict.fromkeys(self.ask))
        found = {
            "points": places or any(isinstance(place, Point) for place in self.at),
            "regions": regions or any(isinstance(place, Region) for place in self.at),
            "masks": masks or self.masks is not None,
        }
        return tuple(name for name, there in found.items() if there) or ("blocks",)

    @property
    def compared(self) -> dict[str, Any]:
        """What two runs over one folder must share, as plain JSON."""
        left_out = {"models", "weights", "masks", "device", "ask", "trust"}
        whole: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        left_out |= set() if self.features else {"features"}
        return {name: value for name, value in whole.items() if name not in left_out}


def grid_side(asked: Sequence[str]) -> int | None:
    """N of ``"grid:N"``; None where no grid is asked."""
    return next((int(each.partition(":")[2]) for each in asked if each.startswith("grid:")), None)


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """``"size: 320 there, 448 here"`` for each entry in which two records differ."""
    names = dict.fromkeys((*there, *here))
    return [
        f"{name}: {_said(there.get(name))} there, {_said(here.get(name))} here"
        for name in names
        if there.get(name) != here.get(name)
    ]


def digest(*parts: Any) -> str:
    """SHA-256 in hexadecimal digits of some JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def _check_asked(word: str) -> None:
    head, _, number = word.partition(":")
    if head == "grid":
        if not number.isdecimal() or not 1 <= int(number) <= 100:
            raise BatchError(f"'{word}' is not a grid; write grid:3, with 1 to 100 for the number.")
    elif word not in ASKED:
        raise BatchError(f"'{word}' cannot be asked; choose of {', '.join(ASKED)} and grid:N.")


def _check_choice(name: str, given: str | None, allowed: Sequence[str]) -> None:
    if given is not None and given not in allowed:
        raise BatchError(f"{name} must be one of {', '.join(allowed)}; got {given!r}.")


def folder_of(out: str | Path) -> Path:
    """The folder that a batch is written to; BatchError for an address."""
    if "://" in str(out):
        raise BatchError(f"'{out}' is an address; give a folder of this machine or of its network.")
    return Path(out)
