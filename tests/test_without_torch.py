"""A session file in a process where torch cannot be imported: opened, asked, drawn, exported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nlviz import Point, Query
from nlviz.export import Provenance, Session, save
from tests.support import make

ROOT = Path(__file__).resolve().parents[1]

FORBID = """
import sys


class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} may not be imported here")


sys.meta_path.insert(0, NoTorch())
"""

LIBRARY = """
import nlviz
from nlviz import export

opened = export.open_session("small.nlviz")
analysis, query = opened.analysis, opened.queries[0]
links = nlviz.top_links(analysis, query)
assert len(links) == 3 and len(nlviz.best_path(analysis, query)) > 1
assert nlviz.profile(analysis, query).distance > 0
assert nlviz.block_statistics(analysis, query.block)
assert nlviz.heat_scale(analysis, query, nlviz.row_of(analysis, query))
assert analysis.about(query.block).sentences and analysis._repr_html_()
nlviz.film_strip(analysis, [links])
made = export.Provenance.of(analysis, [query])
assert made.weights == opened.provenance.weights and made.weights.startswith("sha256:")
assert export.report(analysis, [links])["model"] == "nl-lite0"
print(type(nlviz.Query(nlviz.Point(0, 1, 1), query.block)).__name__)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A session file of a small analysis that bears the name of a network of the zoo."""
    folder = tmp_path_factory.mktemp("sessions")
    analysis = replace(make.analysis(), network="nl-lite0")
    query = Query(Point(0, 20, 20), "fine", 3)
    session = Session(analysis, Provenance.of(analysis, [query]), (query,))
    (folder / "small.nlviz").write_bytes(save(session))
    return folder


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", FORBID + where + script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_library_opens_asks_and_draws_a_session_without_torch(folder):
    done = run(LIBRARY, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Query"]


COMMANDS = (
    "links small.nlviz",
    "links small.nlviz --json --path",
    "stats small.nlviz",
    "figure small.nlviz -o a.png",
    "figure small.nlviz -o a.svg",
    "figure small.nlviz -o a.pdf",
    "html small.nlviz -o a.html",
    "film small.nlviz -o a.gif",
    "export small.nlviz -o a.csv",
    "export small.nlviz -o a.json",
    "export small.nlviz -o a.npz",
    "export small.nlviz -o a.safetensors",
    "export small.nlviz -o again.nlviz",
)


@pytest.mark.slow
def test_every_command_that_takes_a_session_runs_without_torch(folder):
    script = f"""
from nlviz.cli import main

for command in {COMMANDS!r}:
    assert main(command.split()) == 0, command
assert main(["track", "small.nlviz", "--at", "0,20,20"]) == 2
assert "torch" not in sys.modules
"""
    done = run(script, folder)
    assert done.returncode == 0, done.stderr
    assert "'small.nlviz' has no network to run again; give the clip itself." in done.stderr
    assert "fault" not in done.stderr


def test_what_is_known_of_the_networks_needs_no_torch(folder):
    script = """
from nlviz.models import zoo

known = [zoo.record(name) for name in zoo.names()]
print(len(known), all(each.summary for each in known), len(known[0].sha256))
"""
    done = run(script, folder)
    assert done.stderr == ""
    count, summaries, digits = done.stdout.split()
    assert int(count) > 20
    assert (summaries, digits) == ("True", "64")
