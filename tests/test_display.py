"""How records look in a notebook: read by a parser of HTML, and names that look like tags."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from nlviz import (
    Affinity,
    Grid,
    Point,
    Prediction,
    Query,
    QueryError,
    film_strip,
    profile,
    top_links,
)
from nlviz.display import as_text, begun, links_cover, listed
from tests.support import make

EVIL = '<script>alert("x")</script>&'
QUERY = Query(Point(5, 20.0, 10.0), "fine", k=6)


class Read(HTMLParser):
    """The tags, and the texts of the cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def analysis():
    seen = make.analysis(special=True)
    object.__setattr__(seen.clip, "name", EVIL)
    prediction = (Prediction(EVIL, 0.5), Prediction("cat", 0.25))
    return replace(seen, network=EVIL, prediction=prediction)


def test_an_analysis_shows_a_frame_its_blocks_and_what_was_seen(analysis):
    read = Read(analysis._repr_html_())
    assert "script" not in read.tags
    whole = " ".join(read.texts)
    assert whole.count(EVIL) == 3
    assert "4 of 20 frames" in whole
    assert "cat 25%" in whole
    for block in analysis.blocks:
        assert block in read.texts
        assert str(analysis.affinity(block).key_grid) in read.texts
    (image,) = read.images
    assert image["alt"] == EVIL
    content = base64.b64decode(re.fullmatch("data:image/jpeg;base64,(.*)", image["src"])[1])
    pixels = np.asarray(Image.open(io.BytesIO(content)), float)
    assert pixels.shape == (48, 64, 3)
    assert abs(pixels.mean() - analysis.clip.frames[2].mean()) < 5


def test_an_affinity_says_what_it_is(analysis):
    affinity = replace(analysis.affinity("special"), tokens=(EVIL,))
    read = Read(affinity._repr_html_())
    assert "script" not in read.tags
    assert {"2 × 3", EVIL, "within groups", str(affinity.query_grid)} <= set(read.texts)


def test_of_many_names_the_first_are_listed_and_the_others_counted():
    assert listed([]) == ""
    assert listed("abcdefghi") == "a, b, c, d, e, f, g, h, i"
    assert listed([str(i) for i in range(100)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 92 more"
    grid = Grid(1, 1, 1)
    names = tuple(f"query {i}" for i in range(100))
    many = Affinity("gaussian", np.ones((1, 101)), np.ones((1, 101)), grid, grid, tokens=names)
    assert "query 7 and 92 more<" in many._repr_html_()
    with pytest.raises(QueryError, match=r"choose one of query 0, .*query 7 and 92 more\.$"):
        many.row("class")


def test_a_profile_shows_each_frames_share(analysis):
    made = profile(analysis, QUERY)
    html = made._repr_html_()
    read = Read(html)
    for frame, share in zip(made.frames, made.by_frame, strict=True):
        at = read.texts.index(f"frame {frame}")
        assert read.texts[at + 1] == f"{share:.1%}"
    widths = [int(each) for each in re.findall(r"width: (\d+)px", html)]
    assert widths.index(max(widths)) == int(np.argmax(made.by_frame))
    assert f"{made.entropy:.3g}" in read.texts


def test_a_figure_is_a_picture_for_the_screen(analysis):
    figure = film_strip(analysis, [top_links(analysis, QUERY)], width_cm=12)
    with Image.open(io.BytesIO(figure._repr_png_())) as image:
        assert 500 < image.width < 700


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("output of nl5", "Output of nl5"),
        ("θ of nl5", "θ of nl5"),
        ("φ of nl5", "φ of nl5"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_symbol_stays(words, sentence):
    assert begun(words) == sentence


def test_one_link_covers_and_several_cover():
    assert [links_cover(count) for count in (1, 2)] == ["1 link covers", "2 links cover"]


def test_bytes_of_a_name_that_are_no_text_become_question_marks():
    assert as_text("gr\udcfcn.mp4") == "gr?n.mp4"
    assert as_text("grün.mp4") == "grün.mp4"
