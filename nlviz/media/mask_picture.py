"""A mask's picture as the numbers that its file holds: grey values, palette indices or colours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nlviz.media import images
from nlviz.media.source import Source

Values = NDArray[np.int32]
Kind = Literal["grey", "palette", "colour"]

_LOSSY = ("JPEG", "AVIF")


@dataclass(frozen=True, eq=False)
class MaskPicture:
    """One upright picture of a mask.

    Args:
        name: the file's.
        kind: what its numbers are.
        values: (H, W), 0 or above: grey, 8 or 16 bits as in the file; palette indices; or colours
            as 0xRRGGBB.
        clear: (H, W), True where it is transparent.
        palette: (n, 3) RGB of a palette's indices; empty for other kinds.
        lossy: whether saving it has changed its numbers.
    """

    name: str
    kind: Kind
    values: Values
    clear: NDArray[np.bool_]
    palette: NDArray[np.int32]
    lossy: bool = False

    @classmethod
    def read(cls, source: Source) -> MaskPicture:
        """The first frame of an image file; MediaError."""
        with images.open_image(source) as image:
            deep = _is_deep_colour(image)  # known until it is decoded
            upright = images.orientation(image)
            image.load()
            kind, values, palette = _numbers(image)
            clear = _clear(image)
            lossy = image.format in _LOSSY or _is_lossy_webp(image, source)
            if deep:  # Pillow keeps the upper 8 bits alone, and a mask of 0 and 1 has none
                kind, values = "colour", _deep_colours(source, values)
        picture = cls(source.name, kind, values, clear, palette, lossy)
        picture = picture.as_grey() if kind == "colour" and picture.is_grey else picture
        return replace(picture, values=upright(picture.values), clear=upright(clear))

    @cached_property
    def used(self) -> Values:
        """The numbers that are somewhere not transparent, rising."""
        return np.unique(self.values[~self.clear] if self.clear.any() else self.values)

    @cached_property
    def solid(self) -> Values:
        """Those of them that somewhere fill 3 × 3 pixels, rising."""
        v = np.where(self.clear, -1, self.values) if self.clear.any() else self.values
        in_row = (v[:, :-2] == v[:, 1:-1]) & (v[:, 1:-1] == v[:, 2:])
        middle = v[1:-1, 1:-1]
        filled = in_row[:-2] & in_row[1:-1] & in_row[2:]
        filled &= (v[:-2, 1:-1] == middle) & (v[2:, 1:-1] == middle)
        found = np.unique(middle[filled])
        return found[found >= 0]

    @property
    def is_grey(self) -> bool:
        """Whether all its colours are grey."""
        colours = rgb_of(self.as_colours().used)
        return bool((colours == colours[:, :1]).all())

    def as_colours(self) -> MaskPicture:
        """The same in colours; 16-bit grey by its upper 8 bits."""
        if self.kind == "colour":
            return self
        if self.kind == "palette":
            table = packed(self.palette)
            values = table[np.minimum(self.values, len(table) - 1)]
        else:
            grey = self.values if self.values.max() < 256 else self.values >> 8
            values = grey * 0x010101
        return replace(self, kind="colour", values=values, palette=self.palette[:0])

    def as_grey(self) -> MaskPicture:
        """The same in grey values, of a picture whose colours are grey."""
        if self.kind == "grey":
            return self
        return replace(self.as_colours(), kind="grey", values=self.as_colours().values & 255)


def packed(colours: NDArray[np.generic]) -> Values:
    """(…, 3) RGB, 0 to 255, as (…) 0xRRGGBB."""
    red, green, blue = np.moveaxis(np.asarray(colours, np.int32), -1, 0)
    return np.asarray(red << 16 | green << 8 | blue, np.int32)


def rgb_of(values: Values) -> Values:
    """(…) 0xRRGGBB as (…, 3) RGB."""
    return np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1)


def _numbers(image: Image.Image) -> tuple[Kind, Values, Values]:
    none = np.zeros((0, 3), np.int32)
    if image.mode in ("P", "PA") and image.palette is not None:
        palette = np.asarray(image.getpalette("RGB"), np.int32).reshape(-1, 3)
        return "palette", np.asarray(image.getchannel(0)).astype(np.int32), palette
    if image.mode == "1":
        return "grey", np.asarray(image).astype(np.int32) * 255, none
    if image.mode in ("L", "LA", "La"):
        return "grey", np.asarray(image.getchannel(0)).astype(np.int32), none
    if image.mode.startswith("I"):
        return "grey", np.asarray(image).astype(np.int64).clip(0, 2**31 - 1).astype(np.int32), none
    if image.mode == "F":
        return "grey", _whole(np.nan_to_num(np.asarray(image, np.float64)).clip(0, 2**31 - 1)), none
    straight = image.convert("RGBA") if image.mode == "RGBa" else image
    if straight.mode not in ("RGB", "RGBA"):
        straight = straight.convert("RGB")
    return "colour", packed(np.asarray(straight)[..., :3]), none


def _whole(measured: NDArray[np.float64]) -> Values:
    """Measured values that are not whole, such as shares, as 16-bit grey."""
    if (measured == np.rint(measured)).all():
        return measured.astype(np.int32)
    return np.asarray(np.rint(measured * (65535 / measured.max())), np.int32)


def _clear(image: Image.Image) -> NDArray[np.bool_]:
    """Where it is less than half as opaque as where it is most so."""
    if not image.has_transparency_data:
        return np.zeros(image.size[::-1], np.bool_)
    opaque = np.asarray(image.convert("RGBA").getchannel("A"))
    return np.asarray(opaque <= int(opaque.max()) // 2)


def _is_lossy_webp(image: Image.Image, source: Source) -> bool:
    return image.format == "WEBP" and b"VP8L" not in source.head(1 << 12)  # the lossless chunk


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether a PNG has 16 bits in each of several channels."""
    several = image.mode in ("RGB", "RGBA", "LA")
    return several and image.format == "PNG" and ";16" in str(getattr(image, "tile", ""))


def _deep_colours(source: Source, shallow: Values) -> Values:
    """Their lower 8 bits where the upper ones are all empty."""
    with source.open() as file:
        content = np.frombuffer(file.read(), np.uint8)
    deep = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if deep is None or deep.ndim != 3 or deep.dtype != np.uint16 or deep[..., :3].max() > 255:
        return shallow if shallow.ndim == 2 else packed(shallow)
    return packed(deep[..., 2::-1])
