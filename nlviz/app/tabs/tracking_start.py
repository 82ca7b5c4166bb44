"""Where tracking starts: a pin, the mask of a frame, or a folder with a mask for each frame."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app import startup
from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext, choose_pin
from nlviz.app.tabs.progress import job_result
from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.geometry import Point
from nlviz.heat.colormap import PALETTE
from nlviz.media.mask_objects import MaskObjects, Masks
from nlviz.media.masks import read_objects, read_objects_of_frames
from nlviz.tracking import mask_of
from nlviz.tracking.cells import Numbers
from nlviz.tracking.propagation import fit_together
from nlviz.viewer.pins import Pin

_PIN, _MASK, _FOLDER = "A pin", "A mask", "A mask of each frame"
_PINS, _POINTS = "All pins", "Pins as points"
_ALL = "all"  # objects of a mask together
_SIDE_BY_SIDE = 8  # objects; more are a list
_ENDINGS = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"]


def _nothing() -> Masks:
    return np.zeros((0, 0, 0), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The object to carry; ``key`` tells starts apart, ``color`` is that of the masks.

    ``masks`` gives the object's mask on ``frame`` as (1, H, W), or (T, H, W) with the truth of
    each frame, which is then ``scored`` against; MediaError. Several objects have ``names`` and
    ``colors``, ``several`` gives their masks on ``frame``, (K, H, W), and ``truth`` those of each
    frame, (T, H, W) with k on ``names[k - 1]``, or is None; ``points`` are followed instead.
    """

    key: Hashable
    frame: int
    color: str
    masks: Callable[[], Masks]
    scored: bool = False
    names: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    several: Callable[[], Masks] = _nothing
    truth: Callable[[], Numbers] | None = None
    points: tuple[Point, ...] = ()


def choose_start(context: TabContext) -> Start | None:
    """What the visitor starts from; None where that is still to be given."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        kind = st.segmented_control(
            "Start from",
            _kinds(context),
            default=_PIN,
            format_func=plain,
            required=True,
            key="track-from",
            label_visibility="collapsed",
        )
        pin = choose_pin(context, "track-pin") if kind == _PIN else None
    clip, first = context.analysis.clip, context.analysis.view.frames[0]
    if pin is not None:
        return _of_pin(context, pin)
    if kind in (_PINS, _POINTS):
        return _of_pins(context, as_points=kind == _POINTS)
    if kind == _MASK:
        file = st.file_uploader(f"The object on frame {first:d}", type=_ENDINGS, key="track-mask")
        files = [] if file is None else [file]
        wanted = "A picture of the clip's size: the object on black, or on nothing."
    else:
        files = st.file_uploader(
            "A folder with a mask for each frame",
            type=_ENDINGS,
            accept_multiple_files="directory",
            key="track-folder",
        )
        wanted = "Tracking starts from the first; J and F are measured against the others."
    if not files:
        st.caption(wanted)
        return None
    whole, digest = kind == _FOLDER, digest_of(files)
    found: MaskObjects | None = job_result(
        context.shown.choice,
        ("mask", kind, digest),
        lambda progress: read(files, clip, whole=whole),
        name="mask",
    )
    label = None if found is None else _choose_object(found)
    if found is None or label is None:
        return None
    if label == _ALL:
        return _all_of(found, (kind, digest), first, whole=whole)
    key = (kind, digest, label)
    return Start(key, first, PALETTE[1], lambda: found.mask(label), scored=whole)


def _kinds(context: TabContext) -> list[str]:
    pins = [_PIN, *([_PINS] if len(context.pins) > 1 else []), _POINTS]
    return pins if startup.is_demo() else [*pins, _MASK, _FOLDER]


def _all_of(found: MaskObjects, key: Hashable, frame: int, *, whole: bool) -> Start | None:
    """All objects of a mask, or of the first of a folder's; None where that shows none."""
    count = len(found.names)
    there = [k for k in range(1, count + 1) if (found.labels[0] == k).any()]
    if not there:
        st.info(
            "The mask of the first frame shows no object, and tracking starts there; choose frames "
            "that begin with one."
        )
        return None
    colors = tuple(PALETTE[(1 + i) % len(PALETTE)] for i in range(len(there)))

    def masks() -> Masks:
        return np.stack([found.labels[0] == k for k in there])

    names = tuple(found.names[k - 1] for k in there)

    def truth() -> Numbers:
        return found.numbered(names)

    return Start(
        (key, _ALL), frame, colors[0], masks, whole, names, colors, masks, truth if whole else None
    )


def _of_pins(context: TabContext, *, as_points: bool) -> Start | None:
    """The pins as objects of one frame, or as points."""
    placed = [pin for pin in context.pins if not isinstance(pin.point, str)]
    if as_points:
        placed = [pin for pin in placed if isinstance(pin.point, Point)]
    else:
        newest = placed[-1].point.frame if placed and not isinstance(placed[-1].point, str) else 0
        others = [pin for pin in placed if getattr(pin.point, "frame", None) != newest]
        placed = [pin for pin in placed if pin not in others]
        if others:
            st.caption(
                f"Objects are carried together from one frame: that of the newest pin, {newest:d}."
            )
    if not placed:
        st.info("A place is needed to start from; point at the clip.")
        return None
    points = tuple(pin.point for pin in placed if isinstance(pin.point, Point))
    first = next(pin.point.frame for pin in placed if not isinstance(pin.point, str))
    names = tuple(context.name(pin) for pin in placed)
    colors = tuple(pin.color for pin in placed)

    def masks() -> Masks:
        places = [pin.point for pin in placed if not isinstance(pin.point, str)]
        return np.stack([mask_of(context.analysis, context.block, place) for place in places])

    key = (as_points, tuple(pin.point for pin in placed), colors, names)
    return Start(
        key, first, colors[0], masks, False, names, colors, masks, None, points if as_points else ()
    )


def _choose_object(found: MaskObjects) -> str | None:
    """The label of the object to carry; None where there is none, and the page says so."""
    if not found.names:
        st.info("The mask has nothing on the object: all of it is background.")
        return None
    if len(found.names) == 1:
        return found.names[0]
    height, width = found.labels.shape[1:]
    together = fit_together((width, height), len(found.names))
    if not together:
        st.caption(f"{len(found.names):d} objects are too many to carry together; choose one.")
    names = [_ALL, *found.names] if together else list(found.names)
    key = "track-object" if together else "track-one-object"
    if len(found.names) > _SIDE_BY_SIDE:
        return st.selectbox("Which object", names, key=key, format_func=plain, width=240)
    return st.segmented_control(
        "Which object",
        names,
        default=names[0],
        required=True,
        format_func=plain,
        key=f"{key}-{'-'.join(found.names)}",
    )


def _of_pin(context: TabContext, pin: Pin) -> Start | None:
    point = pin.point
    if isinstance(point, str):
        st.info("A token has no place to start from; choose another pin.")
        return None
    mask = mask_of(context.analysis, context.block, point)
    return Start(point, point.frame, pin.color, lambda: mask[None])


def read(files: Sequence[UploadedFile], clip: Clip, *, whole: bool) -> MaskObjects:
    """The objects of one mask, or of one for each frame where they come as a folder; MediaError."""
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            # The names alone: whatever folders a browser tells of are left out.
            Path(folder, Path(file.name.replace("\\", "/")).name).write_bytes(file.getvalue())
        try:
            if whole:
                return read_objects_of_frames(folder, clip)
            (path,) = Path(folder).iterdir()
            return read_objects(path, clip)
        except MediaError as error:
            raise MediaError(str(error).replace(f" '{folder}'", "")) from error


def digest_of(files: Sequence[UploadedFile]) -> str:
    """Of the files' names, which give masks their order, and contents."""
    digest = hashlib.blake2b(digest_size=12)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.getvalue())
    return digest.hexdigest()
