"""The app on a free port as its owner starts it, with options, in a process that can be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.app_page import ROOT
from tests.support.server import free_port, wait_for


class AppServer:
    """One process that serves the app.

    Args:
        folder: for its log, and for what it writes for a while.
        options: those of ``nlviz app`` that go on to the app.
        settings: Streamlit's own, such as ``--server.maxUploadSize 1``.
    """

    def __init__(self, folder: Path, *options: str, settings: tuple[str, ...] = ()) -> None:
        self.folder, self.options, self.settings = folder, options, settings
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log.txt"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start it, again perhaps, at the same address."""
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        command += ["--server.port", str(self.port), *self.settings, "--", *self.options]
        variables = {**os.environ, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdout=output, stderr=output
            )
        wait_for(self.address, self.process, self.log)

    def kill(self) -> None:
        """``kill -9``: nothing of it can tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """End it as a service manager does."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def get(self, path: str) -> str:
        """What it answers."""
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """One number of ``/metrics``, labels included in its name; 0 where it is not there."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics"), re.M)
        return float(found.group(1)) if found else 0.0

    @property
    def threads(self) -> int:
        """How many threads its process has; Linux."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("Threads:")[2].split()[0])

    @property
    def folders(self) -> list[Path]:
        """What lies in the folder for what is written for a while."""
        return sorted(self.temporary.iterdir())


@contextmanager
def served(folder: Path, *options: str, settings: tuple[str, ...] = ()) -> Iterator[AppServer]:
    """The app for a while; no traceback may be in its log."""
    server = AppServer(folder, *options, settings=settings)
    try:
        yield server
    finally:
        server.end()
    assert "Traceback" not in server.log.read_text(errors="replace")
