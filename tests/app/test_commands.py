"""What the app shows under Reproduce is what the command line and Python take."""

from __future__ import annotations

import shlex

import pytest

import nlviz
from nlviz.app.choice import Asked, Choice, ClipPart, Material, bundled
from nlviz.app.tabs import commands
from nlviz.cli import parser
from nlviz.provenance import Provenance
from nlviz.viewer.options import Options
from tests.support import make


def choice(path: str, part: ClipPart) -> Choice:
    return Choice(Material("id", "A title", path), part, "nl-lite0", 640)


@pytest.mark.parametrize("path", ["clip.mp4", "my clip.mp4", "it's.mp4", "-x.mp4"])
@pytest.mark.parametrize("part", [ClipPart(), ClipPart(start=3, frames=5, stride=2)])
def test_the_command_shown_is_one_that_the_command_line_takes(path, part):
    points = [nlviz.Point(3, 1.5, 2.0), nlviz.Point(5, 10.0, 20.25)]
    shown = commands.command("links", choice(path, part), points, Options("nl4", k=7))
    asked = parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert asked.input.removeprefix("./") == path
    assert asked.at == points
    assert (asked.block, asked.k, asked.exclude) == ("nl4", 7, "frame")
    assert (asked.start, asked.frames, asked.stride) == (part.start, part.frames, part.stride)
    assert (asked.model, asked.size) == ("nl-lite0", 640)


def test_words_are_asked_of_a_session_that_the_first_command_writes():
    asked = Asked("What's that?", "--a dog")
    material = Material("id", "A title", "-x.mp4")
    on_screen = Choice(material, ClipPart(3, 5, 2), "hf:a folder", 640, asked=asked)
    shown = commands.command("html", on_screen, ["dog"], Options("layer 1"), "-o a.html")
    first, then = shown.replace("\\\n", " ").split(" && ")
    words = parser().parse_args(shlex.split(first)[3:])
    assert (words.model, words.ask, words.answer) == ("hf:a folder", "What's that?", "--a dog")
    assert (words.clip, words.output) == ("./-x.mp4", "words.nlviz")
    assert (words.start, words.frames, words.stride) == (3, 5, 2)
    page = parser().parse_args(shlex.split(then)[3:])
    assert (page.input, page.block, page.output) == ("words.nlviz", "layer 1", "a.html")
    assert page.at == ["dog"]
    lines = commands.python(on_screen, ["dog"], Options("layer 1"))
    assert """nlviz.words(clip, 'hf:a folder', ask="What's that?", answer='--a dog')""" in lines
    compile(lines, "lines", "exec")


def test_a_baseline_and_a_ranking_are_written_as_options():
    options = Options("res3.nl1 (cosine)", reverse=True, rank_by="contribution")
    shown = commands.command("links", choice("a.mp4", ClipPart()), [nlviz.Point(0, 1, 1)], options)
    asked = parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert (asked.block, asked.baseline) == ("res3.nl1", "cosine")
    assert (asked.rank, asked.reverse) == ("contribution", True)


def test_a_record_holds_the_very_command_that_is_shown():
    analysis = make.analysis()
    object.__setattr__(analysis, "network", "nl-lite0")
    object.__setattr__(analysis.clip, "path", "my clip.mp4")
    outline = nlviz.Region(5, ((1.5, 2), (30, 4), (20, 40.25)))
    points = [outline, nlviz.Region.box(0, 3, 4, 20, 30), nlviz.Point(10, 1, 2), "class"]
    options = Options("fine (uniform)", head=1, reverse=True, rank_by="contribution", k=7)
    queries = [
        nlviz.Query(point, "fine (uniform)", 7, head=1, reverse=True, rank_by="contribution")
        for point in points
    ]
    recorded = Provenance.of(analysis, queries).command
    size = max(analysis.view.input)
    on_screen = Choice(Material("id", "A title", "my clip.mp4"), ClipPart(0, 4), "nl-lite0", size)
    shown = commands.command("links", on_screen, points, options)
    assert recorded == shown.replace(" \\\n   ", "").replace("--frames 4", "--frames 4 --stride 5")
    asked = parser().parse_args(shlex.split(recorded)[3:])
    assert asked.at == points
    assert (asked.block, asked.baseline, asked.rank) == ("fine", "uniform", "contribution")


@pytest.mark.slow
def test_the_python_lines_shown_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    material = bundled()[0]
    small = Choice(material, ClipPart(frames=3), "nl-lite0", 96)
    points = [nlviz.Point(0, 100.0, 100.0)]
    names: dict[str, object] = {}
    exec(commands.python(small, points, Options("nl5", k=4)), names)
    assert [len(links) for links in names["links"]] == [4]
    assert (tmp_path / "figure.svg").is_file()
    ranked = Options("nl5 (uniform)", k=4)
    exec(commands.python(small, points, ranked), names)
    assert names["links"][0][0].block == "nl5 (uniform)"
    exec(commands.python(small, points, Options("nl5", k=4, rank_by="contribution")), names)
    assert names["links"][0][0].contribution > 0


def test_the_python_lines_need_only_what_nlviz_names_itself():
    shown = commands.python(choice("a.mp4", ClipPart()), [nlviz.Point(0, 1, 1)], Options("nl5"))
    assert 'nlviz.load("nl-lite0")' in shown.replace("'", '"')
    assert "zoo" not in shown
