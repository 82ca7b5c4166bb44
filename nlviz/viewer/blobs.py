"""Blobs: a clip and each block as bytes that the viewer keeps in the page and hovers over."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.geometry import Grid, View
from nlviz.heat.scale import extremes
from nlviz.media.jpeg import jpeg, shrunk
from nlviz.progress import Progress, part_of, silent
from nlviz.viewer.headers import (
    BlockHeader,
    ClipHeader,
    ConstantsHeader,
    Dtype,
    GridHeader,
    MaskHeader,
    Packed,
    PartEntry,
    SizesHeader,
)

Array = NDArray[np.float32]
Part = tuple[str, Dtype, bytes]  # name, dtype, content

WIDEST = 640
"""Pixels across of a frame in a strip; one or two frames alone are shown twice as wide."""

_QUALITY = 88
_LARGEST_HALF = 2**15  # stays below float16's 65,504
_ALIGN = 8


def clip_blob(clip: Clip) -> bytes:
    """The frames as JPEG at display size, with their source indices and times."""
    frames: list[Part] = [(f"frame{t}", "u8", _jpeg(f, clip)) for t, f in enumerate(clip.frames)]
    header: ClipHeader = {
        "kind": "clip",
        "name": clip.name,
        "width": clip.width,
        "height": clip.height,
        "frames": [int(i) for i in clip.indices],
        "times": [float(seconds) for seconds in clip.timestamps],
    }
    return pack(header, frames)


def block_blob(analysis: Analysis, block: str, clip_tag: str) -> bytes:
    """θ (N, C') row-major and φ (C', M) of one block as float16, and where its cells lie.

    θ is left out where it is φ turned, as in a block whose θ and φ were trained as one: it would
    be half of the bytes. Tokens follow the cells in both. QueryError for an unknown block.
    """
    affinity = analysis.affinity(block)
    theta, phi, scale = halved(affinity)
    header: BlockHeader = {
        "kind": "block",
        "clip": clip_tag,
        "name": f"{analysis.network} {block}",
        "label": block,
        "function": affinity.function,
        "stride": _stride(analysis.view, affinity.query_grid),
        "width": affinity.width,
        "heads": affinity.heads,
        "tokens": list(affinity.tokens),
        "reach": len(affinity.reach),
        "scale": scale,
        "query": grid_header(analysis.view, affinity.query_grid),
        "key": grid_header(analysis.view, affinity.key_grid),
        "fidelity": analysis.fidelity[block],
        "joins_frames": affinity.joins_frames,
        "about": list(analysis.about(block).sentences),
    }
    parts: list[Part] = [("phi", "f16", phi.tobytes())]
    if not np.array_equal(theta, phi.T):
        parts.append(("theta", "f16", theta.tobytes()))
    for number, links in enumerate(affinity.reach):
        for part, array in links.arrays.items():
            kind: Dtype = "u8" if array.dtype == np.uint8 else "i32"
            parts.append((f"{part}{number}", kind, array.tobytes()))
    return pack(header, parts)


def constants_blob(
    analysis: Analysis, block: str, block_tag: str, progress: Progress = silent
) -> bytes:
    """What "who looks here" and a scale of the whole block need beside a block's blob.

    The constants of its rows, (heads, N) float32, tokens last, and the lowest and highest weight
    between cells: of the mean over the heads, then of each head. It takes a pass over all weights,
    about a second at 28,000 queries and 7,000 keys, and longer where every position is a key: so
    ``progress`` is told a chunk of rows at a time, and what it raises ends it. QueryError for an
    unknown block.
    """
    affinity = analysis.affinity(block)
    alone = [affinity.head(h) for h in range(affinity.heads)] if affinity.heads > 1 else []
    heads = [affinity, *alone]
    parts = len(heads) + 1
    found = [
        extremes(each, part_of(progress, i / parts, (i + 1) / parts))
        for i, each in enumerate(heads)
    ]
    found = found if alone else 2 * found  # one head is their mean
    constants = affinity.work_out_constants(part_of(progress, 1 - 1 / parts, 1.0))
    header: ConstantsHeader = {"kind": "constants", "block": block_tag, "extremes": found}
    return pack(header, [("constants", "f32", constants.tobytes())])


def sizes_blob(analysis: Analysis, block: str, block_tag: str, problem: str | None = None) -> bytes:
    """What a ranking by contribution needs beside a block's blob: ‖W_z g_j‖ of each key, float32.

    A sentence in its place where there is a ``problem``, where ``with_sizes`` could not measure
    the block, or where it adds nothing. QueryError for an unknown block.
    """
    sizes = analysis.sizes.get(block, np.zeros(analysis.affinity(block).key_grid.size, np.float32))
    if problem is None and not sizes.any():
        what = "adds nothing" if block in analysis.sizes else "does not show what each place adds"
        problem = f"Block {block} {what}, so its links are ranked by affinity."
    header: SizesHeader = {"kind": "sizes", "block": block_tag, "problem": problem}
    return pack(header, [("sizes", "f32", sizes.astype(np.float32).tobytes())])


def mask_blob(masks: NDArray[np.bool_], color: str, clip_tag: str) -> bytes:
    """An object over each frame, (T, H, W): tinted in a colour, its outline white, as PNG."""
    parts: list[Part] = [(f"mask{t}", "u8", _layer(mask, color)) for t, mask in enumerate(masks)]
    frames = list(range(len(masks)))
    header: MaskHeader = {"kind": "mask", "clip": clip_tag, "frames": frames}
    return pack(header, parts)


def objects_blob(numbers: NDArray[np.uint16], colors: Sequence[str], clip_tag: str) -> bytes:
    """Several objects over each frame, (T, H, W) with k on the k-th, each in its colour."""
    layers = []
    for frame in numbers:
        layer = np.zeros((*_shown_size(frame), 4), np.uint8)
        for k in range(1, int(frame.max()) + 1):
            one = _layer_of(frame == k, colors[(k - 1) % len(colors)])
            layer = np.where(one[..., 3:] > 0, one, layer)
        layers.append(layer)
    return layers_blob([layer[..., [2, 1, 0, 3]] for layer in layers], clip_tag)


def layers_blob(layers: Sequence[NDArray[np.uint8]], clip_tag: str) -> bytes:
    """A picture with transparency over each frame, (h, w, 4) red, green, blue and opacity."""
    parts: list[Part] = [(f"mask{t}", "u8", _png(each)) for t, each in enumerate(layers)]
    header: MaskHeader = {"kind": "mask", "clip": clip_tag, "frames": list(range(len(layers)))}
    return pack(header, parts)


def _png(rgba: NDArray[np.uint8]) -> bytes:
    _, content = cv2.imencode(".png", np.ascontiguousarray(rgba[..., [2, 1, 0, 3]]))
    return content.tobytes()


def _shown_size(frame: NDArray[np.generic]) -> tuple[int, int]:
    """(height, width) of a layer."""
    height, width = frame.shape
    shrink = min(1.0, WIDEST / width)
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _layer(mask: NDArray[np.bool_], color: str) -> bytes:
    _, content = cv2.imencode(".png", _layer_of(mask, color))
    return content.tobytes()


def _layer_of(mask: NDArray[np.bool_], color: str) -> NDArray[np.uint8]:
    """(h, w, 4): blue, green, red and opacity."""
    size = _shown_size(mask)
    on = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA)
    blue, green, red = (int(color[at : at + 2], 16) for at in (5, 3, 1))
    layer = np.zeros((*on.shape, 4), np.uint8)
    layer[on > 0] = blue, green, red, 130
    edges, _ = cv2.findContours(on, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(layer, edges, -1, (255, 255, 255, 255), 2)
    return layer


def pack(header: Mapping[str, Any], parts: Sequence[Part]) -> bytes:
    """Header length, header, parts; each part 8-byte aligned. The tag names the content."""
    table: list[PartEntry] = []
    offset = 0
    digest = hashlib.blake2b(json.dumps(header).encode(), digest_size=9)
    for name, dtype, content in parts:
        table.append({"name": name, "dtype": dtype, "offset": offset, "length": len(content)})
        digest.update(content)
        offset = _aligned(offset + len(content))
    added: Packed = {"tag": digest.hexdigest(), "parts": table}
    text = json.dumps({**header, **added}).encode()
    blob = bytearray(_aligned(4 + len(text)) + offset)
    struct.pack_into("<I", blob, 0, len(text))
    blob[4 : 4 + len(text)] = text
    start = _aligned(4 + len(text))
    for entry, (_, _, content) in zip(table, parts, strict=True):
        at = start + entry["offset"]
        blob[at : at + entry["length"]] = content
    return bytes(blob)


def tag(blob: bytes) -> str:
    """What the page calls a blob."""
    (length,) = struct.unpack_from("<I", blob)
    return str(json.loads(blob[4 : 4 + length])["tag"])


def halved(affinity: Affinity) -> tuple[NDArray[np.float16], NDArray[np.float16], float]:
    """θ as (N, C'), φ as (C', M), and the scale that gives the same logits in float16's range.

    Each channel's θ and φ take reciprocal powers of two, so that both have the same greatest
    magnitude; what is still too large goes into the scale.
    """
    theta, phi = affinity.theta, affinity.phi
    most_theta, most_phi = np.abs(theta).max(axis=1), np.abs(phi).max(axis=1)
    empty = (most_theta == 0) | (most_phi == 0)  # adds nothing to any logit
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(empty, 0, np.round((np.log2(most_phi) - np.log2(most_theta)) / 2))
    up = np.exp2(shift).astype(np.float32)[:, None]
    theta, phi = theta * up * ~empty[:, None], phi / up * ~empty[:, None]
    most = max(float(np.abs(theta).max()), float(np.abs(phi).max()), 1.0)
    rest = max(0, int(np.ceil(np.log2(most / _LARGEST_HALF))))
    fitted = np.ascontiguousarray(np.ldexp(theta.T, -rest).astype(np.float16))
    return fitted, np.ldexp(phi, -rest).astype(np.float16), float(affinity.scale) * 4.0**rest


def grid_header(view: View, grid: Grid) -> GridHeader:
    """A grid in source pixels: centre of the first cell, the steps, the frames of each step."""
    _, dy, dx = view.steps(grid)
    x0, y0 = view.origin(grid)
    return {
        "t": grid.t,
        "rows": grid.rows,
        "cols": grid.cols,
        "x0": x0,
        "y0": y0,
        "dx": float(dx),
        "dy": float(dy),
        "frames": [[int(i) for i in view.positions(t, grid)] for t in range(grid.t)],
        "steps": [view.step(position, grid) for position in range(len(view.frames))],
    }


def _stride(view: View, grid: Grid) -> list[float]:
    """(frames, down, right) in pixels of the network's input, whole numbers as such."""
    tiles = (len(view.frames) / grid.t, view.input[1] / grid.rows, view.input[0] / grid.cols)
    return [int(s) if float(s).is_integer() else round(s, 1) for s in grid.stride or tiles]


def _jpeg(frame: NDArray[np.uint8], clip: Clip) -> bytes:
    widest = WIDEST if len(clip.frames) > 2 else 2 * WIDEST
    return jpeg(shrunk(frame, widest, 1.5 * widest), _QUALITY)


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
