"""The wheel, built once, and an environment that it is installed in."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.wheel import Environment, sources

BUILD = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A copy of a clone's files, without its git."""
    return sources(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def wheel(clone, tmp_path_factory):
    """The wheel's file."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", *BUILD, "-w", str(folder), str(clone)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel in it."""
    environment = Environment.make(tmp_path_factory.mktemp("environment"))
    arguments = ["install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    environment.pip(*arguments, folder=tmp_path_factory.mktemp("empty"))
    return environment
