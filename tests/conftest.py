"""What all tests share: one browser for each process, and a published network that is small."""

from __future__ import annotations

import gc
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ("tests.support.left_out",)

# Workers side by side share the cores: one thread for each, and for each program that it starts.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the browser."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


def pytest_collection_finish() -> None:
    """What was imported stays: every pass of a network collects garbage, and need not visit it."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where torch sees none."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU, and torch sees none on this machine")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device that must give the same."""
    return str(request.param)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; each test opens pages or contexts of its own in it."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import launch

    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def server():
    from tests.support.weights_server import Server

    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """A Caffe2 checkpoint of a small I3D, as it would lie on the server."""
    import torch

    from tests.models.test_checkpoints import caffe2_pickle
    from tests.support.restated import PROJECTS, state

    torch.manual_seed(0)
    made = state(PROJECTS["Caffe2 I3D"])
    path = tmp_path_factory.mktemp("c2") / "weights.pkl"
    return caffe2_pickle(path, {key: v.numpy() for key, v in made.items()}).read_bytes()


@pytest.fixture
def small(server, content, monkeypatch, tmp_path):
    """A published network that is small, and lies on our server; the cache is a new folder."""
    from nlviz.models import zoo
    from nlviz.models.published.catalogue import RECORDS
    from tests.support.restated import PROJECTS

    server.content = content
    digest = "sha256:" + hashlib.sha256(content).hexdigest()[:8]
    record = replace(
        zoo.published("i3d-nl-32x2"),
        name="small", plan=PROJECTS["Caffe2 I3D"].plan, url=server.url, digest=digest,
    )  # fmt: skip
    monkeypatch.setattr(zoo, "PUBLISHED", (record, *RECORDS))
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path / "cache"))
    return record
