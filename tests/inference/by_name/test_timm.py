"""timm:NAME and timm:FOLDER: a network is what timm's pretrained_cfg says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nlviz
from tests.support import make
from tests.support.named_models import save_timm
from tests.support.vision import timm

TINY = "timm:test_vit"  # timm's own, of 64 channels


def test_what_is_taken_is_timms_own_data_configuration():
    network = nlviz.load(TINY, device="cpu", weights="none")
    module = timm.create_model("test_vit")
    data = timm.data.resolve_model_data_config(module)
    made = network.input
    assert made.size == data["input_size"][1]
    assert (made.mean, made.deviation) == (data["mean"], data["std"])
    assert made.interpolation == data["interpolation"]
    assert (made.layout, made.multiple) == ("TCHW", 16)
    assert network.name == "timm:test_vit (random weights)"
    assert f"test_vit of timm {timm.__version__}" in network.summary
    assert "pretrained_cfg" in network.summary


def test_it_is_captured_at_the_aspect_of_the_clip():
    network = nlviz.load(TINY, device="cpu", weights="none")
    analysis = nlviz.analyse(make.clip(frames=2), network)
    block = analysis.blocks[0]
    assert analysis.affinity(block).query_grid.shape == (2, 8, 10)
    assert analysis.affinity(block).tokens == ("class@0", "class@1")
    assert analysis.fidelity[block] < 1e-3


def test_a_folder_as_timm_saves_it_has_its_weights_and_its_classes(tmp_path):
    network = nlviz.load(save_timm(tmp_path, num_classes=3), device="cpu")
    assert network.classes == ("thing 0", "thing 1", "thing 2")
    torch.manual_seed(0)
    made = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=64, num_classes=3).eval()
    given = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.module(given), made(given))
    assert network.input.size == 64
    assert str(network.weights).startswith("sha256:")


def test_a_folder_of_timm_that_hugging_face_holds_is_the_same(tmp_path):
    spec = save_timm(tmp_path, num_classes=3)
    network = nlviz.load(f"hf:{spec.removeprefix('timm:')}", device="cpu")
    assert network.classes == ("thing 0", "thing 1", "thing 2")
    assert "vit_tiny_patch16_224 of timm" in network.summary


def test_positions_of_a_checkpoint_are_interpolated_to_a_size_of_ones_own(tmp_path):
    spec = save_timm(tmp_path, num_classes=3)
    network = nlviz.load(spec, device="cpu", input={"size": 96})
    theirs = timm.create_model(
        "vit_tiny_patch16_224", depth=1, img_size=64, num_classes=3, dynamic_img_size=True
    )
    from safetensors.torch import load_file

    theirs.load_state_dict(load_file(tmp_path / "model.safetensors"))
    given = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.module(given), theirs.eval()(given))


def test_a_checkpoint_on_disk_is_loaded_with_its_own_number_of_classes(tmp_path):
    torch.manual_seed(1)
    theirs = timm.create_model("test_vit", num_classes=5).eval()
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "mine.pth.tar")
    network = nlviz.load(TINY, device="cpu", weights=tmp_path / "mine.pth.tar")
    given = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(network.module(given), theirs(given))
    assert network.classes == tuple(f"class {n}" for n in range(5))


def test_a_checkpoint_of_another_network_is_told(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(nlviz.NetworkError, match=r"could not build test_vit from other\.pth"):
        nlviz.load(TINY, device="cpu", weights=tmp_path / "other.pth")


def test_a_checkpoint_that_runs_code_is_refused_and_does_not_run(tmp_path):
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return Path.touch, (ran,)

    torch.save(Code(), tmp_path / "bad.pth")
    with pytest.raises(nlviz.NetworkError, match="is refused"):
        nlviz.load(TINY, device="cpu", weights=tmp_path / "bad.pth")
    assert not ran.exists()


def test_a_misspelt_name_gets_the_nearest_ones():
    with pytest.raises(nlviz.NetworkError, match="is 'vit_small_patch16_dinov3', ") as told:
        nlviz.load("timm:vit_smal_patch16_dinov3", weights="none")
    assert "pip install -U timm" in str(told.value)
    with pytest.raises(nlviz.NetworkError, match=r"no weights 'lvd2' .* it has lvd1689m"):
        nlviz.load("timm:vit_small_patch16_dinov3.lvd2", weights="none")


def test_weights_that_are_only_on_the_hub_are_told_in_a_sentence():
    with pytest.raises(nlviz.NetworkError, match="cannot be reached"):
        nlviz.load("timm:vit_small_patch16_dinov3", device="cpu")


def test_a_network_without_attention_is_told_when_it_is_asked():
    network = nlviz.load("timm:test_resnet", device="cpu", weights="none")
    with pytest.raises(nlviz.CaptureError, match="no self-attention was seen"):
        nlviz.analyse(make.clip(frames=1), network)


def test_a_folder_of_another_kind_is_told(tmp_path):
    with pytest.raises(nlviz.NetworkError, match=r"no config\.json.*save_for_hf"):
        nlviz.load(f"timm:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit_tinny"}))
    with pytest.raises(nlviz.NetworkError, match="no model 'vit_tinny'"):
        nlviz.load(f"timm:{tmp_path}")
