"""Blobs for the viewer's tests, made from their description and not with the app's own code."""

from __future__ import annotations

import base64
import io
import json
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DTYPES = {"u8": np.uint8, "f16": np.float16, "f32": np.float32, "i32": np.int32}


def pack(header: dict[str, Any], parts: dict[str, tuple[str, NDArray[Any] | bytes]]) -> bytes:
    """Header length, JSON header, padding, parts; all parts start at a multiple of 8."""
    body, entries = b"", []
    for name, (dtype, values) in parts.items():
        raw = values if isinstance(values, bytes) else np.asarray(values, DTYPES[dtype]).tobytes()
        entries.append({"name": name, "dtype": dtype, "offset": len(body), "length": len(raw)})
        body += raw + b"\0" * (-len(raw) % 8)
    text = json.dumps({**header, "parts": entries}).encode()
    return len(text).to_bytes(4, "little") + text + b"\0" * (-(4 + len(text)) % 8) + body


def text(blob: bytes) -> str:
    """Base64, the way a test hands bytes to a page."""
    return base64.b64encode(blob).decode()


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def clip(
    frames: int = 8,
    width: int = 320,
    height: int = 180,
    tag: str = "clip-1",
    pictures: list[NDArray[np.uint8]] | None = None,
) -> bytes:
    """A clip of flat grey frames, or of the pictures given; every fifth source frame is sampled."""
    if pictures is None:
        pictures = [np.full((height, width, 3), 70 + 4 * t, np.uint8) for t in range(frames)]
    header = {
        "kind": "clip",
        "tag": tag,
        "name": "synthetic.mp4",
        "width": width,
        "height": height,
        "frames": [5 * t for t in range(len(pictures))],
        "times": [t * 5 / 24 for t in range(len(pictures))],
    }
    return pack(header, {f"frame{t}": ("u8", jpeg(p)) for t, p in enumerate(pictures)})


def grid(
    shape: tuple[int, int, int], frames: int, width: int, height: int, first: float | None = None
) -> dict[str, Any]:
    """A grid that tiles the frame evenly, or whose first centre lies at (first, first)."""
    t, rows, cols = shape
    dx, dy = width / cols, height / rows
    starts = [step * frames // t for step in range(t + 1)]
    covered = [list(range(a, b)) for a, b in pairwise(starts)]
    return {
        "t": t,
        "rows": rows,
        "cols": cols,
        "x0": dx / 2 if first is None else first,
        "y0": dy / 2 if first is None else first,
        "dx": dx,
        "dy": dy,
        "frames": covered,
        "steps": [next(s for s, over in enumerate(covered) if i in over) for i in range(frames)],
    }


def _halves(grid: dict[str, Any]) -> NDArray[np.bool_]:
    """Whether each cell lies in the right half."""
    right = np.arange(grid["cols"]) >= grid["cols"] // 2
    return np.tile(right, grid["t"] * grid["rows"])


class Block:
    """A block with random θ and φ: its blob, and its rows straight from the equations."""

    def __init__(
        self,
        function: str = "embedded_gaussian",
        *,
        query: tuple[int, int, int] = (8, 9, 16),
        key: tuple[int, int, int] = (8, 4, 8),
        frames: int = 8,
        size: tuple[int, int] = (320, 180),
        channels: int = 6,
        label: str = "nl5",
        seed: int = 0,
        first: float | None = None,
        tokens: tuple[str, ...] = (),
        heads: int = 1,
        windows: bool = False,
    ) -> None:
        """With ``windows`` each half of the frame, left and right, reaches only itself."""
        random = np.random.default_rng(seed)
        self.tokens, self.heads, self.windows = tokens, heads, windows
        n, m = (int(np.prod(shape)) + len(tokens) for shape in (query, key))
        self.function, self.label = function, label
        self.theta = random.normal(size=(n, channels)).astype(np.float16)
        self.phi = random.normal(size=(channels, m)).astype(np.float16)
        if function == "concatenation":
            self.theta = np.stack([self.theta[:, 0], np.ones(n, np.float16)], axis=1)
            self.phi = np.stack([np.ones(m, np.float16), self.phi[1]])
        self.query = grid(query, frames, *size, first)
        self.key = grid(key, frames, *size, None if first is None else 2 * first)
        self.size = size

    @property
    def tag(self) -> str:
        return f"block-{self.label}-{self.function}"

    def header(self) -> dict[str, Any]:
        return {
            "kind": "block",
            "tag": self.tag,
            "clip": "clip-1",
            "name": f"stage.{self.label}",
            "label": self.label,
            "function": self.function,
            "stride": [1, 20, 20],
            "width": self.theta.shape[1],
            "heads": self.heads,
            "tokens": list(self.tokens),
            "reach": int(self.windows),
            "scale": 1.0,
            "query": self.query,
            "key": self.key,
            "fidelity": 1.2e-6,
        }

    def blob(self) -> bytes:
        parts: dict[str, tuple[str, Any]] = {"theta": ("f16", self.theta), "phi": ("f16", self.phi)}
        if self.windows:
            parts |= {"query0": ("i32", _halves(self.query)), "key0": ("i32", _halves(self.key))}
        return pack(self.header(), parts)

    def constants(self) -> bytes:
        """What a softmax's rows are divided by, and the block's extremes."""
        theta, phi = self.theta.astype(np.float32), self.phi.astype(np.float32)
        low, high, constants = np.inf, 0.0, []
        for chunk in np.array_split(theta, max(1, len(theta) // 1024)):
            weights = np.exp(chunk @ phi)
            constants.append(weights.sum(axis=1))
            weights /= constants[-1][:, None]
            low, high = min(low, float(weights.min())), max(high, float(weights.max()))
        header = {"kind": "constants", "tag": f"{self.tag}+", "block": self.tag}
        header |= {"extremes": [[low, high]] * 2}
        return pack(header, {"constants": ("f32", np.log(np.concatenate(constants)))})

    def row(self, index: int) -> NDArray[np.float64]:
        """Row ``index`` of f/C, Eqs. (2) to (5), flat over the keys."""
        logits = self.theta[index].astype(np.float64) @ self.phi.astype(np.float64)
        if "gaussian" in self.function:
            weights: NDArray[np.float64] = np.exp(logits - logits.max())
            return weights / weights.sum()
        if self.function == "concatenation":
            logits = np.maximum(logits, 0)
        return logits / logits.size

    def cell(self, t: int, x: float, y: float) -> tuple[int, int, int]:
        """The query cell nearest to a place, by looking at all of them."""
        g = self.query
        rows = np.abs(g["y0"] + g["dy"] * np.arange(g["rows"]) - y)
        cols = np.abs(g["x0"] + g["dx"] * np.arange(g["cols"]) - x)
        step = next(s for s, frames in enumerate(g["frames"]) if t in frames)
        return step, int(rows.argmin()), int(cols.argmin())

    def index(self, cell: tuple[int, int, int]) -> int:
        return int((cell[0] * self.query["rows"] + cell[1]) * self.query["cols"] + cell[2])

    def allowed(self, cell: tuple[int, int, int], exclude: str) -> NDArray[np.bool_]:
        """Which keys may be linked to, by asking each one what it covers."""
        q, g = self.query, self.key
        x, y = q["x0"] + q["dx"] * cell[2], q["y0"] + q["dy"] * cell[1]
        mask = np.ones((g["t"], g["rows"], g["cols"]), np.bool_)
        for t, row, col in np.ndindex(mask.shape):
            frame = bool(set(g["frames"][t]) & set(q["frames"][cell[0]]))
            left, top = g["x0"] + g["dx"] * (col - 0.5), g["y0"] + g["dy"] * (row - 0.5)
            over = left <= x < left + g["dx"] and top <= y < top + g["dy"]
            mask[t, row, col] = not (frame and (exclude == "frame" or (exclude == "cell" and over)))
        return mask.ravel()

    def top(
        self, t: int, x: float, y: float, k: int, exclude: str
    ) -> tuple[list[int], list[float]]:
        """Key indices and weights of the k heaviest links of a place."""
        cell = self.cell(t, x, y)
        row = self.row(self.index(cell))
        keys = np.flatnonzero(self.allowed(cell, exclude))
        order = keys[np.argsort(-row[keys], kind="stable")][:k]
        return order.tolist(), row[order].tolist()

    def indices(self, links: list[dict[str, Any]]) -> list[int]:
        """Key indices of links as the viewer's state lists them."""
        shape = (self.key["t"], self.key["rows"], self.key["cols"])
        cells = [(link["step"], link["row"], link["col"]) for link in links]
        return [int(np.ravel_multi_index(cell, shape)) for cell in cells]
