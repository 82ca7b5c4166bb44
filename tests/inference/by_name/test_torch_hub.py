"""torchhub:REPO:ENTRY: code that runs only where it is trusted, and says what its input is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

import nlviz
from tests.support import make
from tests.support.named_models import write_repository


@pytest.fixture
def repository(tmp_path):
    return str(write_repository(tmp_path / "repo"))


def _load(repository, entry, **more):
    spec = f"torchhub:{repository}:{entry}"
    return nlviz.load(spec, device="cpu", trust=(repository,), **more)


def test_its_code_runs_only_where_it_is_trusted_by_name(repository):
    with (Path(repository) / "hubconf.py").open("a") as file:
        file.write("\nimport pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    for trust in ((), ("facebookresearch/dinov2",)):
        with pytest.raises(nlviz.NetworkError, match=f"--trust {repository}"):
            nlviz.load(f"torchhub:{repository}:told", trust=trust)
    assert not (Path(repository) / "ran").exists()
    _load(repository, "told")
    assert (Path(repository) / "ran").exists()


def test_an_entry_that_says_its_input_is_taken_at_its_word(repository):
    network = _load(repository, "told")
    assert network.name == "torchhub:repo:told"
    assert (network.input.size, network.input.mean, network.input.layout) == (
        32,
        (0.5, 0.5, 0.5),
        "TCHW",
    )
    assert nlviz.analyse(make.clip(frames=2), network).blocks == ("Net",)
    assert network.module.filled


def test_random_weights_are_asked_of_the_entry(repository):
    network = _load(repository, "told", weights="none")
    assert not network.module.filled
    assert network.name.endswith("(random weights)")
    with pytest.raises(nlviz.NetworkError, match="takes no pretrained=False"):
        _load(repository, "pair", weights="none")


def test_weights_of_ones_own_are_loaded_into_it(repository, tmp_path):
    state = _load(repository, "told").module.state_dict()
    torch.save({"module." + name: value * 0 for name, value in state.items()}, tmp_path / "w.pt")
    network = _load(repository, "told", weights=tmp_path / "w.pt")
    assert not network.module.embed.weight.any()
    assert str(network.weights).startswith("sha256:")


def test_what_nobody_says_of_the_input_has_to_be_said(repository):
    with pytest.raises(nlviz.NetworkError, match=r"the size and mean and dev.*--input size=…"):
        _load(repository, "silent")
    said = {"size": (48, 32), "mean": (0, 0, 0), "deviation": (1, 1, 1)}
    network = _load(repository, "silent", input=said)
    assert network.input.size == (48, 32)
    assert "by hand: size, mean, deviation" in network.summary


def test_a_modules_own_record_as_timm_has_it_is_taken(repository):
    made = _load(repository, "of_timm").input
    assert made.mean == (0.1, 0.2, 0.3)
    assert made.deviation == (1, 2, 4)
    assert (made.size, made.interpolation) == (48, "bilinear")


def test_of_several_modules_the_first_is_taken_and_told(repository):
    said = {"size": 32, "mean": (0, 0, 0), "deviation": (1, 1, 1)}
    network = _load(repository, "pair", input=said)
    assert type(network.module).__name__ == "Net"
    assert "the first of 2 modules" in network.summary


def test_a_pickle_that_it_loads_runs_no_code(repository):
    ran = Path(repository) / "ran"

    class Code:
        def __reduce__(self):
            return Path.touch, (ran,)

    torch.save(Code(), Path(repository) / "code.pt")
    with pytest.raises(nlviz.NetworkError, match="Weights only load failed"):
        _load(repository, "pickled")
    assert not ran.exists()


def test_wrong_entries_and_repositories_are_told(repository, tmp_path, monkeypatch):
    with pytest.raises(nlviz.NetworkError, match=r"has no function 'tolld'; it has .*told"):
        _load(repository, "tolld")
    with pytest.raises(nlviz.NetworkError, match="returned a str, not a"):
        _load(repository, "word")
    with pytest.raises(nlviz.NetworkError, match=r"has no hubconf\.py"):
        _load(str(tmp_path), "told")
    with pytest.raises(nlviz.NetworkError, match=r"no folder '\./nowhere'"):
        _load("./nowhere", "told")

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(nlviz.NetworkError, match="cannot be fetched from GitHub"):
        _load("someone/repo", "told")


def test_a_repository_of_github_is_fetched_once_and_kept(repository, monkeypatch):
    asked = []

    def download(url, file, **_):
        asked.append(url)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("someone-repo-0123/", "")
            for each in Path(repository).glob("*.py"):
                archive.write(each, f"someone-repo-0123/{each.name}")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setattr(torch.hub, "_validate_not_a_forked_repo", lambda *_: None)
    for _ in range(2):
        network = _load("someone/repo:main", "told")
    assert network.name == "torchhub:someone/repo:main:told"
    assert asked == ["https://github.com/someone/repo/zipball/main"]
