"""nlviz as others have it: a wheel, built from a copy of what it needs, installed in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import server

ROOT = Path(__file__).resolve().parents[2]


def sources(folder: Path) -> Path:
    """A copy of what .dockerignore lets through, as Docker's context has it."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for line in lines:
        if line.startswith("!"):
            name = line.removeprefix("!")
            there, here = ROOT / name, folder / name
            here.parent.mkdir(parents=True, exist_ok=True)
            if there.is_dir():
                shutil.copytree(there, here, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(there, here)
    return folder


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment of its own, which sees what is installed where the tests run."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
        made = cls(folder)
        (found,) = (folder / "lib").glob("python*/site-packages")
        elsewhere = [each for each in sys.path if each.endswith("site-packages")]
        (found / "tests.pth").write_text("\n".join(elsewhere) + "\n")
        return made

    @property
    def packages(self) -> Path:
        (found,) = (self.folder / "lib").glob("python*/site-packages")
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Its programs come first, and nothing of the clone is on the path."""
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        own.pop("NLVIZ_DEBUG", None)
        return {**own, "PATH": f"{self.folder / 'bin'}{os.pathsep}{own['PATH']}"}

    def pip(self, *arguments: str, folder: Path) -> None:
        """Run pip without the network, for this environment."""
        command = [str(self.folder / "bin" / "python"), "-m", "pip", *arguments]
        done = self.run(command, folder)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")

    def run(self, command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """A command in a folder; a name alone is one of this environment's programs."""
        own = self.folder / "bin" / command[0]
        first = str(own) if own.exists() else command[0]
        return subprocess.run(
            [first, *command[1:]], cwd=folder, env=self.variables, capture_output=True, text=True
        )

    @contextmanager
    def serving(self, arguments: Sequence[str], folder: Path, port: int) -> Iterator[str]:
        """``nlviz app …`` in a folder; gives its address."""
        command = [str(self.folder / "bin" / "nlviz"), "app", *arguments]
        with server.serving(
            command, folder, port, self.folder / "app.log", self.variables
        ) as address:
            yield address
