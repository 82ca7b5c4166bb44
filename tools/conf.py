"""The site of docs/: ``make docs``. Sphinx with MyST reads the pages as GitHub shows them.

Sphinx, because it is released again and again by many people and refers to files, headings and
pages strictly; MkDocs has had no release since 2024, and what is to follow it is young.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

project = "nlviz"
copyright = "the authors of nlviz, Apache-2.0"
root_doc = "docs/README"
include_patterns = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md"),
    *("docs/examples/*.md", "models/weights/*.md", "assets/CREDITS.md"),
]
exclude_patterns = [".venv", "build", "training/cache", "training/runs"]
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
html_theme = "furo"  # its fonts are the reader's own
html_title = "nlviz"
html_copy_source = False
html_show_sphinx = False
# Formulas as MathML, which browsers draw themselves.
html_math_renderer = "mathml"

_LINK = re.compile(r"\]\(([\w./-]+)\.md\)")


def _contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Every page that the table of contents links to is in the site's, by section and in order."""
    if page == root_doc:
        for section in source[0].split("\n## ")[1:]:
            title, _, text = section.partition("\n")
            pages = "\n".join(_LINK.findall(text))
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def _door(app: Sphinx, error: Exception | None) -> None:
    """The site is entered by its folder, too."""
    if error is None:
        door = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">'
        (app.outdir / "index.html").write_text(door, encoding="utf-8")


def _formula(writer: Any, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _equation(writer: Any, node: nodes.math_block) -> None:
    text, _, number = node.astext().partition(r"\tag")
    formula = convert(text.strip(), display="block").replace(
        "<math", '<math style="flex: 1; overflow: visible"', 1
    )
    told = f"({number.strip('{} ')})" if number else ""
    row = f'<div style="display: flex">{formula}<span>{told}</span></div>'
    writer.body.append(row)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.connect("source-read", _contents)
    app.connect("build-finished", _door)
    app.add_html_math_renderer("mathml", (_formula, None), (_equation, None))
