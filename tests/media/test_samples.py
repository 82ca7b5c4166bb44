"""Samples: each is there with its first query, or one sentence says why not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import nlviz
from nlviz.cli import main
from nlviz.media import samples
from nlviz.resources import CLIPS, HOME

PHOTOGRAPH = "grace_hopper.jpg"


def names() -> list[str]:
    return [each.file for each in samples.samples()]


def instead(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """Matplotlib lies in that folder, or nowhere."""
    spec = None
    if folder is not None:
        spec = ModuleSpec("matplotlib", None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(samples, "find_spec", lambda name: spec)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A copy of matplotlib's photograph at its place in the folder of a package."""
    (copy := tmp_path / "mpl-data" / "sample_data" / PHOTOGRAPH).parent.mkdir(parents=True)
    copy.write_bytes(samples.sample(PHOTOGRAPH).path.read_bytes())
    return copy


def test_every_sample_is_read_by_its_name_and_its_first_query_lies_in_it():
    for sample in samples.samples():
        clip = nlviz.read(sample.name)
        assert (clip.name, clip.path) == (sample.file, f"sample:{sample.file}")
        assert sample.title
        assert sample.about.endswith((".", "?"))
        assert sample.at is not None
        assert sample.at.frame in clip.indices
        assert 0 <= sample.at.x < clip.width
        assert 0 <= sample.at.y < clip.height


def test_a_sample_is_the_same_clip_as_its_file():
    by_path, by_name = nlviz.read(CLIPS / "ball.mp4"), nlviz.read("sample:ball.mp4")
    assert (by_path.frames == by_name.frames).all()
    assert by_path.indices == by_name.indices
    assert nlviz.probe("sample:ball.mp4") == nlviz.probe(CLIPS / "ball.mp4")


def test_the_photograph_comes_from_matplotlib_with_its_source_and_licence():
    sample = samples.sample(PHOTOGRAPH)
    assert names()[-1] == PHOTOGRAPH
    assert not sample.path.is_relative_to(HOME / "assets")
    for word in ("US Navy", "public domain", "Wikimedia Commons", "matplotlib"):
        assert word in sample.origin
    clip = nlviz.read(sample.name)
    assert clip.notes == (sample.origin,)
    assert clip.is_image
    assert clip.frames[0, 98, 115].min() > 180, "the first query lies on a white star"
    assert nlviz.read("sample:ball.mp4").notes == ()


def test_the_photograph_is_in_no_file_of_the_project():
    content = samples.sample(PHOTOGRAPH).path.read_bytes()
    listed = subprocess.run(["git", "ls-files"], cwd=HOME, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a clone")
    files = [HOME / line for line in listed.stdout.splitlines()]
    assert len(files) > 300
    part = content[20_000:20_064]
    assert [file for file in files if file.is_file() and part in file.read_bytes()] == []


def test_samples_are_found_without_importing_matplotlib():
    script = (
        "import sys, nlviz; from nlviz.media import samples; "
        f"nlviz.read('sample:{PHOTOGRAPH}'); "
        "print(len(samples.samples()), 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=HOME)
    assert done.stdout.split() == [str(len(names())), "False"], done.stderr


def test_without_matplotlib_the_photograph_is_not_offered_and_one_sentence_says_why(monkeypatch):
    instead(monkeypatch, None)
    assert names() == [each.file for each in samples.bundled()]
    with pytest.raises(nlviz.MediaError, match=r"comes with matplotlib, which is not installed"):
        nlviz.read(f"sample:{PHOTOGRAPH}")
    assert PHOTOGRAPH not in unknown()


def unknown() -> str:
    with pytest.raises(nlviz.MediaError) as caught:
        samples.sample("no" * 100)
    return str(caught.value)


def test_a_sample_that_does_not_exist_is_told_those_that_do():
    said = unknown()
    assert said.startswith(f"The sample '{'no' * 30}' does not exist; choose one of ball.mp4, ")
    assert said.endswith(f"{PHOTOGRAPH}, or give a file of your own.")


def test_a_module_of_that_name_without_a_file_is_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", type(sys)("matplotlib"))
    with pytest.raises(ValueError, match="__spec__"):
        importlib.util.find_spec("matplotlib")
    assert PHOTOGRAPH not in names()


@pytest.mark.parametrize("harm", ["swapped", "cut off", "gone", "a folder"])
def test_a_damaged_photograph_is_not_offered_and_one_sentence_says_why(
    harm, photograph, monkeypatch
):
    instead(monkeypatch, photograph.parents[2])
    assert names()[-1] == PHOTOGRAPH
    content = photograph.read_bytes()
    photograph.unlink()
    if harm == "swapped":
        photograph.write_bytes((CLIPS / "orchard.jpg").read_bytes())
    elif harm == "cut off":
        photograph.write_bytes(content[:-1])
    elif harm == "a folder":
        photograph.mkdir()
    assert names() == [each.file for each in samples.bundled()]
    with pytest.raises(nlviz.MediaError, match=r"matplotlib, .* does not hold the sample"):
        nlviz.read(f"sample:{PHOTOGRAPH}")


def test_a_file_that_is_called_like_a_sample_is_named_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sample:ball.mp4").write_bytes((CLIPS / "orchard.jpg").read_bytes())
    assert nlviz.read("sample:ball.mp4").total > 1
    assert nlviz.read("./sample:ball.mp4").is_image


def test_a_command_takes_a_sample_and_tells_its_licence(capsys):
    asked = ["links", f"sample:{PHOTOGRAPH}", "--at", "0,115,98", "--k", "1", "--size", "160"]
    assert main(asked) == 0
    assert "in the public domain" in capsys.readouterr().err
    assert main(["links", "sample:nothing.mp4", "--at", "0,1,1"]) == 2
    said = capsys.readouterr().err
    assert "The sample 'nothing.mp4' does not exist" in said
    assert len(said.splitlines()) == 1
