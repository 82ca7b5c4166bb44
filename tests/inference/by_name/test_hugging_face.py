"""hf:FOLDER and hf:ORG/NAME: a network is what its own configuration and processor say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.hooks.capture import FOLLOWED
from tests.support import make
from tests.support.named_models import PROCESSOR, save
from tests.support.vision import transformers


def _frames(count=2, side=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def _analysed(network, frames):
    return nlviz.analyse(make.clip(frames=frames), network)


def test_a_picture_is_made_as_the_models_own_processor_makes_it(saved):
    """Resized, scaled and normalised: against transformers' own processor on Pillow."""
    from PIL import Image
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    network = nlviz.load(saved("vit"), device="cpu")
    clip = make.clip(frames=1)
    theirs = ViTImageProcessorPil(**PROCESSOR)(Image.fromarray(clip.frames[0]), return_tensors="pt")
    from nlviz.geometry import View
    from nlviz.inference.passes import network_input

    view = View((clip.width, clip.height), (64, 64), clip.indices)
    ours = network_input(clip, view, network)
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=1e-5, rtol=0)


def test_what_is_taken_stands_in_the_configuration_and_is_told(saved):
    network = nlviz.load(saved("vit"), device="cpu")
    made = network.input
    assert (made.size, made.multiple, made.layout, made.frames) == (64, 16, "TCHW", None)
    assert made.mean == pytest.approx((0.5, 0.4, 0.3))
    assert made.deviation == pytest.approx((0.2, 0.3, 0.4))
    assert made.interpolation == "bicubic"
    assert network.classes == ("cat", "dog", "cow")
    assert network.name == "hf:vit"
    for word in (
        "ViTForImageClassification of transformers",
        "longer side 64 px, aspect kept, multiples of 16, bicubic",
        "mean 0.5 0.4 0.3, deviation 0.2 0.3 0.4",
        "3 classes; from config.json and preprocessor_config.json",
        str(network.weights),
    ):
        assert word in network.summary


def test_its_scores_are_those_that_the_library_gives(saved):
    spec = saved("vit")
    network = nlviz.load(spec, device="cpu")
    theirs = transformers.ViTForImageClassification.from_pretrained(spec.removeprefix("hf:"))
    given = network.prepare(_frames())
    with torch.no_grad():
        expected = theirs(given).logits.softmax(-1)
        torch.testing.assert_close(network.module(given).logits.softmax(-1), expected)


@pytest.mark.parametrize(
    ("kind", "grid", "tokens"),
    [
        ("vit", (2, 3, 4), ("class@0", "class@1")),
        ("dinov3", (2, 3, 4), ("class@0", "register 1@0")),
        ("siglip", (2, 3, 4), ()),
        ("vitmae", (2, 3, 4), ("class@0", "class@1")),
        ("videomae", (2, 4, 4), ()),
        ("vivit", (2, 4, 4), ("class",)),
        ("vjepa2", (4, 3, 4), ()),
    ],
)
def test_families_are_captured_where_they_look(saved, kind, grid, tokens):
    network = nlviz.load(saved(kind), device="cpu")
    analysis = _analysed(network, network.input.frames or 2)
    block = analysis.blocks[0]
    affinity = analysis.affinity(block)
    assert affinity.query_grid.shape == grid
    assert affinity.tokens[: len(tokens)] == tokens
    assert bool(affinity.tokens) == bool(tokens)
    assert analysis.fidelity[block] < 1e-3
    assert analysis.places[block] == FOLLOWED
    assert not analysis.refused


def test_patches_of_fourteen_make_sides_of_fourteen(tmp_path):
    cropped = {
        **PROCESSOR,
        "size": {"shortest_edge": 64},
        "do_center_crop": True,
        "crop_size": {"height": 56, "width": 56},
    }
    network = nlviz.load(save("dinov2", tmp_path, cropped), device="cpu")
    assert (network.input.size, network.input.multiple) == (56, 14)
    assert network.input_size(64, 48, 56) == (56, 42)
    assert _analysed(network, 1).affinity("encoder.layer.0.attention").query_grid.shape == (1, 3, 4)


def test_a_size_of_ones_own_interpolates_positions_as_the_library_does(saved):
    spec = saved("vit")
    network = nlviz.load(spec, device="cpu", input={"size": 96})
    assert network.default_size == 96
    theirs = transformers.ViTForImageClassification.from_pretrained(spec.removeprefix("hf:"))
    given = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        expected = theirs(given, interpolate_pos_encoding=True).logits
        torch.testing.assert_close(network.module(given).logits, expected)


def test_trying_other_sizes_leaves_the_module_as_it_was(tmp_path):
    """Swin of transformers keeps the window that a small input forces on it."""
    spec = save("swin", tmp_path, image_size=64)
    network = nlviz.load(spec, device="cpu")
    theirs = transformers.SwinForImageClassification.from_pretrained(tmp_path)
    given = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.module(given).logits, theirs(given).logits)


def test_a_small_input_leaves_no_small_windows_for_a_larger_one(tmp_path):
    spec = save("swin", tmp_path, depths=[2, 2])
    fresh, used = nlviz.load(spec), nlviz.load(spec)
    clip = make.clip(frames=1, width=128, height=128)
    nlviz.analyse(clip, used, size=64)
    first, again = (nlviz.analyse(clip, network, size=128) for network in (fresh, used))
    for block, affinity in first.affinities.items():
        row = again.affinities[block].row(nlviz.Cell(0, 0, 0))
        np.testing.assert_array_equal(affinity.row(nlviz.Cell(0, 0, 0)), row)


def test_a_model_of_one_size_says_so(saved):
    network = nlviz.load(saved("videomae"), device="cpu")
    assert network.input.size == (64, 64)
    with pytest.raises(nlviz.NetworkError, match="takes 64×64 px and no other size"):
        nlviz.load(saved("videomae"), device="cpu", input={"size": 96})


@pytest.mark.parametrize(
    ("kind", "frames", "step", "layout"),
    [("videomae", 4, None, "BTCHW"), ("vjepa2", 8, 2, "BTCHW"), ("timesformer", 4, 1, "BTCHW")],
)
def test_the_number_of_frames_and_the_axes_come_from_the_model(saved, kind, frames, step, layout):
    made = nlviz.load(saved(kind), device="cpu").input
    assert (made.frames, made.frames_step, made.layout) == (frames, step, layout)


def test_too_few_frames_and_odd_ones_are_refused_in_a_sentence(saved):
    of_four = nlviz.load(saved("videomae"), device="cpu")
    with pytest.raises(nlviz.NetworkError, match="takes 4 frames and got 2; choose 4"):
        _analysed(of_four, 2)
    of_pairs = nlviz.load(saved("vjepa2"), device="cpu")
    with pytest.raises(nlviz.NetworkError, match="multiple of 2 frames and got 3; choose 2 or 4"):
        _analysed(of_pairs, 3)
    assert _analysed(of_pairs, 4).affinity("encoder.layer.0.attention").query_grid.t == 2


def test_a_processors_offset_is_part_of_the_mean(tmp_path):
    offset = {**PROCESSOR, "offset": True, "rescale_factor": 1 / 127.5}
    made = nlviz.load(save("vivit", tmp_path, offset), device="cpu").input
    x = np.array([0.0, 0.3, 1.0])
    for mean, deviation, m, d in zip(
        made.mean, made.deviation, PROCESSOR["image_mean"], PROCESSOR["image_std"], strict=True
    ):
        np.testing.assert_allclose((x - mean) / deviation, (x * 2 - 1 - m) / d, atol=1e-6)


def test_the_video_processor_goes_before_the_pictures_one(tmp_path):
    spec = save("videomae", tmp_path)
    other = {**PROCESSOR, "image_mean": [0.9, 0.9, 0.9]}
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps(other))
    network = nlviz.load(spec, device="cpu")
    assert network.input.mean == pytest.approx((0.9,) * 3)
    assert "video_preprocessor_config.json" in network.summary


def test_a_part_of_a_whole_processors_file_is_read(tmp_path):
    spec = save("vit", tmp_path, None)
    whole = {"processor_class": "Some", "image_processor": PROCESSOR}
    (tmp_path / "processor_config.json").write_text(json.dumps(whole))
    assert nlviz.load(spec, device="cpu").input.mean == pytest.approx((0.5, 0.4, 0.3))


def test_blue_first_is_given_blue_first(tmp_path):
    flipped = {**PROCESSOR, "do_normalize": False, "do_flip_channel_order": True}
    network = nlviz.load(save("vit", tmp_path, flipped), device="cpu")
    assert network.input.channel_order == "BGR"
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    frame[..., 0] = 255
    assert network.prepare(frame)[0, :, 0, 0].tolist() == [0, 0, 1]


def test_random_weights_are_said_in_every_name_and_are_the_same_each_time(saved):
    one, other = (nlviz.load(saved("vit"), device="cpu", weights="none") for _ in range(2))
    assert one.name == "hf:vit (random weights)"
    assert one.weights is None
    assert one.classes == ()
    assert "random weights" in one.summary
    theirs = other.module.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in one.module.state_dict().items())
    assert _analysed(one, 1).network.endswith("(random weights)")


def test_weights_of_ones_own_are_loaded_into_it(saved, tmp_path):
    spec = saved("vit")
    theirs = transformers.ViTForImageClassification.from_pretrained(spec.removeprefix("hf:"))
    state = {name: value + 1 for name, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "mine.pt")
    network = nlviz.load(spec, device="cpu", weights=tmp_path / "mine.pt")
    torch.testing.assert_close(network.module.classifier.bias, theirs.classifier.bias + 1)
    assert str(network.weights).startswith("sha256:")


def test_safetensors_go_before_a_pickle_that_lies_beside_them(tmp_path):
    spec = save("vit", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"code that must not be read")
    assert nlviz.load(spec, device="cpu").weights == nlviz.load(spec, device="cpu").weights


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    spec = save("vit", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return Path.touch, (ran,)

    torch.save({"classifier.bias": Code()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(nlviz.NetworkError, match="is refused: it asks to run"):
        nlviz.load(spec, device="cpu")
    assert not ran.exists()


def test_missing_weights_are_not_filled_with_random_ones(tmp_path):
    from safetensors.torch import load_file, save_file

    spec = save("vit", tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["vit.embeddings.position_embeddings"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(nlviz.NetworkError, match=r"lack 1 .* such as vit\.embeddings\.position"):
        nlviz.load(spec, device="cpu")


def test_a_folder_without_a_configuration_is_told(tmp_path):
    with pytest.raises(nlviz.NetworkError, match=r"has no config\.json"):
        nlviz.load(f"hf:{tmp_path}")
    save("vit", tmp_path / "inner")
    with pytest.raises(nlviz.NetworkError, match="such as its folder 'inner'"):
        nlviz.load(f"hf:{tmp_path}")
    with pytest.raises(nlviz.NetworkError, match=r"There is no folder './nowhere'"):
        nlviz.load("hf:./nowhere")


def test_a_missing_processor_is_told_and_can_be_said(saved, tmp_path):
    folder = tmp_path / "bare"
    shutil.copytree(saved("vit").removeprefix("hf:"), folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(nlviz.NetworkError, match=r"no preprocessor_config\.json.*--input mean=…"):
        nlviz.load(f"hf:{folder}", device="cpu")
    said = {"mean": (0.1,) * 3, "deviation": (0.2,) * 3, "interpolation": "bilinear"}
    network = nlviz.load(f"hf:{folder}", device="cpu", input=said)
    assert network.input.mean == (0.1,) * 3
    assert network.input.size == 64
    assert "by hand: mean, deviation, interpolation" in network.summary


def test_a_number_that_the_file_leaves_out_is_the_processors_own(tmp_path):
    brief = {k: v for k, v in PROCESSOR.items() if k != "resample"}
    spec = save("vit", tmp_path, {**brief, "image_processor_type": "ViTImageProcessor"})
    assert nlviz.load(spec, device="cpu").input.interpolation == "bilinear"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(brief))
    with pytest.raises(nlviz.NetworkError, match="does not say 'resample'"):
        nlviz.load(spec, device="cpu")


def test_a_type_of_another_version_is_told_with_the_way_out(saved, tmp_path):
    folder = tmp_path / "new"
    shutil.copytree(saved("vit").removeprefix("hf:"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "dinov9", "transformers_version": "99.1"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(nlviz.NetworkError, match=r"'dinov9'.*written by 99\.1.*pip install -U"):
        nlviz.load(f"hf:{folder}")


def test_a_model_of_words_is_told_what_it_takes(tmp_path):
    config = transformers.BertConfig(**SMALL_WORDS)
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(nlviz.NetworkError, match="takes input_ids, not pictures alone"):
        nlviz.load(f"hf:{tmp_path}")


SMALL_WORDS = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "vocab_size": 9,
}

FOREIGN = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class OwnConfig(PretrainedConfig):
    model_type = "own-thing"


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = torch.nn.Conv2d(3, 8, 16, 16)
        self.qkv = torch.nn.Linear(8, 24)
        self.post_init()

    def forward(self, pixel_values):
        x = self.embed(pixel_values).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)
"""


def test_code_of_a_repository_runs_only_where_it_is_trusted_by_name(tmp_path, monkeypatch):
    folder = tmp_path / "foreign"
    folder.mkdir()
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(
        FOREIGN + f"\nimport pathlib\npathlib.Path({str(ran)!r}).touch()\n"
    )
    auto = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    said = {"model_type": "own-thing", "auto_map": auto, "image_size": 32, "patch_size": 16}
    (folder / "config.json").write_text(json.dumps(said))
    small = {**PROCESSOR, "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(small))
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "m"))
    spec = f"hf:{folder}"
    for trust in ((), ("somebody/else",)):
        with pytest.raises(nlviz.NetworkError, match=f"--trust {folder}"):
            nlviz.load(spec, device="cpu", weights="none", trust=trust)
    assert not ran.exists()
    network = nlviz.load(spec, device="cpu", weights="none", trust=(str(folder),))
    assert ran.exists()
    assert _analysed(network, 1).blocks == ("OwnModel",)


def test_a_model_that_is_only_on_the_hub_is_told_in_a_sentence():
    with pytest.raises(nlviz.NetworkError, match=r"cannot be reached.*hf:FOLDER") as told:
        nlviz.load("hf:facebook/dinov3-vits16-pretrain-lvd1689m")
    assert "\n" not in str(told.value)


def test_what_is_in_the_cache_is_found_without_a_network(saved, tmp_path):
    from nlviz.inference.by_name import kept

    at = tmp_path / "hub" / "models--someone--tiny-vit"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(saved("vit").removeprefix("hf:"), at / "snapshots" / commit)
    (at / "refs").mkdir()
    (at / "refs" / "main").write_text(commit)
    assert kept.kept_repositories() == ("someone/tiny-vit",)
    assert nlviz.load("hf:someone/tiny-vit", device="cpu").name == "hf:someone/tiny-vit"
    with pytest.raises(nlviz.NetworkError, match="On this machine is 'hf:someone/tiny-vit'"):
        nlviz.load("hf:someone/tiny-vitt")
