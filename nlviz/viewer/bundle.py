"""The viewer's JavaScript and CSS as text: for a Streamlit component, an exported page, a notebook.

The .js files are ES modules of one idea each. Hosts take text, so a file and all that it imports
are joined into one module: what is imported becomes a function scope each, in the order of the
imports, and the file itself stands at the end as it is, with its own exports.
"""

from __future__ import annotations

import re
from pathlib import Path

JS = Path(__file__).parent / "js"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[\w./]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def library() -> str:
    """The viewer for any host: an ES module exporting createViewer, pageStore and unpack."""
    return join(JS / "library.js")


def style() -> str:
    """The viewer's style sheet, for the page or the shadow root that the viewer lives in."""
    return (JS / "viewer.css").read_text(encoding="utf-8")


def join(entry: Path) -> str:
    """One module from a file and all that it imports."""
    scopes: dict[Path, str] = {}
    body = _collected(entry.resolve(), scopes)
    return "\n".join([*scopes.values(), body])


def _collected(file: Path, scopes: dict[Path, str]) -> str:
    """A file's text, its imports taken from the scopes; those that are missing are added."""
    text = file.read_text(encoding="utf-8")
    for _, path in _IMPORT.findall(text):
        imported = (file.parent / path).resolve()
        if imported not in scopes:
            scopes[imported] = _scope(imported, _collected(imported, scopes))

    def taken(found: re.Match[str]) -> str:
        names = found[1].replace(" as ", ": ")
        return f"const {{{names}}} = {_name(file.parent / found[2])};\n"

    return _IMPORT.sub(taken, text)


def _scope(file: Path, body: str) -> str:
    exported = ", ".join(found[2] for found in _EXPORT.finditer(body))
    inner = _EXPORT.sub(r"\1", body)
    return f"const {_name(file)} = (() => {{\n{inner}return {{ {exported} }};\n}})();\n"


def _name(file: Path) -> str:
    """What a module is called in the joined one, after its folder and itself."""
    return f"${file.resolve().parent.name}_{file.stem}"
