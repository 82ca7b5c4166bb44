"""PyTorch's waiting threads leave the cores to others, unless somebody has said otherwise."""

from __future__ import annotations

import os

import pytest

from nlviz.cli import main
from nlviz.inference import cores

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    "said", [{}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}], ids=str
)
def test_what_somebody_has_said_stays(monkeypatch, said):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is as before at the end
        monkeypatch.delenv(name)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    cores.share()
    there = {name: os.environ[name] for name in NAMES if name in os.environ}
    assert there == (said or {"GOMP_SPINCOUNT": "1000"})


def test_a_command_shares_the_cores(monkeypatch, capsys):
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert main(["models"]) == 0
    capsys.readouterr()
    assert "GOMP_SPINCOUNT" in os.environ
