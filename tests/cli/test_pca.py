"""``nlviz pca`` and ``--features``, in process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nlviz.cli import main
from nlviz.errors import BudgetError
from tests.support import make, media_files, tiny_vit

_BUILD = """
import torch

class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = torch.nn.Conv2d(3, 8, 8, stride=8)
        self.deep = torch.nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.deep(self.stem(x)).mean((2, 3))

def plain():
    return Plain(), {"size": 64, "frames": 2}
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("pca")
    clip = media_files.moving_square(folder, 2, step=30)
    (folder / "net.py").write_text(_BUILD)
    return [str(clip), "--model", f"{folder / 'net.py'}:plain", "--device", "cpu"]


def test_a_network_without_attention_is_asked_by_its_features(asked, capsys):
    assert main(["links", *asked, "--at", "0,25,45", "--json"]) == 2
    assert "--features PATH" in capsys.readouterr().err
    question = [*asked, "--at", "0,25,45", "--features", "deep", "--k", "3"]
    assert main(["links", *question, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["block"] == "deep (similarity)"
    assert len(report["queries"][0]["links"]) == 3
    assert main(["links", *question, "--features", "dip"]) == 2
    assert "'dip' does not exist in Plain; the nearest ones are" in capsys.readouterr().err


def test_components_are_written_in_each_form_and_their_basis_is_used_again(asked, tmp_path, capsys):
    layer = ["pca", *asked, "--features", "deep"]
    kept = str(tmp_path / "basis.safetensors")
    first, second = str(tmp_path / "a.npz"), str(tmp_path / "b.npz")
    assert main([*layer, "-o", first, "--save-basis", kept]) == 0
    told = capsys.readouterr().out
    assert "Output of deep of" in told
    assert "not a weight of the network" in told
    assert main([*layer, "-o", second, "--basis", kept]) == 0
    with np.load(first) as one, np.load(second) as two:
        np.testing.assert_array_equal(one["colours"], two["colours"])
    for name in ("c.png", "d.gif"):
        assert main([*layer, "-o", str(tmp_path / name), "--foreground", "above"]) == 0
        assert (tmp_path / name).stat().st_size > 1000
    capsys.readouterr()
    assert main([*layer, "-o", second]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main([*layer, "-o", second, "--force", "--threshold", "1"]) == 2
    assert "--threshold goes with --foreground" in capsys.readouterr().err


def test_a_layer_without_places_is_one_sentence(tmp_path, capsys):
    photograph = str(make.picture(tmp_path / "photo.png"))
    model = f"{Path(tiny_vit.__file__)}:build"
    assert main(["links", photograph, "--at", "0,9,9", "--model", model, "--features", "head"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("Layer 'head'")


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ([], 2),
        (["--of", "theta"], 0),
        (["--foreground", "above"], 3),
        (["--basis", "b.safetensors"], 1),
    ],
    ids=["input", "theta", "foreground", "basis"],
)
def test_what_windows_cost_has_the_passes_for_basis_and_film(
    tmp_path, capsys, monkeypatch, given, more
):
    told = []

    def estimate(long, waiting, *, more, progress):
        told.append(more)
        raise BudgetError("Told.")

    monkeypatch.setattr("nlviz.windows.estimate", estimate)
    monkeypatch.chdir(tmp_path)
    clip = str(media_files.moving_square(tmp_path, 12, step=2))
    question = [clip, "--model", "nl-lite0", "--size", "64", "--device", "cpu", "--block", "nl5"]
    if "--basis" in given:
        asked = ["pca", *question, "--frames", "2", "-o", "a.npz", "--save-basis", "b.safetensors"]
        assert main(asked) == 0
    assert main(["pca", *question, "--window", "2", "-o", "a.mp4", *given]) == 2
    assert "Told." in capsys.readouterr().err
    assert told == [more]
