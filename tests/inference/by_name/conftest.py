"""One folder of each kind of tiny model, made once."""

from __future__ import annotations

from functools import cache

import pytest

from tests.support import named_models


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Kind → the spec of a folder that holds one; nobody may change it."""
    root = tmp_path_factory.mktemp("models")
    return cache(lambda kind: named_models.save(kind, root / kind))


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch, tmp_path):
    """Neither a cache of this machine nor a network: the client of the hub is offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
