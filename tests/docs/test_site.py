"""The site of docs/: it builds without a warning, and loads nothing from outside."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nlviz.models import zoo
from training.recipe import Recipe

pytest.importorskip("sphinx", reason="needs requirements-docs.txt")

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built as ``make docs`` builds it: a link to a page or heading that is not there fails."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-c", "tools", ".", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_on_the_site_and_in_its_contents(site):
    contents = (site / "docs" / "README.html").read_text(encoding="utf-8")
    for page in PAGES:
        where = page.relative_to(ROOT).with_suffix(".html")
        assert (site / where).is_file()
        if page.name != "README.md":
            assert f'href="{where.relative_to("docs")}"' in contents
    assert 'url=docs/README.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_docs_holds_pages_and_pictures_and_each_picture_is_on_a_page():
    files = [path for path in (ROOT / "docs").rglob("*") if path.is_file()]
    notebooks = [path for path in files if path.suffix == ".ipynb"]
    assert all(path.with_suffix(".md") in PAGES for path in notebooks)
    pictures = [path for path in files if path.suffix != ".md" and path not in notebooks]
    assert all(path.is_relative_to(ROOT / "docs" / "images") for path in pictures)
    pages = [ROOT / "README.md", *PAGES]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    for picture in pictures:
        assert f"images/{picture.relative_to(ROOT / 'docs' / 'images').as_posix()})" in text


@pytest.mark.slow
def test_the_site_loads_nothing_from_outside(site):
    for file in site.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|img|iframe|source)[^>]*\bsrc=\"(?:https?:)?//", text), (
            file
        )
        assert not re.search(r"<link[^>]*\bhref=\"(?:https?:)?//", text), file
    for file in site.rglob("*.css"):
        styles = file.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", styles), file


@pytest.mark.slow
def test_formulas_need_no_script(site):
    text = (site / "docs" / "how-it-works.html").read_text(encoding="utf-8")
    assert text.count("<math") == 7
    assert [n for n in range(1, 7) if f"({n})" in text] == [*range(1, 7)]
    assert not re.search(r"<script[^>]*mathjax", text, re.IGNORECASE)


@pytest.mark.parametrize("name", zoo.bundled())
def test_the_page_on_training_has_the_recipe_and_names_every_network(name):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    recipe = Recipe()
    assert f"\n{recipe.find_steps} steps" in text
    assert f"\n{recipe.mend_steps} steps" in text
    assert f"models/weights/{name}.md" in text
