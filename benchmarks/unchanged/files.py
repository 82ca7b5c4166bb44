"""What a file holds, as facts: pixels, arrays and texts, less what names the program itself.

Left out or made alike: the word for the program (`python -m nlviz` may become `nlviz`), its
version, and dates. Of a page its data are told and not its script, which is joined from modules
that may have moved; what the script draws is compared as pictures.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from safetensors import safe_open

Fact = tuple[str, Any]

_ALIKE = (
    (re.compile(r"python -m nlviz"), "nlviz"),
    (re.compile(r"\b\d+\.\d+\.\d+(?:\.?(?:dev|rc|a|b)\d+)?\b"), "VERSION"),
    (re.compile(r"<dc:date>.*?</dc:date>", re.DOTALL), ""),
)
_HIDDEN = re.compile(r"<(style|script)\b([^>]*)>(.*?)</\1>", re.DOTALL)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def alike(text: str) -> str:
    """A text without what names the program."""
    for pattern, word in _ALIKE:
        text = pattern.sub(word, text)
    return text


def facts(path: Path) -> Iterator[Fact]:
    """What is in a file, by its ending."""
    match path.suffix:
        case ".png":
            yield "pixels", cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        case ".mp4" | ".gif":
            with av.open(str(path)) as film:
                yield "when", json.dumps([f.pts for f in film.decode(video=0)])
            with av.open(str(path)) as film:
                frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
            yield "pixels", np.stack(frames)
        case ".html":
            yield from _of_page(path.read_text(encoding="utf-8"))
        case ".npz":
            with np.load(path) as arrays:
                for name in arrays.files:
                    array = arrays[name]
                    yield name, alike(str(array)) if array.dtype.kind == "U" else array
        case ".safetensors":
            yield from _of_tensors(path)
        case ".nlviz":
            with zipfile.ZipFile(path) as parts:
                for name in parts.namelist():
                    yield name, _of_part(parts.read(name), name)
        case _:
            yield "text", alike(path.read_text(encoding="utf-8"))


def _of_tensors(path: Path) -> Iterator[Fact]:
    with safe_open(path, "np") as tensors:
        for name in tensors.keys():  # noqa: SIM118, not a mapping
            yield name, tensors.get_tensor(name)
        yield "metadata", alike(json.dumps(tensors.metadata()))


def _of_part(content: bytes, name: str) -> Any:
    return alike(content.decode()) if name.endswith(".json") else np.frombuffer(content, np.uint8)


def _of_page(html: str) -> Iterator[Fact]:
    for number, (tag, said, content) in enumerate(_HIDDEN.findall(html)):
        if "octet-stream" in said:
            yield f"data {number}", hashlib.sha256(content.encode()).hexdigest()
        elif "json" in said:
            yield f"data {number}", alike(content)
        elif tag == "style":
            yield "style", content
    yield "words", alike(_POLICY.sub("", _HIDDEN.sub("", html)))


def plain_program(html: str) -> str:
    """A page's text that says `nlviz` for the program, so that its picture does so too."""
    return html.replace("python -m nlviz", "nlviz")
