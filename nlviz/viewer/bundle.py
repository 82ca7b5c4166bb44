"""The viewer's JavaScript and CSS as text: for a Streamlit component, an exported page, a notebook.

The .js files are ES modules of one idea each. Hosts take text, so the files are joined into one
module in the order of their imports; names are unique across them, which a test holds.
"""

from __future__ import annotations

import re
from pathlib import Path

_HERE = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def script() -> str:
    """The viewer as a Streamlit component: one ES module with a default export."""
    return _join("mount_viewer.js")


def store_script() -> str:
    """The store as a Streamlit component: one ES module with a default export."""
    return _join("mount_store.js")


def library() -> str:
    """The viewer for other hosts: an ES module exporting createViewer, pageStore and unpack."""
    return _join("viewer.js") + "\nexport { createViewer, pageStore, unpack };\n"


def style() -> str:
    """The viewer's style sheet, for the page or the shadow root that the viewer lives in."""
    return (_HERE / "viewer.css").read_text(encoding="utf-8")


def _join(entry: str) -> str:
    parts: dict[str, str] = {}
    _collect(entry, parts)
    return "\n".join(parts.values())


def _collect(name: str, parts: dict[str, str]) -> None:
    if name in parts:
        return
    text = (_HERE / name).read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _collect(imported, parts)
    parts[name] = _EXPORT.sub("", _IMPORT.sub("", text))
