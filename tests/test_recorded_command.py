"""The command that an export records, run: it must give what the export was made of."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

import nlviz
from nlviz import Point, Query, Region, best_path, film_strip, top_links
from nlviz.cli import main
from nlviz.export import report
from nlviz.models.published.catalogue import RECORDS as PUBLISHED
from nlviz.provenance import Provenance
from tests.support import make

TRIANGLE = Region(0, ((12.5, 10), (150, 30), (40, 110.25)))
BOW_TIE = Region(0, ((10, 10), (150, 110), (150, 10), (10, 110)))
BOX = Region.box(0, 100, 20, 150, 90)
HERE = Point(0, 20.5, 30.0)


@pytest.fixture(scope="module")
def network():
    return nlviz.load("nl-lite0", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Frames of noise, of a shape that rounds to another input at another size."""
    import cv2

    home = tmp_path_factory.mktemp("clip") / "my frames"
    home.mkdir()
    for number, frame in enumerate(make.clip(5, width=170, height=128).frames):
        cv2.imwrite(str(home / f"{number}.png"), frame)
    return home


@pytest.fixture(scope="module")
def analysis(network, folder):
    clip = nlviz.read(str(folder), frames=2, stride=2, start=1)
    return nlviz.with_sizes(nlviz.analyse(clip, network, size=100), network)


def again(command, capsys):
    """What the recorded command prints."""
    python, dash, module, *line = shlex.split(command)
    assert (python, dash, module) == ("python", "-m", "nlviz")
    assert main([*line, "--device", "cpu", "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def links_of(told):
    return [
        [(link["frame"], link["x"], link["y"]) for link in answer["links"]]
        for answer in told["queries"]
    ]


def weights_of(told):
    return [link["weight"] for answer in told["queries"] for link in answer["links"]]


ASKED = {
    "a point": [Query(Point(1, 80.5, 60.0), "nl5", k=5)],
    "points of one question": [Query(Point(f, 20, 30), "nl4", k=3) for f in (1, 3)],
    "ranked by contribution": [Query(Point(1, 80, 60), "nl5", 6, rank_by="contribution")],
    "an outline": [Query(replace(TRIANGLE, frame=1), "nl5", 6)],
    "an outline that crosses itself": [Query(replace(BOW_TIE, frame=1), "nl4", 6)],
    "a box": [Query(replace(BOX, frame=3), "nl5", 6, "cell")],
    "everything allowed": [Query(Point(1, 80, 60), "nl4", 4, "none")],
    "who looks here": [Query(Point(1, 80, 60), "nl4", 4, reverse=True)],
    "one head": [Query(Point(1, 80, 60), "nl4", 4, head=0)],
}


@pytest.mark.parametrize("what", ASKED)
def test_the_recorded_command_gives_the_same_links(analysis, what, capsys):
    queries = ASKED[what]
    wanted = report(analysis, [top_links(analysis, query) for query in queries])
    got = again(Provenance.of(analysis, queries).command, capsys)
    assert links_of(got) == links_of(wanted)
    assert weights_of(got) == pytest.approx(weights_of(wanted), rel=1e-4)
    keys = ("at", "region", "head", "reverse")
    for one, other in zip(got["queries"], wanted["queries"], strict=True):
        assert [one.get(key) for key in keys] == [other.get(key) for key in keys]


@pytest.mark.parametrize("kind", ["uniform", "cosine", "shuffled"])
def test_the_recorded_command_of_a_baseline_makes_that_baseline(analysis, network, kind, capsys):
    made = nlviz.baseline(analysis, network, "nl4", kind)
    query = Query(Point(1, 80, 60), made.blocks[0], k=5)
    got = again(Provenance.of(made, [query]).command, capsys)
    wanted = report(made, [top_links(made, query)])
    assert got["block"] == f"nl4 ({kind})"
    assert links_of(got) == links_of(wanted)
    assert weights_of(got) == pytest.approx(weights_of(wanted), rel=1e-4)


def test_the_recorded_command_of_a_figure_of_a_path_gives_that_path(analysis, capsys):
    path = best_path(analysis, Query(Point(1, 80, 60), "nl5", exclude="none"))
    (made,) = film_strip(analysis, [path]).made
    got = again(made.command, capsys)
    assert links_of(got) == links_of(report(analysis, [path]))


def test_two_heads_and_both_directions_are_asked_for_in_words():
    """Run as the others are, but of a block with heads, which no bundled network has."""
    analysis = of_the_zoo()
    query = Query(HERE, "special", 4, head=1, reverse=True)
    line = shlex.split(Provenance.of(analysis, [query]).command)
    assert line[line.index("--head") + 1] == "1"
    assert "--reverse" in line


def of_the_zoo(name="nl-lite0"):
    made = make.analysis(special=True)
    object.__setattr__(made, "network", name)
    return made


OTHERS = {
    "block": "coarse", "k": 7, "exclude": "none", "head": 0, "reverse": True,
    "rank_by": "contribution",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_queries_that_differ_in_more_than_their_place_have_no_command(name):
    analysis = of_the_zoo()
    first = Query(HERE, "fine", k=3)
    second = replace(first, point=Point(5, 1, 1))
    assert Provenance.of(analysis, [first, second]).command is not None
    assert Provenance.of(analysis, [first, replace(second, **{name: OTHERS[name]})]).command is None


def test_what_no_command_asks_has_none():
    analysis = of_the_zoo()
    assert Provenance.of(analysis).command is None, "no query, no links"
    query = Query(HERE, "fine", k=3)
    some = top_links(analysis, query)[1:]
    assert film_strip(analysis, [some]).made[0].command is None, "links that were picked by hand"
    skewed = replace(analysis, view=replace(analysis.view, input=(64, 160)))
    assert Provenance.of(skewed, [query]).command is None, "no size gives that input"


def test_a_shuffled_block_of_another_seed_has_no_command(analysis, network):
    made = nlviz.baseline(analysis, network, "nl4", "shuffled", seed=3)
    query = Query(Point(1, 80, 60), made.blocks[0], k=5)
    assert Provenance.of(made, [query]).command is None


def test_a_network_without_a_digest_has_a_command():
    name = next(known.name for known in PUBLISHED if not known.digest)
    analysis = of_the_zoo(name)
    analysis = replace(analysis, view=replace(analysis.view, input=(64, 64)))
    made = Provenance.of(analysis, [Query(HERE, "fine")])
    assert made.weights is None
    assert f"--model {name}" in made.command


def test_an_outline_is_not_said_to_be_a_box(analysis, capsys, folder):
    outline = "1,12.5,10,150,30,40,110.25"
    line = ["links", str(folder), "--region", outline, "--frames", "2", "--stride", "2"]
    assert main([*line, "--start", "1", "--size", "96", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "frame 1, outline of 3 corners within 12.5,10 to 150,110.25: these" in said
