"""How labels are carried: the numbers of label propagation, and those of published protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from nlviz.errors import QueryError

Decision = Literal["half", "most", "stretched"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)

SHARE, LEAST = 0.5, 0.2  # of a frame's highest label, and what that must reach

_DECIDED: Mapping[str, str] = {
    "half": (
        "a pixel is on the object above half of its frame's highest label, and nothing is where no "
        "label of the frame reaches 0.2."
    ),
    "most": "a pixel is on what has the highest label there, the background among them.",
    "stretched": (
        "each label, the background's among them, is stretched to 0 to 1 over the frame, and a "
        "pixel is on what is highest there."
    ),
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """The numbers of label propagation; ``words`` says what they do.

    Args:
        context: how many of the last labelled time steps count, beside the one with the mask.
        radius: how far a key may lie from the cell, in diagonals of the frame; None for anywhere.
        heaviest: how many keys count for each cell.
        temperature: τ of a softmax over these keys, of f's logits: the block's for the softmax
            kinds, f itself for the others, as a cosine. None weighs them by f/C as it is.
        in_cells: whether the radius is in cells of the query grid.
        square: whether it goes as far down and across, each by itself.
        first_anywhere: whether the frame with the mask is free of the radius.
        decision: when a pixel is on an object, one of ``DECISIONS``; ``words`` says each.

    Raises:
        QueryError: a number below 1, a radius or temperature that is not above 0, or an unknown
            decision.
    """

    context: int = 7
    radius: float | None = 0.2
    heaviest: int = 10
    temperature: float | None = None
    in_cells: bool = False
    square: bool = False
    first_anywhere: bool = False
    decision: Decision = "half"

    def __post_init__(self) -> None:
        if self.context < 1 or self.heaviest < 1 or (self.radius is not None and self.radius <= 0):
            raise QueryError(
                f"Tracking takes at least 1 frame of context and 1 key, and a radius above 0; got "
                f"{self.context}, {self.heaviest} and {self.radius}."
            )
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise QueryError(f"A temperature must be above 0; got {self.temperature:g}.")
        if self.decision not in DECISIONS:
            raise QueryError(
                f"Decision {self.decision!r} is unknown; choose one of {', '.join(DECISIONS)}."
            )

    @property
    def words(self) -> str:
        """The protocol in words, without the numbers that ``numbers`` tells."""
        weighed, kept = "its own row of f/C", "; negative weights count as 0"
        heat = ", and no temperature is added"
        if self.temperature is not None:
            weighed, kept = "a softmax of their logits over the temperature", ""
            heat = ""
        near = "" if self.radius is None else " and within a radius in space"
        if self.radius is not None and self.first_anywhere:
            near += " (in the frame with the mask anywhere)"
        return (
            "Label propagation, as is usual on DAVIS. The mask of one frame is averaged over each "
            "cell. Then frame by frame, away from that one: each cell takes the mean of the labels "
            f"of its heaviest keys, weighed by {weighed}. Keys count if they lie in the context "
            f"(the frame with the mask and the frames last labelled){near}{kept}. Nothing is "
            f"trained{heat}. Labels are brought to the source's size bilinearly; "
            f"{_DECIDED[self.decision]}"
        )

    @property
    def numbers(self) -> str:
        """Its numbers in a few words."""
        unit = "cells" if self.in_cells else "diagonals"
        square = " down and across" if self.square else ""
        near = "anywhere" if self.radius is None else f"within {self.radius:g} {unit}{square}"
        keys = "key" if self.heaviest == 1 else "keys"
        frames = "frame" if self.context == 1 else "frames"
        heat = "" if self.temperature is None else f", temperature {self.temperature:g}"
        return f"{self.context} {frames} of context, {self.heaviest} heaviest {keys} {near}{heat}"


PROTOCOL = Protocol().words
"""The usual protocol in words."""


@dataclass(frozen=True, slots=True)
class Preset:
    """The protocol of a paper's own code, which carries labels by the cosine of features.

    Args:
        paper: authors, title and year.
        source: where its numbers stand.
        protocol: the numbers.
        short_side: pixels of the shorter side of the network's input there.
    """

    paper: str
    source: str
    protocol: Protocol
    short_side: int

    def size(self, width: int, height: int) -> int:
        """The longer side of the network's input for a clip of so many pixels."""
        return round(self.short_side * max(width, height) / min(width, height))


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "crw": Preset(
            "Jabri, Owens and Efros, Space-Time Correspondence as a Contrastive Random Walk, 2020",
            "github.com/ajabri/videowalk, README.md (the command for DAVIS) and code/test.py",
            # Its radius of 12 leaves 12 itself out, and is not put on the first frame.
            Protocol(20, 11.99, 10, 0.05, True, first_anywhere=True, decision="most"),
            480,
        ),
        "dino": Preset(
            "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021",
            "github.com/facebookresearch/dino, eval_video_segmentation.py",
            Protocol(7, 12, 5, 0.1, True, True, decision="stretched"),
            480,
        ),
        "dinov3": Preset(
            "Siméoni et al., DINOv3, 2025",
            "github.com/facebookresearch/dinov3, notebooks/segmentation_tracking.ipynb",
            Protocol(7, 12, 5, 0.2, True, decision="stretched"),
            960,
        ),
    }
)
"""Protocols by the name of their paper."""


def preset(name: str) -> Preset:
    """The protocol of a paper; QueryError naming those there are for an unknown one."""
    if name not in PRESETS:
        raise QueryError(f"Preset {name!r} is unknown; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
