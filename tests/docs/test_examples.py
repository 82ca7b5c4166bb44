"""The pages of docs/examples: their code runs as it is and makes what they show and name."""

from __future__ import annotations

import csv
import importlib
import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from PIL import Image

from nlviz.export import open_session
from tools.ladder import PAGES, PICTURES, blocks, run, shown

NAMED = re.compile(r"(?<![\w/:])[\w-]+\.(?:png|svg|pdf|gif|mp4|html|csv|json|npz|nlviz)\b")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
ALIKE = 8  # grey levels of 255: other fonts and rounding stay below, another picture does not


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_an_example_makes_what_the_page_shows_and_names(page, tmp_path):
    if "tiny_vlm" in page.read_text(encoding="utf-8"):
        importlib.import_module("tests.support.vision")  # skips where transformers is missing
    if ".show(" in page.read_text(encoding="utf-8"):
        pytest.importorskip("anywidget", reason="needs requirements-notebook.txt")
    for block, printed in run(page, tmp_path):
        if block.printed is not None:
            same_words_and_near_numbers(printed, block.printed)
    text = page.read_text(encoding="utf-8")
    named = {name for block in blocks(text) for name in NAMED.findall(block.code)}
    assert set(shown(text)) <= named
    for name in named:
        VALID[Path(name).suffix](tmp_path / name)
    for name in shown(text):
        same_picture(tmp_path / name, PICTURES / name)


def test_the_examples_are_numbered_and_lead_from_one_to_the_next():
    assert [int(page.name.split("-")[0]) for page in PAGES] == [*range(1, len(PAGES) + 1)]
    for page, following in pairwise(PAGES):
        assert page.read_text(encoding="utf-8").rstrip().endswith(f"]({following.name}).")


def test_every_picture_in_the_folder_is_shown():
    on_pages = {name for page in PAGES for name in shown(page.read_text(encoding="utf-8"))}
    assert on_pages == {file.name for file in PICTURES.iterdir()}


def same_words_and_near_numbers(found: str, told: str) -> None:
    """What is printed may differ in the third figure, and in errors of rounding."""
    assert NUMBER.sub("0", found).split() == NUMBER.sub("0", told).split()
    numbers = ([float(n) for n in NUMBER.findall(text)] for text in (found, told))
    for mine, theirs in zip(*numbers, strict=True):
        assert mine == pytest.approx(theirs, rel=0.02, abs=1e-3)


def same_picture(found: Path, told: Path) -> None:
    """Of about the same size, and alike where both are looked at from afar."""
    with Image.open(found) as a, Image.open(told) as b:
        assert np.allclose(a.size, b.size, rtol=0.02)
        small = [np.asarray(x.convert("L").resize((160, 120)), np.float32) for x in (a, b)]
    assert np.abs(small[0] - small[1]).mean() < ALIKE


def picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def svg(path: Path) -> None:
    assert ElementTree.parse(path).getroot().tag.endswith("}svg")


def pdf(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")


def film(path: Path) -> None:
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) > 1


def page_of_ours(path: Path) -> None:
    assert "default-src 'none'" in path.read_text(encoding="utf-8")


def table(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


def arrays(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        assert file.files


VALID = {
    ".png": picture,
    ".gif": film,
    ".svg": svg,
    ".pdf": pdf,
    ".mp4": film,
    ".html": page_of_ours,
    ".csv": table,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".npz": arrays,
    ".nlviz": open_session,
}
