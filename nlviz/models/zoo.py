"""Every network, bundled or published, and how to load one.

What is known of them needs no torch; loading one brings it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.errors import ZooError
from nlviz.models.bundled import RECORDS as BUNDLED
from nlviz.models.bundled import Record, backbone_weights
from nlviz.models.bundled import weights as bundled_weights
from nlviz.models.published.cache import is_fetched
from nlviz.models.published.catalogue import RECORDS as PUBLISHED
from nlviz.models.published.record import Published
from nlviz.models.score_windows import ScoreWindows
from nlviz.models.taps import Tap
from nlviz.resources import ASSETS

if TYPE_CHECKING:
    from torch import nn

    from nlviz.models.network import Network

__all__ = [
    "Network",
    "Published",
    "Record",
    "Tap",
    "ZooError",
    "backbone_weights",
    "bundled",
    "is_here",
    "load",
    "names",
    "published",
    "record",
    "side",
]

_IMAGENET, _KINETICS = ASSETS / "imagenet_labels.txt", ASSETS / "kinetics400_labels.txt"
_ROUND = 16  # the stride of the deepest block of the bundled networks
_STRIDE = 32  # the stride of the last stage of a ResNet


def names() -> tuple[str, ...]:
    """Names of all networks: the bundled ones, then those that others have published."""
    return (*bundled(), *(known.name for known in PUBLISHED))


def bundled() -> tuple[str, ...]:
    """Names of the networks that come with nlviz."""
    return tuple(known.name for known in BUNDLED)


def record(name: str) -> Record | Published:
    """The record of a network; ZooError with the list for an unknown name."""
    every: tuple[Record | Published, ...] = (*BUNDLED, *PUBLISHED)
    for known in every:
        if known.name == name:
            return known
    raise ZooError(f"Model {name!r} is unknown; choose one of {', '.join(names())}.")


def side(name: str) -> int:
    """What each side of a network's input is a multiple of, in pixels; ZooError as ``record``."""
    return _STRIDE if isinstance(record(name), Published) else _ROUND


def published(name: str) -> Published:
    """The record of a published network; ZooError for a bundled one, which needs no fetching."""
    known = record(name)
    if isinstance(known, Published):
        return known
    raise ZooError(
        f"Model {name!r} comes with nlviz and its own weights; you cannot fetch it or give it "
        "others."
    )


def is_here(name: str, folder: Path | str | None = None) -> bool:
    """Whether a network can be loaded at once: bundled, or fetched."""
    known = record(name)
    return isinstance(known, Record) or is_fetched(known, folder)


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
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is available.
        weights: your own checkpoint of a published kind of network, in any project's format,
            with as many classes as it has; nothing needs to be fetched then.
        folder: of fetched networks; see ``nlviz.models.published.cache``.

    Raises:
        ZooError: an unknown name, a network not fetched yet, a device that is not available,
            weights missing, damaged, or of another network.
    """
    from nlviz.models.checkpoints import checksum as file_checksum
    from nlviz.models.network import Network
    from nlviz.models.network import device as find_device
    from nlviz.models.nonlocal_lite import NonLocalLite
    from nlviz.models.published import fetch

    known = record(name) if weights is None else published(name)
    place = find_device(device)
    module: nn.Module
    checksum: str | None
    if isinstance(known, Published):
        if weights is None:
            module, checksum = fetch.module(known, folder), fetch.checksum(known, folder)
        else:
            module, checksum = fetch.module_from(known, weights), file_checksum(weights)
        labels, mean, deviation = _KINETICS, known.mean, known.deviation
        step, windows = known.plan.frames_step, None
    else:
        module = NonLocalLite(known.function, known.inner, context=known.context, norm=known.norm)
        module.load_state_dict(bundled_weights(known))
        checksum = f"sha256:{known.sha256}"
        labels, mean, deviation = _IMAGENET, (127.0,) * 3, (128.0,) * 3
        step, windows = 1, ScoreWindows()
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
        side=side(name),
        step=step,
        weights=checksum,
        score_windows=windows,
    )


def __getattr__(name: str) -> Any:
    if name != "Network":
        raise AttributeError(f"module 'nlviz.models.zoo' has no attribute {name!r}")
    from nlviz.models.network import Network

    return Network
