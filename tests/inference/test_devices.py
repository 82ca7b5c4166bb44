"""A whole clip on a GPU: the CPU's analysis and experiments, and the GPU's memory given back."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.cli import main
from nlviz.models import zoo
from tests.support import make
from tests.support.plain_block import PlainBlock

CLIP = make.clip(frames=3, width=96, height=64)
SIZE = 96


@pytest.fixture
def exactly() -> Iterator[None]:
    """Float32 in full on a GPU too, where convolutions are otherwise rounded to TF32."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def both() -> tuple[tuple[nlviz.Analysis, Any], tuple[nlviz.Analysis, Any]]:
    """A bundled network's analysis of one clip on the CPU and on the GPU, with the network."""
    networks = [zoo.load("nl-lite0", device=device) for device in ("cpu", "cuda")]
    cpu, gpu = ((nlviz.analyse(CLIP, network, size=SIZE), network) for network in networks)
    return cpu, gpu


@pytest.mark.gpu
def test_a_gpu_gives_the_cpus_analysis(exactly):
    (expected, _), (found, network) = both()
    assert network.device.type == "cuda"
    assert found.blocks == expected.blocks
    assert max(found.fidelity.values()) < 1e-3
    for block in expected.blocks:
        ours, theirs = (each.affinity(block).matrix() for each in (found, expected))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    scores = [[p.score for p in each.prediction] for each in (found, expected)]
    np.testing.assert_allclose(*scores, atol=1e-3)


@pytest.mark.gpu
def test_a_gpu_gives_the_cpus_experiments(exactly):
    def told(analysis: nlviz.Analysis, network: Any) -> dict[str, Any]:
        block, at = analysis.blocks[-1], nlviz.Point(frame=0, x=40.0, y=30.0)
        query = nlviz.Query(at, block, exclude="cell")
        masked = nlviz.faithfulness(analysis, network, query, fractions=(0.2, 1.0), draws=1)
        field = nlviz.receptive_field(analysis, network, block, at)
        sized = nlviz.with_sizes(analysis, network)
        box, effects = field.local, nlviz.effects(analysis, network)
        return {
            "added": [effect.size for effect in effects],
            "falls": [effect.fall for effect in effects],
            "masked": [*masked.by_affinity, *masked.by_random[0]],
            "field": [box.x0, box.y0, box.x1, box.y1, *box.frames],
            "sizes": sized.sizes[block],
        }

    expected, found = (told(*each) for each in both())
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-2, atol=1e-3, err_msg=name)


class Halves(nn.Module):
    """The first part of a network on one device, its block on another."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 8, stride=8).to(first)
        self.block = PlainBlock().to(second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.stem(x).to(next(self.block.parameters()).device))


@pytest.mark.parametrize("first", ["cpu", "device"])
def test_a_module_on_two_devices_gets_its_input_where_it_begins(first, device, exactly):
    torch.manual_seed(0)
    devices = ("cpu", device) if first == "cpu" else (device, "cpu")
    module, plain = Halves(*devices), Halves("cpu", "cpu")
    plain.load_state_dict(module.state_dict())
    asked = {"size": 64, "multiple": 8}
    found, expected = (
        nlviz.analyse(CLIP, nlviz.UserNetwork(each, asked)).affinity("block").matrix()
        for each in (module, plain)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_frames_come_in_the_modules_precision(dtype, device):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), PlainBlock()).to(device, dtype)
    analysis = nlviz.analyse(CLIP, nlviz.UserNetwork(module, {"size": 64, "multiple": 8}))
    assert analysis.fidelity["1"] < 0.05


@pytest.mark.gpu
def test_an_analysis_leaves_nothing_on_the_gpu():
    network = zoo.load("nl-lite0", device="cuda")
    nlviz.analyse(CLIP, network, size=SIZE)  # libraries have their workspaces
    before = torch.cuda.memory_allocated()
    kept = nlviz.analyse(CLIP, network, size=SIZE)
    assert torch.cuda.memory_allocated() == before
    assert kept.blocks


@pytest.mark.gpu
def test_too_little_gpu_memory_says_what_to_lower_and_gives_it_back():
    network = zoo.load("nl-lite0", device="cuda")
    nlviz.analyse(CLIP, network, size=SIZE)
    before, whole = torch.cuda.memory_allocated(), torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (64 << 20)) / whole)
    try:
        with pytest.raises(nlviz.BudgetError, match="take fewer frames or a smaller input size"):
            nlviz.analyse(make.clip(frames=16), network, size=1024)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    gc.collect()  # the error held the frames of its traceback
    assert torch.cuda.memory_allocated() <= before + (1 << 20)
    assert nlviz.analyse(CLIP, network, size=SIZE).blocks


@pytest.mark.gpu
def test_the_command_line_runs_on_a_gpu(tmp_path, capsys):
    file = make.picture(tmp_path / "square.png")
    asked = ["links", str(file), "--at", "0,20,20", "--exclude", "none", "--size", "128", "--json"]
    reports = []
    for device in ("cpu", "cuda"):
        assert main([*asked, "--device", device]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    expected, found = ([link["weight"] for link in r["queries"][0]["links"]] for r in reports)
    np.testing.assert_allclose(found, expected, rtol=0.05)
