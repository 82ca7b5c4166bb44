"""A torchvision that is missing, or does not go with torch: told, or done without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import importlib, sys

import nlviz

class Broken:
    "What a torchvision for another torch does when it is imported."
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise RuntimeError("operator torchvision::nms does not exist")

sys.meta_path.insert(0, Broken())
try:
    random = "none" if "timm" in sys.argv[1] else None
    network = nlviz.load(sys.argv[1], device="cpu", weights=random)
except nlviz.NetworkError as told:
    print(told)
else:
    print("loaded", network.name)
try:
    import torchvision
except RuntimeError as error:
    print("still", error)
"""


def _said(spec):
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:nlviz", "-c", SCRIPT, spec],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_hugging_face_does_without_a_torchvision_that_is_broken(saved):
    assert _said(saved("vit")) == [
        "loaded hf:vit",
        "still operator torchvision::nms does not exist",
    ]


@pytest.mark.slow
def test_timm_needs_one_and_the_sentence_has_the_way_out():
    first, _ = _said("timm:test_vit")
    assert "does not go with torch" in first
    assert "pip install --force-reinstall torch torchvision" in first
