"""The objects of a mask: which pixels of a picture, or of one for each frame, lie on which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nlviz.display import listed
from nlviz.errors import MediaError
from nlviz.media.mask_picture import MaskPicture, Values, packed, rgb_of

Masks = NDArray[np.bool_]

_OPAQUE = "opaque"
_BLACK, _WHITE = 0x000000, 0xFFFFFF
_FULL = (255, 65535)  # the brightest grey of 8 and of 16 bits
_FEW = 16  # numbers that a mask with soft edges hardly keeps to
_MOST = 65_535  # objects
_OFF = 12.0  # how far from the line between two colours a mixture of them lies, of 255


@dataclass(frozen=True, slots=True, eq=False)
class MaskObjects:
    """The objects of a mask.

    Args:
        name: of the file or folder, for messages.
        labels: (T, H, W), 0 on the background and i on the object ``names[i - 1]``.
        names: each object's: its grey value or palette index ("1"), or its colour ("#ff0000");
            "opaque" of a photo that is cut out.
    """

    name: str
    labels: NDArray[np.uint16]
    names: tuple[str, ...]

    @classmethod
    def of(cls, name: str, pictures: Sequence[MaskPicture]) -> MaskObjects:
        """The objects that one or more pictures of one size show.

        Background is what is transparent; where nothing is, 0, black (of a palette without black,
        index 0; of colours without black, white). Every other number is an object of its own, but
        numbers that only soften the edges of others are no objects: a picture with soft edges is
        an object where it is brighter than the middle grey, or than half of its brightest. A
        photo that is cut out is one object, all that is opaque of it.
        """
        alike = _alike(pictures)
        if _is_soft(alike) and _is_cut_out(alike):
            cut_out = np.stack([~each.clear for each in alike]).astype(np.uint16)
            return cls(name, cut_out, (_OPAQUE,) if cut_out.any() else ())
        colours = alike[0].kind == "colour"
        exact = colours and _on_nothing(alike) and not any(each.lossy for each in alike)
        if _is_soft(alike) and not exact:
            alike = [_posterised(each, alike) for each in alike]
        elif colours:
            alike = _without_mixtures(alike)
        objects = _objects(alike)
        labels = np.zeros((len(alike), *alike[0].values.shape), np.uint16)
        for label, picture in zip(labels, alike, strict=True):
            at = np.searchsorted(objects, picture.values).clip(max=max(len(objects) - 1, 0))
            if len(objects):
                label[:] = np.where((objects[at] == picture.values) & ~picture.clear, at + 1, 0)
        kind = alike[0].kind
        names = (f"#{each:06x}" if kind == "colour" else str(each) for each in objects.tolist())
        return cls(name, labels, tuple(names))

    def mask(self, label: int | str | None = None) -> Masks:
        """(T, H, W), True on one object; without a label, on the only one there is.

        Raises:
            MediaError: several objects and no label, or a label that none of them has.
        """
        wanted = None if label is None else str(label).lower()
        if wanted is None and len(self.names) > 1:
            raise MediaError(
                f"'{self.name}' has {len(self.names)} objects ({listed(self.names)}); choose one: "
                f"--object '{self.names[0]}', or label='{self.names[0]}' in Python."
            )
        if wanted is not None and wanted not in self.names:
            there = f"it has {listed(self.names)}" if self.names else "it has none"
            raise MediaError(f"'{self.name}' has no object '{label}'; {there}.")
        number = 1 if wanted is None else self.names.index(wanted) + 1
        return np.asarray(self.labels == number)

    def numbered(self, names: Sequence[str]) -> NDArray[np.uint16]:
        """(T, H, W): k on the object ``names[k - 1]``, 0 elsewhere; one it lacks is nowhere."""
        table = np.zeros(len(self.names) + 1, np.uint16)
        for k, name in enumerate(names, start=1):
            if name in self.names:
                table[self.names.index(name) + 1] = k
        return np.asarray(table[self.labels])


def _alike(pictures: Sequence[MaskPicture]) -> list[MaskPicture]:
    """All of one kind, in grey where their colours are."""
    kinds = {picture.kind for picture in pictures}
    if kinds == {"palette"} and _one_palette(pictures) and not _is_softened_palette(pictures):
        return list(pictures)
    if kinds == {"grey"}:
        return list(pictures)
    if all(picture.is_grey for picture in pictures):
        return [picture.as_grey() for picture in pictures]
    return [picture.as_colours() for picture in pictures]


def _one_palette(pictures: Sequence[MaskPicture]) -> bool:
    """Whether an index has one colour in all of them; some may leave the last ones out."""
    longest = max((picture.palette for picture in pictures), key=len)
    return all((p.palette == longest[: len(p.palette)]).all() for p in pictures)


def _is_softened_palette(pictures: Sequence[MaskPicture]) -> bool:
    """Whether a palette's colours are those of a picture with soft edges."""
    if all(picture.is_grey for picture in pictures):
        return _is_soft([picture.as_grey() for picture in pictures])
    return _is_soft(pictures)


def _is_soft(pictures: Sequence[MaskPicture]) -> bool:
    """Whether numbers between the darkest and the brightest only soften edges."""
    if any(picture.lossy for picture in pictures):
        return True
    objects = _objects(pictures)
    inner = np.isin(objects, _union(picture.solid for picture in pictures))
    if len(objects) > _MOST or (len(objects) > _FEW and inner.mean() < 0.5):
        return True
    if pictures[0].kind != "grey" or len(objects) < 2:
        return False
    if len(objects) == 2 and _background(pictures) is None:
        return bool(objects[0] <= 127 < objects[1] < 256)
    return bool(objects[-1] in _FULL and not inner[:-1].any())


def _on_nothing(pictures: Sequence[MaskPicture]) -> bool:
    """Whether the background is transparent."""
    return any(picture.clear.any() for picture in pictures)


def _is_cut_out(pictures: Sequence[MaskPicture]) -> bool:
    """Whether most of what is opaque has no even colour, as of a photo."""
    solid = _union(picture.solid for picture in pictures)
    opaque = [picture.values[~picture.clear] for picture in pictures]
    even = sum(int(np.isin(values, solid).sum()) for values in opaque)
    return _on_nothing(pictures) and 2 * even < sum(values.size for values in opaque)


def _objects(pictures: Sequence[MaskPicture]) -> Values:
    """The numbers that are not background, rising."""
    used = _union(picture.used for picture in pictures)
    background = _background(pictures)
    return used if background is None else used[used != background]


def _union(numbers: Iterable[Values]) -> Values:
    return np.unique(np.concatenate(list(numbers)))


def _background(pictures: Sequence[MaskPicture]) -> int | None:
    """The number of the background; None where it is transparent or nowhere."""
    if _on_nothing(pictures):
        return None
    used = _union(picture.used for picture in pictures)
    kind = pictures[0].kind
    if kind == "palette":
        palette = max((picture.palette for picture in pictures), key=len)
        black = [int(i) for i in used if i < len(palette) and not palette[i].any()]
        return 0 if 0 in black or not black else black[0]
    if _BLACK in used:
        return _BLACK
    return _WHITE if kind == "colour" and len(used) > 1 and _WHITE in used else None


def _posterised(picture: MaskPicture, beside: Sequence[MaskPicture]) -> MaskPicture:
    """Each channel either 0 or its brightest, as it is below or above the middle."""
    colours = picture.kind == "colour"
    brightest = max(_brightest(each) for each in beside)
    if picture.lossy and brightest < 32:  # noise on black
        brightest = 255
    middle = 127 if 127 < brightest <= 255 else brightest // 2
    channels = rgb_of(picture.values) if colours else picture.values
    made = np.where(channels > middle, brightest, 0).astype(np.int32)
    poster = replace(picture, values=packed(made) if colours else made)
    if not colours:
        return poster
    # Where two colours meet, a line of a third may be left.
    solid = poster.solid
    kept = np.isin(poster.values, solid) if solid.size else np.ones_like(poster.clear)
    return replace(poster, values=np.where(kept, poster.values, 0).astype(np.int32))


def _brightest(picture: MaskPicture) -> int:
    used = picture.used
    if not used.size:
        return 0
    return int(rgb_of(used).max() if picture.kind == "colour" else used.max())


def _without_mixtures(pictures: Sequence[MaskPicture]) -> list[MaskPicture]:
    """Colours on the edge of two others that are a mixture of them become the nearer one."""
    used = _union(picture.used for picture in pictures)
    solid = _union(picture.solid for picture in pictures)
    nearer = {int(c): end for c in used if c not in solid and (end := _end(int(c), solid)) >= 0}
    if not nearer:
        return list(pictures)
    table = np.array([nearer.get(int(each), int(each)) for each in used], np.int32)
    return [
        replace(p, values=table[np.searchsorted(used, p.values).clip(max=len(used) - 1)])
        for p in pictures
    ]


def _end(colour: int, solid: Values) -> int:
    """The nearer of two colours that it lies between; −1 where it lies between none."""
    point, *colours = rgb_of(np.array([colour, *solid], np.int32)).astype(float)
    for one, other in combinations(range(len(colours)), 2):
        start, way = colours[one], colours[other] - colours[one]
        share = float((point - start) @ way / (way @ way))
        if 0 < share < 1 and np.linalg.norm(start + share * way - point) <= _OFF:
            return int(solid[one if share < 0.5 else other])
    return -1
