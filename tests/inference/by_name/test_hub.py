"""What the Hugging Face hub may answer, each in one sentence; and what its cache holds."""

from __future__ import annotations

import errno
import json

import httpx
import huggingface_hub
import pytest
from huggingface_hub import errors

import nlviz
from nlviz.inference.by_name import extras, hub, kept
from tests.support.named_models import write_repository

NAME = "some/model"


def _answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co/api"))


class NewClientsError(Exception):
    """As httpx2 raises it, which newer clients of the hub use."""

    __module__ = "httpx2._exceptions"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (errors.GatedRepoError("no", response=_answer(403)), "is gated: ask for access.*hf auth"),
        (errors.RepositoryNotFoundError("no", response=_answer(404)), "There is no model"),
        (errors.RevisionNotFoundError("no", response=_answer(404)), "no such revision"),
        (errors.HFValidationError("no"), "is no name on the Hugging Face hub"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left.*HF_HOME"),
        (httpx.ConnectError("no route"), "cannot be reached"),
        (NewClientsError("no route"), "cannot be reached"),
        (errors.OfflineModeIsEnabled("offline"), "cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_told_in_a_sentence(monkeypatch, raised, told):
    def refuse(*_, **__):
        raise raised

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", refuse)
    with pytest.raises(nlviz.NetworkError, match=told) as said:
        hub.snapshot(NAME)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_safetensors_alone_are_brought_where_there_are_any(monkeypatch, tmp_path, name):
    files = ["config.json", "pytorch_model.bin", "own.py", "README.md", *{name}]
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: files)
    asked = {}

    def bring(repository, **how):
        asked.update(how)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", bring)
    assert hub.snapshot(NAME) == tmp_path
    wanted = asked["allow_patterns"]
    assert ("*.bin" in wanted) == (name == "pytorch_model.bin")
    assert ("*.safetensors" in wanted) == (name != "pytorch_model.bin")
    assert "*.py" not in wanted
    hub.snapshot(NAME, code=True, weights=False)
    assert "*.py" in asked["allow_patterns"]
    assert not {"*.bin", "*.safetensors"} & set(asked["allow_patterns"])
    assert "*.jinja" not in asked["allow_patterns"]
    hub.snapshot(NAME, words=True)
    assert {"*.json", "*.jinja", "*.model", "*.txt"} <= set(asked["allow_patterns"])


def test_nothing_is_asked_of_the_hub_where_nothing_may_be_downloaded(monkeypatch):
    def asked(*_, **__):
        pytest.fail("was asked")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", asked)
    with pytest.raises(nlviz.NetworkError, match=r"not on this machine.*hf download some/model"):
        hub.snapshot(NAME, download=False)


def test_progress_is_told_in_megabytes():
    told = []
    bar = hub._bar(huggingface_hub, lambda fraction, what: told.append((fraction, what)), NAME)
    with bar(total=4e6, unit="B") as shown:
        shown.update(1_000_000)
    assert told[-1] == (0.25, "some/model: 1 of 4 MB")


def test_a_cache_is_read_as_the_hub_lays_it_out(tmp_path):
    for name, config in (("of-pictures", {"image_size": 32}), ("of-words", {"vocab_size": 9})):
        at = tmp_path / "hub" / f"models--some--{name}"
        folder = at / "snapshots" / "c0ffee"
        folder.mkdir(parents=True)
        (at / "refs").mkdir()
        (at / "refs" / "main").write_text("c0ffee")
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").touch()
    assert kept.kept_repositories() == ("some/of-pictures",)
    assert kept.snapshot_of("some/of-words").name == "c0ffee"
    assert kept.snapshot_of("some/of-words", "c0ffee").name == "c0ffee"
    assert kept.snapshot_of("some/of-words", "v2") is None
    assert kept.snapshot_of("nobody/nothing") is None


def test_entries_of_a_repository_are_read_and_not_run(tmp_path):
    folder = write_repository(tmp_path / "torch" / "hub" / "someone_repo_main")
    with (folder / "hubconf.py").open("a") as file:
        file.write("\nfrom models import build as other\nraise SystemExit\n")
    assert kept.torch_folder("someone/repo") == folder
    assert {"told", "silent", "other"} <= set(kept.entries_of(folder))
    assert kept.torch_folder("someone/other") is None


def test_a_library_that_is_not_installed_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "timm")
    with pytest.raises(nlviz.NetworkError, match=r'timm is not installed; pip install "nlviz\[hub'):
        nlviz.load("timm:test_vit")
