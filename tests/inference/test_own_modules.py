"""A user's file beside its own ``models``, ``utils``, ``training`` and ``tests``."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import nlviz
from nlviz.cli import main
from nlviz.inference.own_modules import own_modules
from tests.support import make

ROOT = Path(__file__).resolve().parents[2]

NET = """
from dataclasses import fields

import benchmarks.speed
import utils
from models.blocks import Attention, Size
from tests.cases import SEED
from torch import manual_seed, nn
from training import recipe

import nlviz


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 16, 16)
        self.attention = Attention(8)

    def forward(self, x):
        from models import late  # only now, long after the file was run
        from training.schedule import FACTOR

        return late.same(self.attention(self.embed(x).flatten(2).transpose(1, 2))) * FACTOR


def build():
    manual_seed(SEED + recipe.STEPS + benchmarks.speed.RUNS)
    assert [each.name for each in fields(Size)] == ["side"]
    return Net(), nlviz.Input(size=utils.size(64), multiple=16)


def saved():
    import torch

    torch.save(Net(), utils.FOLDER / "whole.pt")
    return torch.load(utils.FOLDER / "whole.pt", weights_only=False), {"size": 64}
"""

FILES = {
    "net.py": NET,
    "models/blocks.py": """
from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass
class Size:
    side: int


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x):
        return scaled_dot_product_attention(*self.qkv(x).unsqueeze(1).chunk(3, -1)).squeeze(1)
""",
    "models/late.py": "def same(x):\n    return x\n",
    "utils.py": """
from pathlib import Path

FOLDER = Path(__file__).parent


def size(side):
    return side
""",
    "training/__init__.py": "",
    "training/recipe.py": "STEPS = 3\n",
    "training/schedule.py": "FACTOR = 2\n",
    "tests/__init__.py": "",
    "tests/cases.py": "SEED = 4\n",
    "benchmarks/speed.py": "RUNS = 5\n",  # no __init__.py, as ours has
}


@pytest.fixture(params=["bare", "packaged"])
def project(tmp_path, request):
    """A folder as research code has it, with and without ``models/__init__.py``."""
    write(tmp_path / "project", FILES)
    if request.param == "packaged":
        (tmp_path / "project" / "models" / "__init__.py").touch()
    return tmp_path / "project"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def run(arguments, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "nlviz", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def question(net):
    sample = ROOT / "assets" / "clips" / "orchard.jpg"
    return ["links", str(sample), "--at", "0,100,100", "--k", "2", "--model", f"{net}:build"]


@pytest.mark.slow
def test_the_users_modules_are_found_from_whatever_folder(tmp_path):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    write(project, FILES)
    ours = {"utils.py": "", "models/__init__.py": "", "tests/__init__.py": ""}
    write(elsewhere, ours)
    told = [
        run(question(os.path.relpath(project / "net.py", folder)), folder)
        for folder in (elsewhere, ROOT)
    ]
    assert [done.returncode for done in told] == [0, 0], told[0].stderr + told[1].stderr
    assert told[0].stdout == told[1].stdout


def test_their_names_do_not_replace_ours_where_ours_were_there_before(project):
    before = {name: module for name, module in sys.modules.items() if name.startswith("tests")}
    path = list(sys.path)
    network = nlviz.load(f"{project / 'net.py'}:build", device="cpu")
    nlviz.analyse(make.clip(), network)
    assert {name: sys.modules[name] for name in before} == before
    assert sys.path == path
    from tests.support import plain_block

    assert Path(plain_block.__file__).is_relative_to(ROOT)


@pytest.mark.slow
def test_two_projects_in_one_process_keep_apart(project, tmp_path):
    other = tmp_path / "other"
    changed = {**FILES, "utils.py": FILES["utils.py"].replace("return side", "return side // 2")}
    write(other, changed)
    alone = tmp_path / "alone"
    write(alone, {"net.py": "import models.blocks\n"})

    def width(folder):
        network = nlviz.load(f"{folder / 'net.py'}:build", device="cpu")
        return network, network.input.size

    first, sizes = zip(*[width(folder) for folder in (project, other, project)], strict=True)
    assert sizes == (64, 32, 64)
    for network in first:  # and their forward passes, in turns
        analysis = nlviz.analyse(make.clip(), network)
        assert analysis.view.input[0] == network.input.size
    attentions = [type(network.module.attention) for network in first]
    assert attentions[0] is attentions[2]
    assert attentions[0] is not attentions[1]
    with pytest.raises(nlviz.NetworkError, match="No module named 'models"):
        nlviz.load(f"{alone / 'net.py'}:build", device="cpu")


def test_pickles_of_the_users_classes_work_in_their_file_and_after(project):
    network = nlviz.load(f"{project / 'net.py'}:saved", device="cpu")
    analysis = nlviz.analyse(make.clip(), network)
    assert analysis.blocks == ("attention",)
    with own_modules(str(project)):
        again = pickle.loads(pickle.dumps(network.module.attention))
    assert type(again) is type(network.module.attention)


def test_what_their_file_adds_to_the_path_is_theirs_alone(tmp_path):
    write(tmp_path / "shared", {"pieces.py": "WIDTH = 3\n", "more.py": "DEPTH = 1\n"})
    net = f"""
import sys
sys.path.insert(0, {str(tmp_path / "shared")!r})
from pieces import WIDTH
from torch import nn


class Net(nn.Conv2d):
    def forward(self, x):
        import more
        raise ValueError(f"depth {{more.DEPTH}}")


def build():
    return Net(WIDTH, 1, 1), dict(size=64)
"""
    write(tmp_path / "project", {"net.py": net})
    network = nlviz.load(f"{tmp_path / 'project' / 'net.py'}:build", device="cpu")
    assert str(tmp_path / "shared") not in sys.path
    with pytest.raises(nlviz.NetworkError, match="depth 1"):
        nlviz.analyse(make.clip(), network)
    write(tmp_path / "alone", {"net.py": "import pieces\n"})
    with pytest.raises(nlviz.NetworkError, match="No module named 'pieces'"):
        nlviz.load(f"{tmp_path / 'alone' / 'net.py'}:build", device="cpu")


def test_a_folder_of_data_hides_no_installed_package(tmp_path):
    net = "import numpy, matplotlib, json\nfrom torch import nn\n\n"
    net += "def build():\n    return nn.Conv2d(len(json.dumps(numpy.ones(1)[0])), 1, 1)\n"
    write(tmp_path, {"net.py": net, "numpy/a.txt": "", "matplotlib/a.txt": "", "json/a.txt": ""})
    assert nlviz.load(f"{tmp_path / 'net.py'}:build", device="cpu").module.in_channels == 3


@pytest.mark.parametrize("name", ["models.py", "nlviz.py", "tests.py", "torch.py"])
def test_a_file_may_be_called_as_a_package_of_its_own_or_of_ours(tmp_path, name):
    write(tmp_path, {**FILES, "models/__init__.py": "", name: NET})
    network = nlviz.load(f"{tmp_path / name}:build", device="cpu")
    assert isinstance(network.input, nlviz.Input)
    assert network.name == f"{name}:build"


def test_a_file_called_torch_hides_nothing_of_torchs_compiled_part(tmp_path):
    inside = [name for name in sys.modules if name.startswith("torch._C.")]
    assert inside
    net = f"{NET}\nimport sys\n\ndef look():\n    there = [n in sys.modules for n in {inside}]\n"
    net += "    if not all(there):\n        raise RuntimeError('hidden')\n    return build()\n"
    write(tmp_path, {**FILES, "models/__init__.py": "", "torch.py": net})
    nlviz.load(f"{tmp_path / 'torch.py'}:look", device="cpu")


def test_a_file_that_hides_a_folder_of_its_own_says_so(tmp_path):
    write(tmp_path, {**FILES, "models.py": NET})
    with pytest.raises(nlviz.NetworkError) as told:
        nlviz.load(f"{tmp_path / 'models.py'}:build", device="cpu")
    assert str(told.value) == (
        "models.py hides the folder 'models' beside it from import; give the file another name, or "
        "the folder an __init__.py."
    )


def test_a_module_that_is_missing_is_told_in_one_sentence(tmp_path, capsys):
    write(tmp_path, {"net.py": "from models.heads import Head\n", "models/blocks.py": ""})
    assert main(question(tmp_path / "net.py")) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-3].startswith("net.py could not be used: it raised ModuleNotFoundError: ")
    assert "No module named 'models.heads' (line 1 of net.py)." in told[-3]
