"""A batch on a Ray cluster of two nodes on this machine, one of which is lost in the middle."""

from __future__ import annotations

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

import nlviz
from nlviz import BatchOptions
from nlviz.batches import cluster as module
from nlviz.errors import BatchError
from tests.batches.conftest import NET, contents, square

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"
)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    """A cluster: a node of one core, where the driver is, and one of two, which may be lost.

    JupyterLab brings a package that Ray imports, by way of jsonschema, in each of its processes,
    and that takes seconds to import; the nodes do without.
    """
    from ray.cluster_utils import Cluster

    without = tmp_path_factory.mktemp("without")
    (without / "rfc3987_syntax.py").write_text("raise ImportError\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join((str(without), str(ROOT))))
        patched.setenv("OMP_NUM_THREADS", "1")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        second = cluster.add_node(num_cpus=2)
        cluster.wait_for_nodes()
        yield cluster, second
        cluster.shutdown()


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_that_loses_a_node_gives_what_one_process_does(two_nodes, tmp_path):
    cluster, second = two_nodes
    many, net = tmp_path / "many", tmp_path / "net.py"
    many.mkdir()
    net.write_text(NET)
    for number in range(10):
        square(many / f"{number}", number)
    (many / "broken.mp4").write_bytes(b"no video")
    options = BatchOptions(models=(f"{net}:soft",), ask=("grid:2",))
    whole, out = tmp_path / "whole", tmp_path / "out"
    nlviz.batch(many, whole, options, readers=0)

    told = []

    def lose(fraction, words):
        told.append(words)
        if len(told) == 2:
            cluster.remove_node(second, allow_graceful=False)

    report = nlviz.batch(many, out, options, ray=cluster.address, progress=lose)
    assert (report.done, report.there, len(report.failed)) == (10, 0, 1)
    assert len(told) == 11
    table = pd.read_parquet(out / "rows")
    assert len(table) == 10 * 2 * 4
    assert not table.duplicated(["id", "block", "query"]).any()
    assert contents(out) == contents(whole)


def test_an_address_that_does_not_answer_is_one_sentence(clips, net, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "ray", type(sys)("ray"))
    monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: False, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    options = BatchOptions(models=(f"{net}:soft",))
    for address, why in (
        (f"127.0.0.1:{port}", f"No Ray cluster answers at '127.0.0.1:{port}' .Connection refused"),
        (f"ray://127.0.0.1:{port}", "No Ray cluster answers at 'ray://"),
        ("nowhere", "'nowhere' is no address of a Ray cluster; write HOST:PORT"),
    ):
        with pytest.raises(BatchError, match=why):
            nlviz.batch(clips, tmp_path / "out", options, ray=address)


def test_a_ray_that_does_not_start_here_is_one_sentence(clips, net, tmp_path, monkeypatch):
    def init(**how):
        raise RuntimeError("The node timed out.\nMore.")

    ray = type(sys)("ray")
    ray.is_initialized, ray.init = lambda: False, init
    monkeypatch.setattr(module, "find_spec", lambda name: True)
    monkeypatch.setattr(module, "_ray", lambda: ray)
    monkeypatch.setattr(module, "_running_here", lambda: "local")
    options = BatchOptions(models=(f"{net}:soft",))
    with pytest.raises(BatchError, match=r"could not be started here \(The node timed out\)"):
        nlviz.batch(clips, tmp_path / "out", options, ray="")


@needs_ray
@pytest.mark.slow
def test_what_answers_and_is_no_ray_is_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BatchError, match=r"no Ray of this version|timed out"):
            module._check(f"127.0.0.1:{port}")


def test_without_ray_the_sentence_says_what_to_install(clips, net, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    options = BatchOptions(models=(f"{net}:soft",))
    with pytest.raises(BatchError, match=r"pip install 'nlviz\[ray\]'"):
        nlviz.batch(clips, tmp_path / "out", options, ray="")
