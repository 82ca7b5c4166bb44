"""What a run leaves out, told at its end: marked tests that were not chosen, programs not found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.support.setup_programs import missing

MARKS = ("browser", "slow")
_LEFT_OUT = pytest.StashKey[Counter[tuple[str, str]]]()  # how many, by mark and folder


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = Counter()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        folder = item.nodeid.split("::")[0].rpartition("/")[0]
        for mark in filter(item.get_closest_marker, MARKS):
            item.config.stash[_LEFT_OUT][mark, folder] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the process that reports; all workers leave out the same."""
    if hasattr(session.config, "workeroutput"):
        told = [[*key, count] for key, count in session.config.stash[_LEFT_OUT].items()]
        session.config.workeroutput["left_out"] = told


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    told = getattr(node, "workeroutput", {}).get("left_out", ())
    node.config.stash[_LEFT_OUT] = Counter({(mark, folder): n for mark, folder, n in told})


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    left_out = config.stash[_LEFT_OUT]
    if left_out and config.option.markexpr:
        terminalreporter.section("left out of this run; `make test` runs all")
        for mark in MARKS:
            folders = {folder: n for (each, folder), n in left_out.items() if each == mark}
            told = ", ".join(f"{folder} {n}" for folder, n in sorted(folders.items()))
            terminalreporter.line(f"{mark}: {sum(folders.values())} ({told})")
    elif not left_out and (sentence := missing()):
        terminalreporter.line(sentence)
