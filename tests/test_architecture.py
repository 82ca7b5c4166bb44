"""The layout shows the architecture; these tests hold its arrows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nlviz
from tests.support.imports import arrows, circles, imports, modules

ROOT = Path(__file__).resolve().parent.parent
HOUSE = sorted((ROOT / "nlviz").rglob("*.py"))
LIBRARY = [path for path in HOUSE if "app" not in path.relative_to(ROOT).parts]
MODELS = [path for path in HOUSE if "models" in path.relative_to(ROOT).parts]

# The floors of the house, from the ground up: a wing imports from lower floors and from itself.
# Wings that share a floor do not know each other. Imports for type checkers count too.
FLOORS = (
    "errors version resources progress hosts display",
    "writing geometry clip models",
    "groups query media",
    "affinity",
    "about",
    "analysis",
    "hooks",
    "inference command",
    "provenance",
    "ask",
    "experiments heat statistics",
    "matching",
    "tracking figures",
    "film viewer language scans",
    "export features",
    "windows",
    "batches",
    "notebook cli",
    "app __main__",
)
FLOOR = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings.split()}


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_app_knows_streamlit(path):
    assert not tops(path) & {"streamlit", "plotly"}


@pytest.mark.parametrize("path", HOUSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_notebook_knows_jupyter(path):
    if path.relative_to(ROOT).parts[1] != "notebook":
        assert not tops(path) & {"anywidget", "traitlets", "ipywidgets", "IPython"}


def test_names_are_listed_by_one_function():
    defined = [p for p in HOUSE if re.search(r"^\s*def _?listed\(", p.read_text("utf-8"), re.M)]
    assert [path.relative_to(ROOT).as_posix() for path in defined] == ["nlviz/display.py"]


@pytest.mark.slow
def test_viewer_page_figures_and_films_load_neither_the_app_nor_what_mounts_it():
    script = (
        "import sys, nlviz.export, nlviz.figures, nlviz.film, nlviz.viewer.staged; "
        "print([m for m in sys.modules "
        "if m in ('streamlit', 'plotly', 'anywidget') or m.startswith('nlviz.app')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", HOUSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_go_down_only(path):
    own = path.relative_to(ROOT / "nlviz").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert not [name for name in imports(path) if name.startswith(".")], "whole names alone"
    assert "nlviz" not in imports(path), "name the module, not the face that hands it on"
    seen = {name.split(".")[1] for name in imports(path) if name.startswith("nlviz.")}
    assert seen <= FLOOR.keys(), f"{seen - FLOOR.keys()}: name the module, not the face"
    climbs = {other for other in seen - {own} if FLOOR[other] >= FLOOR[own]}
    assert not climbs, f"{own} may not import {climbs}"


@pytest.mark.parametrize("path", MODELS, ids=lambda p: str(p.relative_to(ROOT)))
def test_models_know_only_errors_and_where_their_files_lie(path):
    seen = {name.split(".")[1] for name in imports(path) if name.startswith("nlviz.")}
    assert seen <= {"models", "errors", "resources"}
    assert "streamlit" not in tops(path)


def test_no_files_import_each_other_in_a_circle():
    files = arrows(modules(ROOT, "nlviz"))
    del files["nlviz"]  # its face hands names on, by name
    assert not circles(files)


def test_the_open_ground_holds_at_most_sixteen_modules():
    files = {path.stem for path in (ROOT / "nlviz").glob("*.py")} - {"__init__", "__main__"}
    assert len(files) <= 16, sorted(files)
    wings = {path.name for path in (ROOT / "nlviz").iterdir() if (path / "__init__.py").exists()}
    assert files | wings == FLOOR.keys() - {"__main__"}


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


@pytest.mark.slow
def test_the_function_capture_stays_a_function_after_an_analysis_was_imported():
    script = "import nlviz; nlviz.analyse; nlviz.top_links; print(callable(nlviz.capture))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("path", HOUSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_state_their_idea_and_neither_assert_nor_swallow(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the first line says the file's one idea"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), node.lineno
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), node.lineno


def test_requirements_pin_exact_versions():
    for name in ("", "-dev", "-docs", "-notebook", "-hub", "-ray", "-training"):
        for line in (ROOT / f"requirements{name}.txt").read_text().splitlines():
            wanted = line.split("#")[0].strip()
            assert not wanted or re.fullmatch(r"(-r [\w.-]+|[\w.-]+==[\w.]+)", wanted), line


def test_versions_agree():
    assert f'version = "{nlviz.__version__}"' in (ROOT / "pyproject.toml").read_text()
