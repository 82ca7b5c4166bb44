"""Tracking: an object carried through the clip by the block's own affinity, as masks over it."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

import cv2
import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import MediaError
from nlviz.media import read_mask, read_masks
from nlviz.tracking import (
    PROTOCOL,
    Track,
    contour_accuracy,
    mask_of,
    region_similarity,
    track,
)
from nlviz.ui.payload import encoded
from nlviz.ui.pins import Pin
from nlviz.ui.tabs import waiting
from nlviz.ui.tabs.desk import Work
from nlviz.ui.tabs.look import Look, choose_pin
from nlviz.ui.work import Report

_PIN, _MASK, _FOLDER = "A pin", "A mask", "A mask of each frame"
_ENDINGS = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"]
_WIDTH = 360  # pixels across of a frame
Masks = NDArray[np.bool_]


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


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A track, and J and F of each frame where the truth was given."""

    track: Track
    scores: tuple[tuple[float, float], ...]

    @property
    def means(self) -> tuple[float, float]:
        """J and F over the frames after the first, which was given."""
        j, f = np.mean(self.scores[1:], axis=0)
        return float(j), float(f)


def show(look: Look) -> None:
    """The masks over the frames, once they are there; the protocol in words."""
    if len(look.analysis.view.frames) == 1:
        st.info("An image has no frames to carry an object to; take a clip.")
        return
    start = _start(look)
    if start is not None:
        found: Tracked | None = waiting.result(
            look.shown.choice, ("track", look.block, start.key), _work(look, start), name="track"
        )
        if found is not None:
            if found.scores:
                j, f = found.means
                st.markdown(f"**J {j:.3f}, F {f:.3f}** on average over the frames after the first.")
            st.html(_strip(look.analysis, found, start.color))
    st.caption(f"Carried by block {look.block}. {PROTOCOL}")


def _start(look: Look) -> Start | None:
    """What the visitor starts from; None where that is still to be given."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        kind = st.segmented_control(
            "Start from",
            [_PIN, _MASK, _FOLDER],
            default=_PIN,
            required=True,
            key="track-from",
            label_visibility="collapsed",
        )
        pin = choose_pin(look, "track-pin") if kind == _PIN else None
    clip, first = look.analysis.clip, look.analysis.view.frames[0]
    if pin is not None:
        return _of_pin(look, pin)
    if kind == _MASK:
        file = st.file_uploader(
            f"The object on frame {first}, bright on dark", type=_ENDINGS, key="track-mask"
        )
        files = [] if file is None else [file]
        wanted = "A picture of the clip's size in which the object is bright."
    else:
        files = st.file_uploader(
            "A folder with a mask for each frame",
            type=_ENDINGS,
            accept_multiple_files="directory",
            key="track-folder",
        )
        wanted = "The first starts; J and F of the others are measured against them."
    if not files:
        st.caption(wanted)
        return None
    whole = kind == _FOLDER
    load = partial(read, files, clip, whole=whole)
    return Start((kind, _digest(files)), first, "#56B4E9", load, scored=whole)


def _of_pin(look: Look, pin: Pin) -> Start | None:
    point = pin.point
    if isinstance(point, str):
        st.info("A token has no place to start from; choose another pin.")
        return None
    mask = mask_of(look.analysis, look.block, point)
    return Start(point, point.frame, pin.color, lambda: mask[None])


def read(files: Sequence[UploadedFile], clip: Clip, *, whole: bool) -> Masks:
    """(1, H, W), or a mask for each sampled frame where they come as a folder; MediaError."""
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            # The names alone: whatever folders a browser tells of are left out.
            Path(folder, Path(file.name.replace("\\", "/")).name).write_bytes(file.getvalue())
        try:
            if whole:
                return read_masks(folder, clip)
            (path,) = Path(folder).iterdir()
            return read_mask(path, clip)[None]
        except MediaError as error:
            raise MediaError(str(error).replace(f" '{folder}'", "")) from error


def _digest(files: Sequence[UploadedFile]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.getvalue())
    return digest.hexdigest()


def _work(look: Look, start: Start) -> Work:
    def work(report: Report) -> Tracked:
        report(0.0, "reading the mask")
        masks = start.masks()
        found = track(look.analysis, look.block, masks[0], frame=start.frame, progress=report)
        return Tracked(found, measured(found, masks) if start.scored else ())

    return work


def measured(found: Track, truth: Masks) -> tuple[tuple[float, float], ...]:
    """(J, F) of each frame."""
    return tuple(
        (region_similarity(mask > 0.5, real), contour_accuracy(mask > 0.5, real))
        for mask, real in zip(found.masks, truth, strict=True)
    )


def _strip(analysis: Analysis, found: Tracked, color: str) -> str:
    """The frames with the object tinted, as HTML."""
    figures = []
    for position, frame in enumerate(analysis.view.frames):
        mask = found.track.masks[position] > 0.5
        words = f"frame {frame}" + (" · start" if frame == found.track.frame else "")
        told = f"{mask.mean():.1%} of the frame"
        if found.scores:
            told = "J {:.2f} · F {:.2f}".format(*found.scores[position])
        picture = tinted(analysis.clip.frames[position], mask, color)
        src = "data:image/jpeg;base64," + base64.b64encode(encoded(picture, 85)).decode()
        figures.append(
            f'<figure><img src="{src}" alt="Frame {frame} with the object tinted">'
            f"<figcaption>{escape(words)}<span>{escape(told)}</span></figcaption></figure>"
        )
    return f'<div class="tracked">{"".join(figures)}</div>'


def tinted(frame: NDArray[np.uint8], mask: Masks, color: str) -> NDArray[np.uint8]:
    """A smaller frame with the object half in a colour and outlined."""
    width = min(_WIDTH, frame.shape[1])
    size = width, max(1, round(width * frame.shape[0] / frame.shape[1]))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    on = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
    small[on > 0] = small[on > 0] * 0.45 + rgb * 0.55
    picture = np.ascontiguousarray(small.astype(np.uint8))
    edges, _ = cv2.findContours(on, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return picture
