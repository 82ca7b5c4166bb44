"""The viewer's JavaScript and CSS as text: for a Streamlit component, an exported page, a notebook.

The .js files are ES modules of one idea each. Hosts take text, so the files are joined into one
module in the order of their imports; names are unique across them, which a test holds.
"""

from __future__ import annotations

import re
from pathlib import Path

JS = Path(__file__).parent / "js"
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w./]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def library() -> str:
    """The viewer for any host: an ES module exporting createViewer, pageStore and unpack."""
    return join(JS / "viewer.js") + "\nexport { createViewer, pageStore, unpack };\n"


def style() -> str:
    """The viewer's style sheet, for the page or the shadow root that the viewer lives in."""
    return (JS / "viewer.css").read_text(encoding="utf-8")


def join(entry: Path) -> str:
    """One module from a file and all that it imports."""
    parts: dict[Path, str] = {}
    _collect(entry.resolve(), parts)
    return "\n".join(parts.values())


def _collect(file: Path, parts: dict[Path, str]) -> None:
    if file in parts:
        return
    text = file.read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _collect((file.parent / imported).resolve(), parts)
    parts[file] = _EXPORT.sub("", _IMPORT.sub("", text))
