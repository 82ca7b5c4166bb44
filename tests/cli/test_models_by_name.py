"""Commands with --model hf:… and torchhub:…: what is taken is printed, what is wrong told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlviz.cli import main
from nlviz.cli.typed import field
from tests.support import make
from tests.support.named_models import save, write_repository

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photo(tmp_path):
    return str(make.picture(tmp_path / "photo.png"))


def _links(photo, *more):
    return main(["links", photo, "--at", "0,5,5", "--k", "2", "--json", *more])


def test_links_of_a_network_by_name_say_what_was_taken(photo, tmp_path, capsys):
    spec = save("vit", tmp_path / "vit")
    assert _links(photo, "--model", spec, "--size", "96") == 0
    out = capsys.readouterr()
    assert "note: hf:vit: ViTForImageClassification of transformers" in out.err
    assert "longer side 96 px, aspect kept" in out.err
    told = json.loads(out.out)
    assert told["model"] == "hf:vit"
    assert told["weights"].startswith("sha256:")


def test_random_weights_stand_in_what_is_printed(photo, tmp_path, capsys):
    spec = save("vit", tmp_path / "vit")
    assert _links(photo, "--model", spec, "--weights", "none") == 0
    assert json.loads(capsys.readouterr().out)["model"] == "hf:vit (random weights)"


def test_what_a_repository_does_not_say_is_said_with_input(photo, tmp_path, capsys):
    repository = str(write_repository(tmp_path / "repo"))
    model = ["--model", f"torchhub:{repository}:silent"]
    assert _links(photo, *model) == 2
    assert f"--trust {repository}" in capsys.readouterr().err
    said = ["--input", "size=64,48", "--input", "mean=0,0,0", "--input", "deviation=1,1,1"]
    assert _links(photo, *model, "--trust", repository, *said) == 0
    assert "by hand: size, mean, deviation" in capsys.readouterr().err


def test_a_video_network_is_given_its_own_number_of_frames(tmp_path, capsys):
    spec = save("videomae", tmp_path / "videomae")
    asked = ["links", "sample:ball.mp4", "--at", "0,5,5", "--k", "1", "--json", "--model", spec]
    assert main(asked) == 0
    assert len(json.loads(capsys.readouterr().out)["input"]["sampled_frames"]) == 4
    assert main([*asked, "--frames", "3"]) == 2
    assert "takes 4 frames and got 3" in capsys.readouterr().err


def test_fields_of_an_input_are_numbers_several_or_words():
    assert field("mean=0.5,0.25,1") == ("mean", (0.5, 0.25, 1))
    assert field("mean=0.5") == ("mean", (0.5,))
    assert field("size=224×160") == ("size", (224, 160))
    assert field("frames=8") == ("frames", 8)
    assert field("interpolation=bicubic") == ("interpolation", "bicubic")


def test_families_and_caches_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    at = tmp_path / "models--some--vit"
    save("vit", at / "snapshots" / "c0ffee")
    (at / "refs").mkdir()
    (at / "refs" / "main").write_text("c0ffee")
    assert main(["models", "--by-name"]) == 0
    out = capsys.readouterr().out
    assert "  vision_transformer: " in out
    assert "In the caches of this machine: hf:some/vit" in out
    assert main(["models", "--by-name", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["here"] == ["hf:some/vit"]
    of_timm = {each["family"]: each for each in told["families"]["timm"]}
    assert of_timm["vision_transformer"]["captured"]
    assert of_timm["vision_transformer"]["error"] < 1e-4


def test_the_tables_of_the_page_are_those_that_the_command_lists():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    families = json.loads((ROOT / "assets" / "families.json").read_text(encoding="utf-8"))
    for library, several in families.items():
        section = page.split(f"<!-- {library} -->")[1].split(f"<!-- end of {library} -->")[0]
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
        assert [row[0].removeprefix("| ") for row in rows] == [each["family"] for each in several]
        assert [int(row[3]) for row in rows] == [each["captured"] for each in several]
