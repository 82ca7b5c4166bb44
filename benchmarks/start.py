"""How long from `streamlit run` to links on the screen, in headless Chromium.

`python -m benchmarks.start [PYTHON]`. PYTHON serves the app: that of an environment with what the
app needs alone, as `make run` makes it (`.venv/bin/python` in a clone), else this one.
It matters, for Streamlit looks through all packages that are installed before it answers.

Each round starts a new server and a new visitor; the browser itself is already open, and Python's
bytecode is written, as after the first start on a machine. The clock runs from the start of the
server's process: until it first answers, and until the viewer shows the frames with Python's exact
links of the first pin. Then until the network has loaded behind them. The processor's seconds are
those of the server up to the links: what else runs adds little to them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.measure import machine
from tests.support.app_page import ROOT, AppPage
from tests.support.browser import launch
from tests.support.server import free_port, serving

LIMIT = 3.0  # seconds
ROUNDS = 5
_NAMES = ("server's first answer", "links on the screen", "server's processor", "network loaded")


def main() -> int:
    """Print the seconds of each round; 1 if the median until the links is above the limit."""
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    taken = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch(playwright)
        for number in range(ROUNDS + 1):
            port = free_port()
            command = [python, "-m", "streamlit", "run", "app.py"]
            command += ["--server.port", str(port)]
            variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
            start = time.perf_counter()
            with serving(command, ROOT, port, Path(folder) / "log.txt", variables) as address:
                with urllib.request.urlopen(address) as page:
                    page.read()
                answered = time.perf_counter() - start
                visitor = AppPage(browser, address)
                visitor.ready()
                drawn = time.perf_counter() - start
                spent = _processor(address)
                visitor.loaded()
                loaded = time.perf_counter() - start
                visitor.close()
            if number:  # the first writes the bytecode
                taken.append((answered, drawn, spent, loaded))
        browser.close()
    print(f"{python} has {_packages(python)} packages")
    print(f"streamlit run to links on the screen, {ROUNDS} fresh servers; {machine()}")
    for name, seconds in zip(_NAMES, zip(*taken, strict=True), strict=True):
        rounds = ", ".join(f"{each:.1f}" for each in seconds)
        print(f"{name}, seconds: {rounds}; median {statistics.median(seconds):.2f}")
    median = statistics.median(each[1] for each in taken)
    print(f"limit of links on the screen {LIMIT:.0f}: {'missed' if median > LIMIT else 'kept'}")
    return int(median > LIMIT)


def _packages(python: str) -> str:
    script = "import importlib.metadata as m; print(len(list(m.distributions())))"
    return subprocess.run([python, "-c", script], capture_output=True, text=True).stdout.strip()


def _processor(address: str) -> float:
    """Seconds that the server's process, the one of its port, has run on a processor; Linux."""
    port = address.rpartition(":")[2]
    for folder in Path("/proc").glob("[0-9]*"):
        words = (folder / "cmdline").read_bytes().split(b"\0")
        if b"streamlit" in words and port.encode() in words:
            numbers = (folder / "stat").read_text().rpartition(")")[2].split()
            return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
    return float("nan")


if __name__ == "__main__":
    sys.exit(main())
