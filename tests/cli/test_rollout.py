"""``nlviz rollout``: derived blocks in figures, links and sessions, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz import cli
from nlviz.analysis import DERIVED
from nlviz.export import open_session
from tests.support import each_frame, make, media_files, tiny_vit

NETWORK = f"{Path(tiny_vit.__file__)}:build"
EACH_FRAME = f"{Path(each_frame.__file__)}:build"


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    return str(make.picture(tmp_path_factory.mktemp("rollout") / "photo.png"))


def run(*words):
    return cli.main(["rollout", *words, "--model", NETWORK, "--device", "cpu"])


def test_a_session_keeps_the_derived_block_and_its_rows(photograph, tmp_path, capsys):
    out = tmp_path / "out.nlviz"
    assert run(photograph, "--at", "0,10,10", "-o", str(out)) == 0
    session = open_session(out)
    (name,) = session.analysis.derived
    assert (name, session.queries[0].block) == ("rollout (derived)", name)
    assert session.analysis.kinds[name].endswith(DERIVED)
    assert len(nlviz.top_links(session.analysis, session.queries[0])) == 20
    capsys.readouterr()
    # A session has all that rollout needs: no network is run.
    assert cli.main(["rollout", str(out), "--at", "0,10,10", "--k", "1", "--residual", "0.9"]) == 0
    told = capsys.readouterr().out
    assert "rollout (derived, residual 0.9)" in told
    assert "not a weight of the network" in told


def test_a_class_has_links_and_a_masking_curve(photograph, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert run(photograph, "--class", "hound", "--mask", "-o", str(out)) == 0
    told = json.loads(out.read_text())
    assert told["block"] == "relevance: dog (derived)"
    assert told["queries"][0]["token"] == "prediction"
    said = capsys.readouterr().out
    assert "dog, hound at" in said
    assert "painted over" in said


def test_a_figure_calls_its_weights_derived(photograph, tmp_path):
    out = tmp_path / "out.svg"
    assert run(photograph, "-o", str(out)) == 0
    drawn = out.read_text()
    assert "derived weight" in drawn
    assert "affinity" not in drawn


def test_shuffled_weights_are_one_more_strip(photograph, tmp_path):
    sizes = []
    for name, more in (("one", ()), ("two", ("--shuffled", "3"))):
        out = tmp_path / f"{name}.png"
        assert run(photograph, "-o", str(out), *more) == 0
        with Image.open(out) as picture:
            sizes.append(np.array(picture.size))
    assert sizes[1][1] > 1.5 * sizes[0][1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--head", "1"), "leave out --head"),
        (("--reverse",), "leave out --reverse"),
        (("--block", "layers.0.attn"), "--block is for --class"),
        (("--class", "cat", "--fusion", "max"), "are of rollout"),
        (("--class", "cat", "--to", "layers.1.attn"), "are of rollout"),
        (("--from", "layers.2.attn", "--to", "layers.1.attn"), "'layers.1.attn' stands before"),
        (("--from", "layers.9.attn"), "'layers.9.attn' is not captured"),
        (("--residual", "1"), "from 0 to below 1"),
        (("--class", "dig"), "'dig' is unknown"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_sentence(words, sentence, photograph, capsys):
    assert run(photograph, *words) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence in told


def test_where_frames_run_by_themselves_links_stay_on_the_frame_that_is_asked(tmp_path, capsys):
    clip = media_files.moving_square(tmp_path, 2, step=30)
    asked = ["rollout", str(clip), "--model", EACH_FRAME, "--device", "cpu"]
    out = tmp_path / "out.json"
    assert cli.main([*asked, "--at", "0,25,45", "--k", "3", "-o", str(out)]) == 0
    (found,) = json.loads(out.read_text())["queries"]
    assert {link["frame"] for link in found["links"]} == {0}
    assert min(link["weight"] for link in found["links"]) > 0
