"""What the README says, run as it is there."""

from __future__ import annotations

import json
import re
import shlex
from collections import OrderedDict
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import nlviz
from nlviz.cli import main
from tests.support import make
from tests.support.plain_block import PlainBlock, PlainNetwork

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "own-network.md").read_text(encoding="utf-8")
LIBRARY, BUILDING = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
TYPED = README.split("\n### The command line\n")[1].split("\n## ")[0]
NAMING, CAPTURING = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def in_a_folder_with_a_clip(tmp_path, monkeypatch):
    """clip.mp4, 640×360, as the README's lines expect one."""
    monkeypatch.chdir(tmp_path)
    with av.open("clip.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for i in range(10):
            picture = np.full((360, 640, 3), 90, np.uint8)
            picture[180:260, 40 * i : 40 * i + 80] = (250, 180, 30)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return tmp_path


@pytest.mark.slow
def test_the_python_lines_work(in_a_folder_with_a_clip):
    torch.manual_seed(0)
    names: dict[str, object] = {}
    exec(LIBRARY, names)  # the README's own lines
    assert names["analysis"].blocks == ("nl3", "nl4", "nl5")
    assert len(names["links"]) == 20
    assert Path("figure.svg").read_text(encoding="utf-8").startswith("<?xml")
    exec(CAPTURING, names | {"module": PlainNetwork(), "inputs": torch.rand(1, 1, 8, 8)})


def test_children_of_other_names_are_named_as_the_guide_says():
    torch.manual_seed(0)
    block = PlainBlock(names=("query", "key", "value", "project"))
    module = nn.Sequential(
        OrderedDict(stem=nn.Conv2d(3, 6, 8, stride=8), layer3=nn.Sequential(OrderedDict(nl=block)))
    )
    names: dict[str, object] = {"module": module}
    exec("def build():\n    " + NAMING, names)
    built, said, blocks = names["build"]()
    network = nlviz.UserNetwork(built, said, blocks=blocks)
    analysis = nlviz.analyse(make.clip(frames=1), network)
    assert analysis.blocks == ("layer3.nl",)
    assert analysis.kinds["layer3.nl"] == "non-local block"


@pytest.mark.slow
def test_the_network_of_the_guide_is_built_and_asked(in_a_folder_with_a_clip, capsys):
    pytest.importorskip("tests.support.vision", reason="needs timm", exc_type=ImportError)
    assert BUILDING.startswith("# net.py")
    Path("net.py").write_text(BUILDING, encoding="utf-8")
    line, served = commands(README.split("\n## Your own network\n")[1].split("```")[3])
    assert main([*line, "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "self-attention, embedded Gaussian" in out
    assert "within its own frame only" in out
    assert served == ["app", "--model", "net.py:build"]


def commands(block: str) -> list[list[str]]:
    """What is typed after nlviz in each line of a block, without its remark."""
    lines = [shlex.split(line, comments=True) for line in block.strip().splitlines()]
    assert {line[0] for line in lines} == {"nlviz"}
    return [line[1:] for line in lines]


@pytest.mark.slow
def test_the_command_lines_work(in_a_folder_with_a_clip, capsys):
    for line in commands(TYPED.split("```")[1]):
        assert main([*line, "--device", "cpu", "--size", "160"]) == 0  # small: quicker
    assert "these 20 links cover" in capsys.readouterr().out
    made = ("figure.pdf", "film.mp4", "page.html")
    assert all((in_a_folder_with_a_clip / name).stat().st_size > 5000 for name in made)


@pytest.mark.parametrize(
    "command",
    [
        *("links", "figure", "film", "html", "stats", "ablate", "track", "export", "models"),
        *("fetch", "app"),
    ],
)
def test_every_command_is_in_the_readme_and_its_options_on_the_page_it_points_to(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    offered = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help", "--output"}
    assert f"nlviz {command}" in README or f"`{command}`" in TYPED
    assert "](docs/commands.md)" in TYPED
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    own = page.split(f"\n## {command}\n")[1].split("\n## ")[0]
    shared = page.split("\n## The question\n")[1].split("\n## ")[0]
    if "[the question]" in own:
        own += shared
    assert offered <= set(re.findall(r"--[a-z]+", own))


def test_it_can_be_read_in_a_few_minutes():
    assert len(README.split()) <= 900


def test_every_file_and_picture_the_readme_points_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_first_thing_to_see_is_a_film_that_our_own_command_made():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    first = next(picture for picture in pictures if "/badge-" not in picture)
    assert (ROOT / first).stat().st_size < 3 << 20
    with Image.open(ROOT / first) as film:
        assert film.n_frames == 16
        made = json.loads(film.info["comment"])
    assert made["command"].startswith("python -m nlviz film assets/clips/")
    assert f"-o {first}" in made["command"]


def test_what_is_to_be_cited_is_the_paper_and_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {nlviz.__version__}\n" in citation
    title = re.search(r"title\s*= \{(.*?)\}", README)[1]
    assert f'title: "{title}"' in citation
    for author in re.search(r"author\s*= \{(.*?)\}", README)[1].split(" and "):
        family, given = author.split(", ")
        assert f"family-names: {family}\n      given-names: {given}\n" in citation
