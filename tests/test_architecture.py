"""The layout shows the architecture; these tests hold its arrows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nlviz

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted(
    path for path in (ROOT / "nlviz").rglob("*.py") if "ui" not in path.relative_to(ROOT).parts
)
UI = sorted((ROOT / "nlviz" / "ui").rglob("*.py"))
MODELS = sorted((ROOT / "models").rglob("*.py"))


def imports(path: Path, *, typing: bool = False) -> set[str]:
    """Dotted names that a file imports; those under TYPE_CHECKING only if asked for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not typing:
        tree = _WithoutTyping().visit(tree)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


class _WithoutTyping(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path, typing=True)}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_ui_knows_streamlit(path):
    assert not tops(path) & {"streamlit", "plotly"}


@pytest.mark.parametrize("path", MODELS, ids=lambda p: str(p.relative_to(ROOT)))
def test_models_never_import_the_library(path):
    assert not tops(path) & {"nlviz", "streamlit"}


def test_an_exported_page_takes_from_the_ui_only_what_knows_no_streamlit():
    script = (
        "import sys, nlviz.export; "
        "print([m for m in ('streamlit', 'plotly') if m in sys.modules], "
        "sorted(m for m in sys.modules if m.startswith('nlviz.app.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    shared = ["messages", "payload", "pins", "saved", "viewer"]
    assert done.stdout.strip() == f"[] {[f'nlviz.app.{name}' for name in shared]}"


def test_only_media_and_figures_read_or_write_files():
    readers = {"av", "PIL", "imageio"}
    for path in LIBRARY:
        if path.relative_to(ROOT).parts[1] not in ("media", "figures", "film"):
            assert not tops(path) & readers, path


def test_importing_the_library_loads_no_torch_and_no_streamlit():
    heavy = ["torch", "streamlit", "cv2", "av", "matplotlib"]
    script = f"import sys, nlviz; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_says_what_it_is():
    assert list(nlviz.__all__) == sorted(nlviz.__all__)
    for name in nlviz.__all__:
        assert getattr(nlviz, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nlviz.nothing


def test_the_function_capture_stays_a_function_after_an_analysis_was_imported():
    script = "import nlviz; nlviz.analyse; nlviz.top_links; print(callable(nlviz.capture))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("path", LIBRARY + UI + MODELS, ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_state_their_idea_and_neither_assert_nor_swallow(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the first line says the file's one idea"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), node.lineno
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), node.lineno


def test_requirements_pin_exact_versions():
    for name in ("", "-dev", "-docs", "-notebook", "-training"):
        for line in (ROOT / f"requirements{name}.txt").read_text().splitlines():
            wanted = line.split("#")[0].strip()
            assert not wanted or re.fullmatch(r"(-r [\w.-]+|[\w.-]+==[\w.]+)", wanted), line


def test_versions_agree():
    assert f'version = "{nlviz.__version__}"' in (ROOT / "pyproject.toml").read_text()
