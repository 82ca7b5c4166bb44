"""JPEG: a frame small and inside a page, as bytes or as a data address."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def jpeg(frame: Picture, quality: int) -> bytes:
    """An RGB frame (H, W, 3) as JPEG."""
    _, content = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()


def data_address(frame: Picture, quality: int) -> str:
    """An RGB frame as a JPEG that lies in its own address, for an ``<img>``."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(frame, quality)).decode()}"


def shrunk(frame: Picture, width: float, height: float) -> Picture:
    """The frame, no larger than a box of pixels; itself where it fits."""
    tall, wide = frame.shape[:2]
    shrink = min(1.0, width / wide, height / tall)
    if shrink == 1:
        return frame
    return resized(frame, max(1, round(wide * shrink)), max(1, round(tall * shrink)))


def resized(frame: Picture, width: int, height: int) -> Picture:
    """The frame at a size, each pixel the mean of those it covers."""
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)
