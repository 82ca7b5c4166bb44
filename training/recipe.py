"""Everything a training run depends on; written into its log and its card."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from nlviz.models.nonlocal_block import Function


@dataclass(frozen=True, slots=True)
class Material:
    """The rendered clips, which all networks are trained on.

    Clips to find in are of ``length`` frames of one of the ``sizes``, width × height; those to mend
    are square, of ``mend_length`` frames and one of the ``mend_sides``.
    """

    seed: int = 0
    find_clips: int = 400
    length: int = 4
    sizes: tuple[tuple[int, int], ...] = ((320, 240), (512, 352))
    mend_clips: int = 600
    mend_length: int = 6
    mend_sides: tuple[int, ...] = (144, 192, 224, 240)

    def told(self) -> dict[str, object]:
        """What makes clip i what it is: everything but how many there are."""
        return {k: v for k, v in asdict(self).items() if k not in ("find_clips", "mend_clips")}


@dataclass(frozen=True, slots=True)
class Recipe:
    """First θ and φ of every block learn to find, then g and W learn to mend.

    The backbone stays as it is. In the first ``find_steps`` the rows of f/C are aimed at the true
    places in other frames. Then, for ``mend_steps``, what the corrupted clips' classes should be is
    taken from the untouched backbone on the clean clips; that moves no θ and no φ. A step takes one
    clip, and all clips again when they have been taken.

    With ``norm`` what the blocks compare is normalised; with ``tied`` θ and φ are one embedding.
    ``context`` is the side of the window that θ and φ of each block read. The further such windows
    learn, the better they point at places and objects, and the worse they carry a mask's edge.
    """

    function: Function = "embedded_gaussian"
    material: Material = Material()
    norm: bool = True
    tied: bool = True
    inner: tuple[int, int, int] = (40, 80, 112)
    context: tuple[int, int, int] = (1, 1, 1)
    find_steps: int = 600
    queries: int = 200
    near: float = 0.6  # of a key cell, the width of the aim around the true place
    layer: float = 1.0  # weight of the row's share on all of the query's own layer
    self_logit: float = 14.0  # θᵀφ of a feature with itself at the start
    find_rate: float = 1e-4
    context_rate: float = 6e-5  # of θ and φ that read a window
    length_rate: float = 3.5e-3  # of what normalised θ and φ are brought to
    mend_steps: int = 400
    mend_rate: float = 3e-4
    largest: float = 1.0  # norm of a step's gradient in mending
    keep: float = 2.0  # weight of staying the same on clean clips
    keep_pictures: float = 4.0  # and on photographs, which take the clean clip's turn every other

    @property
    def steps(self) -> int:
        """Of both parts together."""
        return self.find_steps + self.mend_steps
