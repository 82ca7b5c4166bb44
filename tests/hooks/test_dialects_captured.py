"""Every project's blocks from the outside: ``capture`` finds each convention again."""

from __future__ import annotations

import pytest
import torch

import nlviz
from nlviz.models import checkpoints
from nlviz.models.resnet import VideoResNet
from tests.support.restated import PROJECTS, WIDTH, state

WITH_BLOCKS = [name for name, project in PROJECTS.items() if any(project.places)]


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_the_convention_of_a_checkpoint_is_proved_by_its_capture(name):
    torch.manual_seed(0)
    project = PROJECTS[name]
    network = VideoResNet(project.plan)
    checkpoints.fit(state(project), network)
    for path in project.plan.taps:  # rows that differ from each other
        for part in ("theta", "phi"):
            for parameter in getattr(
                network.get_submodule(path), part, torch.nn.Module()
            ).parameters():
                parameter.data *= 3
    seen = nlviz.capture(network, torch.randn(1, 3, 16, 48, 32))
    assert dict(seen.refused) == {}
    assert list(seen.affinities) == list(project.plan.taps)
    for path, affinity in seen.affinities.items():
        assert seen.fidelity[path] < 1e-4
        assert affinity.function == project.function
        inner = 2 * WIDTH * (2 if path.startswith("res3") else 4)
        scaled = project.scaled and project.function == "embedded_gaussian"
        assert affinity.scale == pytest.approx(inner**-0.5 if scaled else 1)
        steps = affinity.query_grid.t
        pooled = 1 if project.pooled == "never" else 4
        assert affinity.key_grid.size <= affinity.query_grid.size / pooled
        if project.group and path.startswith("res3"):
            assert steps == 8
            rows = affinity.matrix().reshape(steps, -1, steps, affinity.key_grid.size // steps)
            linked = rows.any((1, 3))
            groups = torch.arange(steps) // project.group
            assert linked.tolist() == (groups[:, None] == groups).tolist()
        else:
            assert affinity.reach == ()
