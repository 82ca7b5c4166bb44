"""Other projects' checkpoints: their exact names, their conventions, and files that are none."""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nlviz.models import checkpoints
from nlviz.models.checkpoints import CheckpointError, recognise
from nlviz.models.nonlocal_block import NonLocalBlock
from nlviz.models.resnet import VideoResNet
from tests.support.equations import CASES, SHAPES, seed_state
from tests.support.restated import PROJECTS, forward, state


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its strings."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def caffe2_pickle(path: Path, blobs: dict) -> Path:
    """A file as Caffe2's trainer wrote it: momenta, counters, Python 2, the old NumPy."""
    more = {key + "_momentum": np.zeros(3, np.float32) for key in blobs}
    content = {"blobs": {**blobs, **more, "lr": np.float32(0.01), "model_iter": 400000}}
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(content)
    path.write_bytes(file.getvalue().replace(b"numpy._core", b"numpy.core"))
    return path


@pytest.mark.parametrize("name", PROJECTS)
def test_a_checkpoint_puts_out_what_its_project_computes(name):
    torch.manual_seed(0)
    project = PROJECTS[name]
    made = state(project)
    network = VideoResNet(project.plan).eval()
    assert checkpoints.fit(made, network) == project.dialect
    x = torch.randn(2, 3, 16, 48, 32)
    with torch.no_grad():
        expected, seen = forward(project, made, x), network(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(seen, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scaled": False},
        {"pool_first": False},
        {"group": None},
        {"pool1_padding": 1},
        {"function": "dot_product"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_convention_that_no_key_tells_changes_the_output(wrong):
    # Else the tests above would not see it guessed wrong.
    torch.manual_seed(0)
    project = PROJECTS["Caffe2 affine"]
    made, x = state(project), torch.randn(1, 3, 16, 48, 32)
    made |= {key: 4 * value for key, value in made.items() if "theta_w" in key}
    network = VideoResNet(replace(project.plan, **wrong)).eval()
    checkpoints.fit(made, network)
    with torch.no_grad():
        assert (network(x) - forward(project, made, x)).abs().max() > 1e-3


@pytest.mark.parametrize(("function", "dimension", "pooled", "norm"), CASES)
def test_a_block_alone_is_read_from_any_network(function, dimension, pooled, norm):
    torch.manual_seed(0)
    weights = seed_state(function, dimension, pooled, norm)
    expected = NonLocalBlock(
        6, function=function, dimension=dimension, sub_sample=pooled, batch_norm=norm
    ).eval()
    expected.load_state_dict(weights)
    network = {f"body.3.nl.{key}": value for key, value in weights.items()}
    network["body.4.weight"] = torch.zeros(3)
    block = checkpoints.block(
        network, "body.3.nl.", softmax=function != "dot_product", sub_sample=pooled
    )
    x = torch.randn(1, 6, *SHAPES[dimension])
    with torch.no_grad():
        torch.testing.assert_close(block(x), expected(x), atol=0, rtol=0)


def test_a_block_of_pytorchvideo_pools_first_and_scales():
    torch.manual_seed(0)
    weights = {
        "norm.weight": torch.rand(6), "norm.bias": torch.randn(6),
        "norm.running_mean": torch.randn(6), "norm.running_var": torch.rand(6) + 0.5,
    }  # fmt: skip
    for child, shape in (("theta", (3, 6)), ("phi", (3, 6)), ("g", (3, 6)), ("out", (6, 3))):
        weights[f"conv_{child}.weight"] = torch.randn(*shape, 1, 1, 1)
        weights[f"conv_{child}.bias"] = torch.randn(shape[0])
    block = checkpoints.block(weights, scaled=True, pool_first=True)
    assert block.scale == 3**-0.5
    assert set(block._modules) >= {"pool", "theta", "phi", "g", "W"}
    assert block.phi.weight is not None
    torch.testing.assert_close(block.W[1].running_mean, weights["norm.running_mean"])


def test_a_block_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(CheckpointError, match=r"at 'layer3.': g is missing"):
        checkpoints.block({"layer3.theta.weight": torch.zeros(1)}, "layer3.")


@pytest.mark.parametrize("wrapper", ["module.", "gpu_0/", "model."])
def test_wrappers_of_all_keys_are_taken_off(wrapper):
    made = {wrapper + key: value for key, value in state(PROJECTS["SlowFast"]).items()}
    found = recognise(made)
    assert found is not None
    assert (found[0].name, found[1]) == ("SlowFast", 1.0)


@pytest.mark.parametrize("name", PROJECTS)
def test_each_project_is_known_by_all_its_names(name):
    found = recognise(key.removeprefix("module.") for key in state(PROJECTS[name]))
    assert found is not None
    assert (found[0].name, found[1]) == (PROJECTS[name].dialect, 1.0)


def test_caffe2_pickles_are_read(tmp_path):
    torch.manual_seed(0)
    made = state(PROJECTS["Caffe2 I3D"])
    file = caffe2_pickle(tmp_path / "c2.pkl", {key: v.numpy() for key, v in made.items()})
    read = checkpoints.read(file)
    assert read.keys() == made.keys()
    for key, value in made.items():
        torch.testing.assert_close(read[key], value, atol=0, rtol=0)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("shelf", ["state_dict", "model_state", None])
def test_pytorch_checkpoints_are_read_old_and_new(tmp_path, zipped, shelf):
    weights = collections.OrderedDict(a=torch.arange(3.0), b=torch.ones(2, 2))
    content = weights if shelf is None else {"epoch": 3, "optimizer": {"x": 1}, shelf: weights}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert checkpoints.read(tmp_path / "w.pth").keys() == weights.keys()


def test_safetensors_are_read(tmp_path):
    save_file({"a": torch.arange(3.0)}, tmp_path / "w.safetensors")
    assert checkpoints.read(tmp_path / "w.safetensors")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("zipped", [True, False])
def test_logs_and_arguments_beside_the_weights_are_read_as_nothing(tmp_path, monkeypatch, zipped):
    # As mmengine saves them: a record of its own with arrays in it, and a bound function.
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self):
            self.log = np.arange(3.0)
            self.best = np.float64(70.5)
            self.mean = getattr(collections.Counter, "most_common")  # noqa: B009

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    content = {
        "state_dict": {"a": torch.arange(3.0)},
        "message_hub": {"loss": HistoryBuffer()},
        "args": argparse.Namespace(lr=0.1, where=Path("x")),
        "best": np.float64(3.5),
    }
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(sys.modules, module.__name__)
    assert checkpoints.read(tmp_path / "w.pth")["a"].tolist() == [0, 1, 2]
    # Only while a checkpoint is read: elsewhere torch refuses them as before.
    with pytest.raises(pickle.UnpicklingError, match="GLOBAL"):
        torch.load(tmp_path / "w.pth", weights_only=True)


@pytest.mark.parametrize("sign", [b"{", b"<"])
def test_a_header_whose_length_looks_like_text_is_still_a_header(tmp_path, sign):
    length = int.from_bytes(b" " + sign, "little")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(length)
    content = struct.pack("<Q", length) + header + struct.pack("<f", 7)
    (tmp_path / "w.safetensors").write_bytes(content)
    assert checkpoints.read(tmp_path / "w.safetensors")["a"].tolist() == [7]


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch"])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path, kind):
    file, trace = tmp_path / "evil.pkl", tmp_path / "ran"
    content = {"blobs": {"conv1_w": np.ones(3, np.float32)}, "state_dict": Evil(trace)}
    if kind == "pickle":
        file.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save({"x": Evil(trace)}, file, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(CheckpointError, match=r"evil\.pkl is refused: it asks to run \w+\.mkdir"):
        checkpoints.read(file)
    assert not trace.exists()


def test_what_numpy_would_run_is_refused_as_well(tmp_path):
    class Loader:
        def __reduce__(self):
            return np.load, ("x.npy", None, True)

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": Loader()}, protocol=2))
    with pytest.raises(CheckpointError, match=r"refused: it asks to run numpy\.(\w+\.)*load"):
        checkpoints.read(tmp_path / "a.pkl")


def test_an_array_that_claims_to_be_huge_takes_no_memory(tmp_path):
    class Huge:
        def __reduce__(self):
            rebuild = np.ones(1).__reduce__()[0]
            return rebuild, (np.ndarray, (10**12,), b"b")

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": {"x": Huge()}}, protocol=2))
    assert checkpoints.read(tmp_path / "a.pkl")["x"].numel() == 0


def test_a_tensor_that_claims_more_than_its_file_holds_is_left_out(tmp_path):
    huge = torch.zeros(1).expand(10**6, 10**6)
    torch.save({"a": huge, "b": torch.ones(2)}, tmp_path / "a.pth")
    assert list(checkpoints.read(tmp_path / "a.pth")) == ["b"]


def damaged(tmp_path: Path) -> dict[str, bytes]:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "zip")
    torch.save({"a": torch.zeros(1000)}, tmp_path / "old", _use_new_zipfile_serialization=False)
    save_file({"a": torch.zeros(1000)}, tmp_path / "st")
    caffe2_pickle(tmp_path / "c2", {"conv1_w": np.zeros(1000, np.float32)})
    return {name: (tmp_path / name).read_bytes() for name in ("zip", "old", "st", "c2")}


@pytest.mark.parametrize("kind", ["zip", "old", "st", "c2"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_file_is_said_to_be(tmp_path, kind, share):
    content = damaged(tmp_path)[kind]
    (tmp_path / "cut.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"cut\.pth is not a checkpoint, or it is damaged"):
        checkpoints.read(tmp_path / "cut.pth")


@pytest.mark.filterwarnings("ignore")  # NumPy's, on what the damage makes of a type
@pytest.mark.parametrize("kind", ["zip", "old", "st", "c2"])
def test_bytes_changed_at_random_give_weights_or_one_sentence(tmp_path, kind):
    content = damaged(tmp_path)[kind]
    rng = np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(0, min(len(changed), 1200), 3):
            changed[place] = rng.integers(256)
        (tmp_path / "x.pth").write_bytes(changed)
        with contextlib.suppress(CheckpointError):
            checkpoints.read(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "is a text or web page"),
        (b'\n {"error": "no such file"}', "is a text or web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a text or web page"),
        (b"", "is not a checkpoint"),
        (bytes(range(256)) * 4, "is not a checkpoint"),
        (pickle.dumps([1, 2, 3], protocol=2), "holds no weights"),
        (pickle.dumps({"blobs": {"lr": 0.1}}, protocol=2), "holds no weights"),
    ],
)
def test_what_is_no_checkpoint_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        checkpoints.read(tmp_path / "x.pth")


def test_a_packed_archive_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10_000_000))
    with pytest.raises(CheckpointError, match="compressed archive"):
        checkpoints.read(tmp_path / "x.pth")


def test_what_is_no_file_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    for name, why in (
        ("none.pth", "cannot be read"),
        ("", "not a file"),
        ("pipe.pth", "not a file"),
    ):
        with pytest.raises(CheckpointError, match=why):
            checkpoints.read(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, None),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 16]}}, None),
        ({"a": {"dtype": "F9", "shape": [4], "data_offsets": [0, 16]}}, None),
        ({k: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for k in "ab"}, None),
        ({"a": 1}, 1 << 62),
    ],
    ids=["too large", "negative", "unknown type", "overlapping", "endless header"],
)
def test_a_safetensors_header_that_lies_is_refused(tmp_path, header, length):
    text = json.dumps(header).encode()
    start = struct.pack("<Q", len(text) if length is None else length)
    (tmp_path / "x.safetensors").write_bytes(start + text + bytes(16))
    with pytest.raises(CheckpointError, match="not a checkpoint, or it is damaged"):
        checkpoints.read(tmp_path / "x.safetensors")


def test_a_pickle_that_grows_as_it_is_read_takes_no_memory(tmp_path):
    laughs = b"\x80\x02]q\x00"
    for i in range(1, 40):  # ten times the list before, by reference
        laughs += b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 10 + b"e"
    endless = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc."
    for content in (laughs + b".", endless):
        (tmp_path / "x.pkl").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"no weights|not a checkpoint"):
            checkpoints.read(tmp_path / "x.pkl")


def test_a_network_of_ours_is_known_by_its_own_names():
    plan = PROJECTS["Caffe2 I3D"].plan
    made, again = VideoResNet(plan), VideoResNet(plan)
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    assert checkpoints.fit(made.state_dict(), again) == "nlviz"
    for name, value in made.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_another_network_is_told_by_groups_of_keys_and_by_its_likeness():
    made = state(PROJECTS["mmaction2 SlowOnly"])
    with pytest.raises(CheckpointError) as error:
        checkpoints.fit(made, VideoResNet(PROJECTS["Caffe2 I3D"].plan), name="i3d")
    said = str(error.value)
    assert "not for i3d" in said
    assert "missing (res*.nl*" in said
    assert "unexpected (res*.nl*" in said
    assert "100% of its names are mmaction2's" in said
    assert "\n" not in said


def test_a_network_of_no_known_project_is_told_so():
    with pytest.raises(CheckpointError, match="no known project uses its names"):
        checkpoints.fit({"encoder.x": torch.zeros(2)}, VideoResNet(PROJECTS["TSM"].plan))


def test_weights_of_another_width_are_told_by_their_shape():
    made = state(PROJECTS["SlowFast"])
    made["head.projection.weight"] = torch.zeros(7, 256)
    with pytest.raises(CheckpointError, match=r"1 of another shape \(classifier 1×\)"):
        checkpoints.fit(made, VideoResNet(PROJECTS["SlowFast"].plan))
