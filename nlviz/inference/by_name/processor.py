"""Processor: how a Hugging Face model's pictures are made, read from its files as numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlviz.errors import NetworkError
from nlviz.inference.by_name import extras
from nlviz.media.filters import Interpolation

_FILES = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
_PARTS = ("video_processor", "image_processor", "feature_extractor")  # of processor_config.json
_KINDS = ("video_processor_type", "image_processor_type", "feature_extractor_type")
_PIL: Mapping[int, Interpolation] = {
    0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Processor:
    """What a model's processor does to a picture, in nlviz's terms.

    Args:
        file: where it stands.
        size: (width, height) of what the model is given; None where it says none.
        mean, deviation: of pixels from 0 to 1.
        interpolation: how it resizes.
        channel_order: "RGB" or "BGR".
        frames: how many frames of a clip it takes; None where it does not say.
    """

    file: str
    size: tuple[int, int] | None
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    interpolation: Interpolation
    channel_order: str
    frames: int | None

    @classmethod
    def of(cls, folder: Path, *, video: bool) -> Processor | None:
        """That of a folder as ``save_pretrained`` writes it; None where it has none.

        What the file does not say is what the processor's class has where transformers can import
        that.

        Raises:
            NetworkError: a file that cannot be read, or that lacks a number which nothing gives.
        """
        file, said = _said(folder, video=video)
        if not file:
            return None
        whole = _Numbers(file, said)
        factor, offset = 1.0, 0.0
        if whole("do_rescale", True):
            factor = float(whole("rescale_factor", 1 / 255))
            offset = -1.0 if said.get("offset", _kind(said).startswith("Vivit")) else 0.0
        mean: tuple[float, ...] = (0.0,)
        deviation: tuple[float, ...] = (1.0,)
        if whole("do_normalize"):
            mean, deviation = (_row(whole(name)) for name in ("image_mean", "image_std"))
        # (255 factor x + offset − mean) / deviation, of x from 0 to 1
        mean = tuple((value - offset) / (255 * factor) for value in mean)
        deviation = tuple(value / (255 * factor) for value in deviation)
        mean, deviation = (each * 3 if len(each) == 1 else each for each in (mean, deviation))
        flipped = bool(said.get("do_flip_channel_order", False))
        if flipped:
            mean, deviation = mean[::-1], deviation[::-1]
        frames = said.get("num_frames")
        return cls(
            file=file,
            size=_size(whole),
            mean=mean,
            deviation=deviation,
            interpolation=_interpolation(whole),
            channel_order="BGR" if flipped else "RGB",
            frames=frames if isinstance(frames, int) else None,
        )


def read_json(path: Path) -> dict[str, Any]:
    """A file's object; NetworkError for what is no JSON object."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NetworkError(
            f"{path.name} of this model cannot be read ({error}); save or download it again."
        ) from error
    if not isinstance(read, dict):
        raise NetworkError(f"{path.name} of this model holds no record; save or download it again.")
    return read


def _said(folder: Path, *, video: bool) -> tuple[str, dict[str, Any]]:
    for name in _FILES if video else _FILES[1:]:
        if not (folder / name).is_file():
            continue
        read = read_json(folder / name)
        if name != "processor_config.json":
            return name, read
        parts = (read.get(part) for part in (_PARTS if video else _PARTS[1:]))
        if (part := next((each for each in parts if isinstance(each, dict)), None)) is not None:
            return name, part
    return "", {}


def _kind(said: Mapping[str, Any]) -> str:
    name = str(next((said[kind] for kind in _KINDS if said.get(kind)), ""))
    return name.removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of a processor's file, and of its class where the file leaves one out."""

    file: str
    said: Mapping[str, Any]

    def __call__(self, name: str, usual: Any = None) -> Any:
        if self.said.get(name) is not None:
            return self.said[name]
        found = self._of_class(name) if usual is None else usual
        if found is None:
            raise NetworkError(
                f"{self.file} of this model does not say {name!r}; say what it takes yourself, as "
                "mean, deviation, size and interpolation of --input."
            )
        return found

    def get(self, name: str) -> Any:
        """That number, or None where neither has it."""
        try:
            return self(name)
        except NetworkError:
            return None

    def _of_class(self, name: str) -> Any:
        kind = _kind(self.said)
        if not kind.isidentifier():
            return None
        try:
            with extras.transformers() as package:
                of = getattr(package, kind, None)
        except (NetworkError, ImportError):
            return None
        found = getattr(of, name, None)
        return None if callable(found) or isinstance(found, property) else found


def _row(said: Any) -> tuple[float, ...]:
    return tuple(map(float, said if isinstance(said, list | tuple) else [said]))


def _size(whole: _Numbers) -> tuple[int, int] | None:
    crops = bool(whole.said.get("do_center_crop", False))
    said = whole.said.get("crop_size") if crops else None
    if said is None and whole.said.get("do_resize", True):
        said = whole.get("size")
    if isinstance(said, int):
        return said, said
    if isinstance(said, list | tuple) and len(said) == 2:
        return int(said[1]), int(said[0])
    said = dict(said) if isinstance(said, Mapping) else {}
    for across, down in (("width", "height"), ("max_width", "max_height")):
        if said.get(across) and said.get(down):
            return int(said[across]), int(said[down])
    edge = said.get("shortest_edge") or said.get("longest_edge")
    return (int(edge), int(edge)) if isinstance(edge, int) and edge <= 4096 else None


def _interpolation(whole: _Numbers) -> Interpolation:
    said = whole("resample")
    known = _PIL.get(int(said)) if isinstance(said, int) else None
    if known is None:
        raise NetworkError(
            f"{whole.file} of this model resizes in a way that is unknown: {said!r}; say another "
            "yourself, as interpolation of --input."
        )
    return known
