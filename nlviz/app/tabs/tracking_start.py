"""Where tracking starts: a pin, the mask of a frame, or a folder with a mask for each frame."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app import startup
from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext, choose_pin
from nlviz.app.tabs.progress import job_result
from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.heat.colormap import PALETTE
from nlviz.media.mask_objects import MaskObjects, Masks
from nlviz.media.masks import read_objects, read_objects_of_frames
from nlviz.tracking import mask_of
from nlviz.viewer.pins import Pin

_PIN, _MASK, _FOLDER = "A pin", "A mask", "A mask of each frame"
_SIDE_BY_SIDE = 8  # objects; more are a list
_ENDINGS = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"]


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The object to carry; ``key`` tells starts apart, ``color`` is that of the masks.

    ``masks`` gives the object's mask on ``frame`` as (1, H, W), or (T, H, W) with the truth of
    each frame, which is then ``scored`` against; MediaError.
    """

    key: Hashable
    frame: int
    color: str
    masks: Callable[[], Masks]
    scored: bool = False


def choose_start(context: TabContext) -> Start | None:
    """What the visitor starts from; None where that is still to be given."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        kind = st.segmented_control(
            "Start from",
            [_PIN] if startup.is_demo() else [_PIN, _MASK, _FOLDER],
            default=_PIN,
            required=True,
            key="track-from",
            label_visibility="collapsed",
        )
        pin = choose_pin(context, "track-pin") if kind == _PIN else None
    clip, first = context.analysis.clip, context.analysis.view.frames[0]
    if pin is not None:
        return _of_pin(context, pin)
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
    whole, digest = kind == _FOLDER, _digest(files)
    found: MaskObjects | None = job_result(
        context.shown.choice,
        ("mask", kind, digest),
        lambda progress: read(files, clip, whole=whole),
        name="mask",
    )
    label = None if found is None else _choose_object(found)
    if found is None or label is None:
        return None
    key = (kind, digest, label)
    return Start(key, first, PALETTE[1], lambda: found.mask(label), scored=whole)


def _choose_object(found: MaskObjects) -> str | None:
    """The label of the object to carry; None where there is none, and the page says so."""
    if not found.names:
        st.info("The mask has nothing on the object: all of it is background.")
        return None
    if len(found.names) == 1:
        return found.names[0]
    if len(found.names) > _SIDE_BY_SIDE:
        return st.selectbox(
            "Which object", found.names, key="track-object", format_func=plain, width=240
        )
    return st.segmented_control(
        "Which object",
        found.names,
        default=found.names[0],
        required=True,
        format_func=plain,
        key=f"track-object-{'-'.join(found.names)}",
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


def _digest(files: Sequence[UploadedFile]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.getvalue())
    return digest.hexdigest()
