"""How it was made, in each kind of picture and film, read by programs that did not write it."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import av
import numpy as np
import pypdf
import pypdfium2
import pytest
from PIL import Image
from safetensors.torch import save_file

from nlviz import Panel, Point, Query, export, film_strip, film_strips, top_links
from nlviz.cli import main
from nlviz.film import follow, play, travel
from nlviz.inference.loading import load_user_network
from nlviz.models import zoo
from nlviz.models.published import fetch
from nlviz.provenance import Provenance, checksum
from tests.support import make

QUERY = Query(Point(5, 20.0, 10.0), "fine", k=6)
OTHER = Query(Point(0, 40.0, 30.0), "coarse", k=3)
DPI = 288
DC = "{http://purl.org/dc/elements/1.1/}"


def figure(analysis, *queries):
    return film_strip(analysis, [top_links(analysis, query) for query in queries], width_cm=12)


def told(content: bytes, kind: str) -> tuple[str, str]:
    """The words and the JSON text of a figure."""
    if kind == "png":
        with Image.open(io.BytesIO(content)) as image:
            return image.text["Description"], image.text["nlviz"]
    if kind == "svg":
        tree = ElementTree.fromstring(content)
        return tree.findtext(f".//{DC}description"), tree.findtext(f".//{DC}source")
    held = pypdf.PdfReader(io.BytesIO(content)).metadata
    return held.subject, held["/Keywords"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_of_the_library_says_what_it_shows(kind):
    analysis = make.analysis()
    # A name with what the formats write in a way of their own.
    object.__setattr__(analysis.clip, "name", 'a (b) <c> & "é漢".mp4')
    words, text = told(getattr(figure(analysis, QUERY, OTHER), kind)(), kind)
    (made,) = json.loads(text)
    assert made == json.loads(Provenance.of(analysis, [QUERY, OTHER]).json)
    assert made["clip"] == analysis.clip.name
    assert made["checksum"] == checksum(analysis.clip)
    assert [query["block"] for query in made["queries"]] == ["fine", "coarse"]
    assert words == Provenance.of(analysis, [QUERY, OTHER]).words


def test_a_figure_of_two_networks_names_both_and_each_question_once():
    one, two = make.analysis(), make.analysis(frames=3)
    panels = [Panel(each, [top_links(each, QUERY)]) for each in (one, one, two)]
    _, text = told(film_strips(panels).svg(), "svg")
    first, second = json.loads(text)
    assert (first["frames"], second["frames"]) == ([0, 5, 10, 15], [0, 5, 10])
    assert len(first["queries"]) == len(second["queries"]) == 1


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_of_the_command_holds_the_command(tmp_path, monkeypatch, kind):
    clip = make.picture(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    line = ["figure", clip.name, "--at", "0,25,25", "--size", "64", "--device", "cpu"]
    line += ["-o", f"a.{kind}"]
    assert main(line) == 0
    words, text = told(Path(f"a.{kind}").read_bytes(), kind)
    (made,) = json.loads(text)
    assert made["command"] == shlex.join(["python", "-m", "nlviz", *line])
    assert made["command"] in words
    assert made["weights"].startswith("sha256:")


@pytest.mark.slow
def test_films_of_the_library_say_what_they_show():
    analysis = make.analysis()
    start, end = QUERY.point, Point(5, 40.0, 30.0)
    moved = [Query(point, "fine", k=6) for point in (start, end)]
    for film, asked in (
        (play(analysis, [QUERY, OTHER], width=160), [QUERY, OTHER]),
        (follow(analysis, QUERY, 1, width=160), [QUERY]),
        (travel(analysis, QUERY, [start, end], seconds=0.5, width=160), moved),
    ):
        wanted = json.loads(Provenance.of(analysis, asked).json)
        with Image.open(io.BytesIO(film.gif())) as image:
            assert json.loads(image.info["comment"]) == wanted
    with av.open(io.BytesIO(play(analysis, [QUERY], width=160).mp4())) as container:
        assert json.loads(container.metadata["comment"])["checksum"] == checksum(analysis.clip)


@pytest.fixture(scope="module")
def drawn():
    """A figure in all formats, and its PNG's pixels; its frames have no edges to be smoothed."""
    analysis = make.analysis()
    across, down = np.meshgrid(np.linspace(40, 220, 64), np.linspace(40, 220, 48))
    frame = np.stack([across, down, np.full_like(across, 90)], axis=-1).astype(np.uint8)
    object.__setattr__(analysis.clip, "frames", np.stack([frame] * 4))
    made = figure(analysis, QUERY, OTHER)
    with Image.open(io.BytesIO(made.png(dpi=DPI))) as image:
        return made, small(image)


def small(image: Image.Image) -> np.ndarray:
    """Shrunk, so that it matters little how a program smooths edges and places letters."""
    return np.asarray(image.convert("RGB").resize((300, 115), Image.Resampling.BOX), float)


def same_picture(image: Image.Image, wanted: np.ndarray) -> None:
    off = abs(small(image) - wanted)
    assert off.mean() < 4
    assert np.mean(off.max(axis=2) > 60) < 0.04
    white = np.full_like(wanted, 255)
    assert abs(white - wanted).mean() > 20, "an empty page is not this picture"


def test_an_svg_looks_the_same_in_a_browser(drawn, browser, tmp_path):
    made, wanted = drawn
    made.save(tmp_path / "a.svg")
    page = browser.new_page(viewport={"width": 453, "height": 173}, device_scale_factor=3)
    page.goto((tmp_path / "a.svg").as_uri())
    same_picture(Image.open(io.BytesIO(page.screenshot())), wanted)
    page.close()


@pytest.mark.skipif(not shutil.which("rsvg-convert"), reason="needs the program rsvg-convert")
def test_an_svg_looks_the_same_in_rsvg(drawn, tmp_path):
    made, wanted = drawn
    made.save(tmp_path / "a.svg")
    line = [
        "rsvg-convert",
        "-d",
        str(DPI),
        "-p",
        str(DPI),
        "-b",
        "white",
        "-o",
        tmp_path / "a.png",
        tmp_path / "a.svg",
    ]
    subprocess.run(line, check=True)
    same_picture(Image.open(tmp_path / "a.png"), wanted)


def test_a_pdf_looks_the_same_in_pdfium(drawn):
    made, wanted = drawn
    file = pypdfium2.PdfDocument(made.pdf())
    same_picture(file[0].render(scale=DPI / 72).to_pil(), wanted)
    file.close()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="needs the program pdftoppm")
def test_a_pdf_looks_the_same_in_poppler(drawn, tmp_path):
    made, wanted = drawn
    made.save(tmp_path / "a.pdf")
    line = ["pdftoppm", "-r", str(DPI), "-png", "-singlefile", tmp_path / "a.pdf", tmp_path / "a"]
    subprocess.run(line, check=True)
    same_picture(Image.open(tmp_path / "a.png"), wanted)


def test_a_clip_is_hashed_once_and_forgotten_with_it(monkeypatch):
    from nlviz import provenance

    clip, hashed = make.clip(), []
    expected = "sha256:" + hashlib.sha256(clip.frames.tobytes()).hexdigest()
    sha256 = hashlib.sha256
    monkeypatch.setattr(provenance.hashlib, "sha256", lambda data: hashed.append(1) or sha256(data))
    before = len(provenance._checksums)
    assert provenance.checksum(clip) == provenance.checksum(clip) == expected
    assert hashed == [1]
    del clip
    gc.collect()
    assert len(provenance._checksums) == before


def sha256(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


OWN = """
from torch import nn
from nlviz.models.nonlocal_block import NonLocalBlock

def build():
    return nn.Sequential(nn.Conv3d(3, 8, (1, 16, 16), (1, 16, 16)), NonLocalBlock(8))
"""


@pytest.mark.parametrize("whose", ["bundled", "fetched", "own checkpoint", "own network"])
def test_the_checksum_of_the_weights_that_were_used_is_in_every_export(
    whose, small, content, tmp_path, monkeypatch, capsys
):
    make.picture(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    Path("mine.pkl").write_bytes(content)
    Path("net.py").write_text(OWN)
    wanted = sha256(Path("mine.pkl"))
    if whose == "bundled":
        model = ["--model", "nl-lite0"]
        wanted = "sha256:" + zoo.record("nl-lite0").sha256
    elif whose == "fetched":
        fetch.fetch(small)
        model = ["--model", "small"]
    elif whose == "own checkpoint":
        model = ["--model", "small", "--weights", "mine.pkl"]
    else:
        module = load_user_network("net.py:build").module
        save_file(module.state_dict(), "net.safetensors")
        model = ["--model", "net.py:build", "--weights", "net.safetensors"]
        wanted = sha256(Path("net.safetensors"))
    asked = ["picture.png", "--at", "0,25,25", "--size", "64", "--device", "cpu", *model]
    assert main(["links", *asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == wanted
    for ending, verb in {"svg": "figure", "html": "html", "gif": "film", "nlviz": "export"}.items():
        extra = ["--width", "160"] if verb == "film" else []
        extra += ["--follow", "1"] if verb == "film" else []
        assert main([verb, *asked, *extra, "-o", f"a.{ending}"]) == 0
        if ending == "nlviz":
            assert export.open_session("a.nlviz").provenance.weights == wanted
        elif ending == "gif":
            with Image.open("a.gif") as image:
                assert json.loads(image.info["comment"])["weights"] == wanted
        else:
            assert wanted in Path(f"a.{ending}").read_text()
    capsys.readouterr()
    assert main(["links", "a.nlviz", "--json"]) == 0  # what the session was made with
    assert json.loads(capsys.readouterr().out)["weights"] == wanted
