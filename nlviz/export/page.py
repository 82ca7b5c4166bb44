"""Page: one HTML file with the viewer and its data inside, which needs no Python and no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from nlviz.analysis import Analysis
from nlviz.progress import Progress, part_of, silent
from nlviz.provenance import Provenance
from nlviz.query import Query
from nlviz.viewer import bundle
from nlviz.viewer.blobs import tag
from nlviz.viewer.colour_layer import ColourLayer
from nlviz.viewer.staged import Staged

_HERE = Path(__file__).parent


def page(
    analysis: Analysis,
    queries: Sequence[Query],
    provenance: Provenance,
    *,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
    layer: ColourLayer | None = None,
    progress: Progress | None = None,
) -> bytes:
    """The viewer of the app as one HTML file: hover, pin and choose blocks without Python.

    Every block is in it. The pins it opens with are exact; what is hovered or pinned in it is
    worked out there from θ and φ as float16, which the page says. It loads nothing: its content
    security policy allows its own script, its own style, and no address.

    Args:
        analysis: what is shown.
        queries: the pins to open with, at most eight; the first one's block, head, direction, k
            and exclusion are those of the whole page.
        provenance: how it was made; the page shows it.
        title: of the page; the clip's name if None.
        settings: of a session, so that the page opens with its options and the names and colours
            of its pins.
        layer: colours over the frames while nothing is pointed at, as ``Components.layer`` gives
            them.
        progress: as for ``analyse``; what it raises ends it.

    Raises:
        ExportError: more than eight queries.
    """
    staged = Staged.of(analysis, queries, settings)
    blobs = list(_blobs(analysis, staged, progress or silent))
    components = None
    if layer is not None:
        blobs.append(layer.blob(analysis.view, staged.tags[0]))
        components = tag(blobs[-1])
    style = bundle.style() + (_HERE / "page.css").read_text(encoding="utf-8")
    script = bundle.join(_HERE / "page.js")
    return _filled(
        {
            "POLICY": _policy(style, script),
            "GENERATOR": f"nlviz {provenance.version}",
            "TITLE": escape(title or analysis.clip.name),
            "STYLE": style,
            "HEADING": escape(title or analysis.clip.name),
            "FACTS": escape(" · ".join(analysis.facts)),
            "WORDS": escape(provenance.words),
            "SCENE": _json(staged.scene(analysis, components=components).json()),
            "PROVENANCE": _json(asdict(provenance)),
            "BLOBS": "\n".join(map(_data, blobs)),
            "SCRIPT": script,
        }
    ).encode()


def _blobs(analysis: Analysis, staged: Staged, progress: Progress) -> Iterator[bytes]:
    """All of them: nobody can be asked for more later."""
    yield from staged.blobs
    count = len(analysis.blocks)
    for number, block in enumerate(analysis.blocks):
        told = part_of(progress, number / count, (number + 1) / count, f"{block}: ")
        yield staged.constants(analysis, block, told)
        if analysis.sizes:
            yield staged.sizes(analysis, block)


def _policy(style: str, script: str) -> str:
    allowed = {
        "default-src": "'none'",
        "script-src": f"'sha256-{_sha256(script)}'",
        "style-src": f"'sha256-{_sha256(style)}'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(blob: bytes) -> str:
    content = base64.b64encode(blob).decode()
    return f'<script type="application/octet-stream">{content}</script>'


def _json(value: Any) -> str:
    """JSON that no tag can end."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _filled(parts: Mapping[str, str]) -> str:
    """The template with its parts; what a part holds is not looked at again."""
    before, *rest = (_HERE / "page.html").read_text(encoding="utf-8").split("{{")
    pieces = (piece.partition("}}") for piece in rest)
    return before + "".join(parts[name] + after for name, _, after in pieces)
