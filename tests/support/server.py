"""A server of the app in its own process: on a free port, healthy before use, ended after."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 120.0  # seconds; a loaded machine may need them, a quiet one does not


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    port: int,
    log: Path,
    variables: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run a command that serves the app on a port; gives its address once it is healthy."""
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)
        try:
            wait_for(address, server, log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server is healthy; RuntimeError with its log if it ends or never is."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address + "/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"the app's server did not start: {log.read_text(errors='replace')}")
