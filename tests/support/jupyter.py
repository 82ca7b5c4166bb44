"""A real JupyterLab for the tests: a notebook in it, run and clicked in a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds for a server or a kernel on a busy machine


def notebook(path: Path, cells: Sequence[str]) -> Path:
    """A notebook of these cells, none of them run."""
    code = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": cell,
            "outputs": [],
            "execution_count": None,
        }
        for number, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4}
    path.write_text(json.dumps(content | {"nbformat_minor": 5}))
    return path


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """A JupyterLab of its own settings that serves a folder; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / ".jupyter"
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {name: str(home / name.lower()) for name in names}
    arguments = (
        *("--no-browser", "--allow-root", "--expose-app-in-browser", "--IdentityProvider.token="),
        *(f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}"),
    )
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *arguments],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | own | {"PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1"},
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _await(server, f"{address}/api", folder / "lab.log")
            yield address
        finally:
            server.send_signal(signal.SIGTERM)  # it ends its kernels
            server.wait(PATIENCE)


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def opened(browser: Browser, address: str, path: Path, **how: object) -> Page:
    """A notebook in the browser, all of its cells run once."""
    page = browser.new_page(**how)
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(f"{address}/lab/tree/{path.name}?reset", wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    kernel = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
    idle = f"() => {kernel}?.status === 'idle'"
    page.wait_for_function(idle)
    run(page, "notebook:run-all-cells")
    return page


def run_cell(page: Page, number: int) -> None:
    """One cell alone, from 0."""
    choose = "number => { jupyterapp.shell.currentWidget.content.activeCellIndex = number }"
    page.evaluate(choose, number)
    run(page, "notebook:run-cell")


def run(page: Page, command: str) -> None:
    """One of JupyterLab's commands."""
    page.evaluate("name => jupyterapp.commands.execute(name)", command)
