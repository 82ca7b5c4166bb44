"""A network of the user's own: from a live module, or from the file that builds it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import nlviz
from nlviz.cli import main
from tests.support import make
from tests.support.plain_block import PlainNetwork

BUILD = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 16, 16)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
        return self.head(F.scaled_dot_product_attention(q, k, v).squeeze(1).mean(1))


def plain():
    torch.manual_seed(0)
    return Net()


def build():
    return plain(), {"size": 64, "multiple": 16, "classes": ("cat", "dog")}


def fails():
    raise ValueError("no luck")


def number():
    return 3


def narrow():
    return nn.Sequential(nn.Conv2d(4, 8, 1), Net())


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(12288, 2)), {"size": (64, 64)}


def eight():
    return plain(), {"size": 64, "frames": 8}


def unknown():
    return plain(), {"sise": 64}


def pair():
    return plain(), 64


def empty():
    with torch.device("meta"):
        return Net()


def needs(size):
    return plain()


class Fussy(Net):
    def forward(self, x):
        raise Exception("not today")


def fussy():
    return Fussy(), {"size": 64}


def installed():
    return torch.nn.Linear("a", 2)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(BUILD)
    return path


def test_a_file_builds_a_network_that_is_analysed_frame_by_frame(file):
    network = nlviz.load_user_network(f"{file}:build", device="cpu")
    analysis = nlviz.analyse(make.clip(), network)
    assert analysis.network == "net.py:build"
    assert analysis.view.input == (64, 48)
    assert analysis.blocks == ("Net",)
    assert analysis.affinity("Net").query_grid.shape == (4, 3, 4)
    assert {p.label for p in analysis.prediction} == {"cat", "dog"}
    about = analysis.about("Net")
    assert about.kind == "self-attention"
    assert about.reach == "within its own frame only"
    assert about.footprint == (1, 16, 16)
    assert "self-attention, embedded Gaussian, logits × 0.354" in about.sentences[0]


@pytest.mark.slow
def test_scores_are_found_in_what_hugging_face_returns(file):
    class Answer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nlviz.load_user_network(f"{file}:plain").module

        def forward(self, x):
            return SimpleNamespace(logits=self.inner(x))

    def seen(*classes):
        network = nlviz.UserNetwork(Answer(), {"size": 64, "multiple": 16, "classes": classes})
        return nlviz.analyse(make.clip(), network).prediction

    assert {each.label for each in seen("cat", "dog")} == {"cat", "dog"}
    assert seen() == ()


def test_a_live_module_is_analysed_with_its_input_told_in_five_lines():
    torch.manual_seed(0)
    network = nlviz.UserNetwork(
        nn.Sequential(nn.Conv2d(3, 1, 1), PlainNetwork()), nlviz.Input(size=32, multiple=8)
    )
    analysis = nlviz.analyse(make.clip(), network)
    assert analysis.blocks == ("1.nl_1", "1.nl_2")
    assert analysis.about("1.nl_2").footprint == (1, 4, 4)
    assert analysis.network == "Sequential"


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("BCTHW", (1, 3, 4, 24, 32)), ("BTCHW", (1, 4, 3, 24, 32)), ("TCHW", (4, 3, 24, 32))],
)
def test_frames_come_normalised_in_the_layout_and_precision_of_the_module(layout, shape):
    given = nlviz.Input(mean=(0.5, 0.5, 0.25), deviation=(0.5, 1, 2), layout=layout)
    network = nlviz.UserNetwork(nn.Linear(1, 1).bfloat16(), given)
    frames = np.zeros((4, 24, 32, 3), np.uint8)
    frames[..., 1] = 255
    prepared = network.prepare(frames)
    assert prepared.shape == shape
    assert prepared.dtype == torch.bfloat16
    red, green, blue = prepared.movedim(shape.index(3), 0).float().flatten(1).unbind()
    assert (red == -1).all()
    assert (green == 0.5).all()
    assert (blue == -0.125).all()


def test_the_layout_follows_the_first_convolution():
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    of_clips = nlviz.UserNetwork(nn.Conv3d(3, 1, 1)).prepare(frames)
    of_images = nlviz.UserNetwork(nn.Conv2d(3, 1, 1)).prepare(frames)
    without = nlviz.UserNetwork(nn.Linear(768, 8)).prepare(frames)  # patches cut by a reshape
    assert of_clips.shape == (1, 3, 2, 32, 32)
    assert of_images.shape == without.shape == (2, 3, 32, 32)


def test_grey_pictures_are_the_luma_of_the_coloured_ones():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    red, green, blue = torch.tensor(frames).movedim(-1, 0) / 255
    luma = 0.299 * red + 0.587 * green + 0.114 * blue

    def prepared(**more):
        given = nlviz.Input(channels=1, size=8, **more)
        return nlviz.UserNetwork(nn.Conv2d(1, 1, 1), given).prepare(frames)

    own = prepared(mean=(0.1307,), deviation=(0.3081,))
    assert own.shape == (2, 1, 8, 8)
    torch.testing.assert_close(own[:, 0], (luma - 0.1307) / 0.3081)
    mean = 0.299 * 0.485 + 0.587 * 0.456 + 0.114 * 0.406
    deviation = 0.299 * 0.229 + 0.587 * 0.224 + 0.114 * 0.225
    torch.testing.assert_close(prepared()[:, 0], (luma - mean) / deviation)


@pytest.mark.parametrize(
    ("size", "given", "source", "expected"),
    [
        (28, {}, (64, 48), (28, 28)),
        (28, {"multiple": 7}, (64, 48), (28, 21)),
        ((28, 20), {}, (64, 48), (28, 20)),
        (1, {}, (64, 48), (1, 1)),
        (224, {}, (64, 48), (224, 160)),
    ],
)
def test_small_inputs_keep_their_size(size, given, source, expected):
    network = nlviz.UserNetwork(nn.Linear(1, 1), nlviz.Input(size=size, **given))
    assert network.input_size(*source, network.default_size) == expected


def test_a_network_of_small_grey_pictures_is_analysed():
    torch.manual_seed(0)
    given = {"size": 28, "channels": 1, "mean": (0.1307,), "deviation": (0.3081,)}
    analysis = nlviz.analyse(make.clip(), nlviz.UserNetwork(PlainNetwork(), given))
    assert analysis.view.input == (28, 28)
    assert analysis.affinity("nl_1").query_grid.shape == (4, 28, 28)
    assert analysis.affinity("nl_2").query_grid.shape == (4, 14, 14)


def test_a_module_of_other_channels_is_told_how_to_be_given_them():
    network = nlviz.UserNetwork(PlainNetwork(), {"size": 28})
    with pytest.raises(nlviz.NetworkError, match=r"have 1 channels.*\(size, channels, .*wrap"):
        nlviz.analyse(make.clip(), network)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_loaded_into_the_module(file, tmp_path, kind, prefix):
    wanted = nlviz.load_user_network(f"{file}:build").module.state_dict()
    weights = {prefix + key: torch.full_like(value, 0.5) for key, value in wanted.items()}
    path = tmp_path / f"weights.{kind}"
    if kind == "pt":
        torch.save({"state_dict": weights, "epoch": 3}, path)
    else:
        save_file(weights, path)
    loaded = nlviz.load_user_network(f"{file}:build", weights=path).module
    assert all((value == 0.5).all() for value in loaded.state_dict().values())


def test_weights_of_another_network_are_told_in_groups(file, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"qkv.weight": torch.zeros(2, 2), "body.0.weight": torch.zeros(1)}, path)
    with pytest.raises(
        nlviz.NetworkError,
        match=r"of 6 keys 5 missing \(embed 2×, head 2×, qkv 1×\), 1 unexpected \(body\.\* 1×\), "
        r"1 of another shape \(qkv 1×\); no known project uses its names",
    ):
        nlviz.load_user_network(f"{file}:build", weights=path)


def test_weights_with_code_in_them_are_refused_and_nothing_runs(file, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"qkv.weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(nlviz.NetworkError, match=r"evil\.pt"):
        nlviz.load_user_network(f"{file}:build", weights=tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere.py:build", "The file 'nowhere.py' does not exist; give FILE.py:FUNCTION"),
        ("{file}", "does not say which function"),
        ("{file}:biuld", "net.py has no function 'biuld'; it has Net, plain, build, fails"),
        ("{file}:fails", r"fails\(\) raised ValueError: no luck \(line 30 of net.py\)"),
        ("{file}:number", r"number\(\) in net.py returned a int; return a torch.nn.Module"),
        ("{file}:unknown", "has sise; it may have size, multiple, mean, deviation, .*channels"),
        ("{file}:pair", "returned a module and a int; the second must be an nlviz.Input"),
        ("{file}:empty", "The Net has weights without values .*; build it on a device"),
        ("{file}:needs", r"needs\(\) raised TypeError: .* missing 1 required positional argument"),
    ],
)
def test_what_cannot_be_built_is_told_in_one_sentence(file, name, why):
    with pytest.raises(nlviz.NetworkError, match=why):
        nlviz.load_user_network(name.format(file=file))


def test_a_build_that_raises_shows_its_own_traceback(file):
    with pytest.raises(nlviz.NetworkError) as raised:
        nlviz.load_user_network(f"{file}:fails")
    sentence, *lines = str(raised.value).splitlines()
    assert sentence.endswith(".")
    assert "net.py" in lines[0]
    assert 'raise ValueError("no luck")' in lines[1]
    assert not any("foreign.py" in line for line in lines)


def test_a_traceback_ends_where_the_users_own_code_does(file):
    with pytest.raises(nlviz.NetworkError, match=r"\(line \d+ of net\.py\)") as raised:
        nlviz.load_user_network(f"{file}:installed")
    lines = str(raised.value).splitlines()
    assert 'return torch.nn.Linear("a", 2)' in lines[2]
    assert sum("File " in line for line in lines) == 1


def test_a_file_that_does_not_parse_says_where(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import torch\ndef build(:\n")
    with pytest.raises(
        nlviz.NetworkError, match=r"SyntaxError: [^()]* \(line 2 of broken\.py\)\.$"
    ):
        nlviz.load_user_network(f"{path}:build")


@pytest.mark.parametrize(
    ("function", "error", "why"),
    [
        ("narrow", nlviz.NetworkError, r"cannot take an input of shape \(4, 3, 160, 224\): .*"),
        (
            "linear",
            nlviz.CaptureError,
            r"no self-attention was seen: .* named g or conv_g",
        ),
        ("eight", nlviz.NetworkError, "takes 8 frames and got 4"),
        ("fussy", nlviz.NetworkError, r"not today \(line \d+ of net.py\)"),
    ],
)
def test_a_module_that_cannot_be_analysed_says_why(file, function, error, why):
    network = nlviz.load_user_network(f"{file}:{function}")
    with pytest.raises(error, match=why):
        nlviz.analyse(make.clip(), network)


def test_an_error_inside_the_module_names_the_line_of_the_users_file(file):
    file.write_text(BUILD.replace("x = self.embed(x).flatten", "x = self.embed(x[:, :2]).flatten"))
    network = nlviz.load_user_network(f"{file}:build")
    with pytest.raises(nlviz.NetworkError, match=r"\(line 15 of net\.py\)"):
        nlviz.analyse(make.clip(), network)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"size": 0}, "size 0 is not supported"),
        ({"size": 4097}, "size 4097 is not supported; .* 1 to 4096 pixels"),
        ({"channels": 4}, "channels 4 are not supported; choose 3 .* or 1 for grey, or wrap"),
        ({"channels": "grey"}, "channels 'grey' are not supported"),
        ({"mean": (0.5,)}, "must be a number for each channel"),
        ({"channels": 1, "deviation": (0.1, 0.2)}, "must be a number for each channel"),
        ({"size": (64, 64, 64)}, "give one number or"),
        ({"layout": "CHW"}, "layout 'CHW' is unknown"),
        ({"multiple": 0}, "multiple, frames and frames_step must"),
        ({"deviation": (1, 1, 0)}, "no deviation being 0"),
        ({"size": "large"}, "size is 'large'; give numbers"),
        ({"size": 64.5}, "size is 64.5; give numbers"),
        ({"mean": 3}, "mean is 3; give numbers"),
        ({"mean": "red"}, "mean is 'red'; give numbers"),
        ({"frames": "8"}, "multiple, frames and frames_step must"),
        ({"classes": "cat"}, "classes is 'cat'; give a sequence of words"),
        ({"classes": 5}, "classes is 5; give a sequence of words"),
    ],
)
def test_an_impossible_input_is_refused(said, why):
    with pytest.raises(nlviz.NetworkError, match=why):
        nlviz.Input(**said)


@pytest.fixture
def picture(tmp_path):
    from PIL import Image

    path = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return str(path)


def test_the_command_line_takes_a_file_and_says_what_it_found(file, picture, capsys):
    at = ["links", picture, "--at", "0,60,40", "--model", f"{file}:build", "--device", "cpu"]
    assert main(at) == 0
    out = capsys.readouterr().out
    assert "net.py:build, block Net, queries 1×3×4" in out
    assert "self-attention, embedded Gaussian" in out
    assert main([*at, "--block", "nl9"]) == 2
    assert "choose one of Net" in capsys.readouterr().err
    assert main([*at[:5], "nl-lite0", "--weights", "w.pt"]) == 2
    assert "comes with nlviz" in capsys.readouterr().err
