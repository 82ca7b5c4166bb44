"""Example 8 as a notebook that Colab opens: ``python -m tools.notebook``.

Its code is that of the page, which the tests run, after a cell that installs nlviz where it is not.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "examples" / "8-notebook.md"
FILE = PAGE.with_suffix(".ipynb")

INSTALL = """\
# In Colab, where nlviz is not installed: the address of the repository that this notebook is of.
REPOSITORY = ""  # @param {type: "string"}

import importlib.util
import subprocess
import sys

if importlib.util.find_spec("nlviz") is None:
    package = f"nlviz[notebook] @ git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
"""

_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(r"^(```text\n.*?^```|!\[[^\n]*|Next: [^\n]*)$", re.MULTILINE | re.DOTALL)


def made() -> str:
    """The notebook, none of it run, as JSON."""
    page = re.sub(r"\nThis page is a notebook.*\n", "", PAGE.read_text(encoding="utf-8"))
    parts = _CODE.split(page)
    texts = [_LEFT_OUT.sub("", part).strip() for part in parts[::2]]
    cells = [("markdown", texts[0]), ("code", INSTALL.strip())]
    for code, text in zip(parts[1::2], texts[1:], strict=True):
        cells += [("code", code.strip()), ("markdown", text)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": [_cell(number, *cell) for number, cell in enumerate(cells) if cell[1]],
        "metadata": {"kernelspec": kernel, "colab": {"provenance": []}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, source: str) -> dict[str, object]:
    run = {"execution_count": None, "outputs": []} if kind == "code" else {}
    lines = source.splitlines(keepends=True)
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines, **run}


if __name__ == "__main__":
    FILE.write_text(made(), encoding="utf-8")
