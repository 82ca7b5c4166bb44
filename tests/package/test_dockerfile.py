"""The Dockerfile's steps as a script in an empty folder: neither Docker nor a network needed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import urllib.request

import pytest

from tests.support.server import free_port, wait_for
from tests.support.wheel import ROOT, Environment, sources

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8")).splitlines()
STEPS = [tuple(line.strip().split(" ", 1)) for line in LINES if line and not line.startswith("#")]


def steps(kind):
    return [rest for name, rest in STEPS if name == kind]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """What COPY and RUN leave in an environment of its own; the pinned requirements are here."""
    context = sources(tmp_path_factory.mktemp("context"))
    build = tmp_path_factory.mktemp("build")
    environment = Environment.make(tmp_path_factory.mktemp("image"))
    for kind, rest in STEPS:
        if kind == "COPY":
            *given, _ = rest.split()
            for each in given:
                subprocess.run(["cp", "-r", f"{context / each}", f"{build}/"] if each != "." else
                               ["cp", "-r", f"{context}/.", f"{build}/"], check=True)  # fmt: skip
        elif kind == "RUN" and "requirements.txt" in rest:
            names = (build / "requirements.txt").read_text()
            assert all("==" in line for line in names.splitlines() if line[:1].isalpha())
        elif kind == "RUN" and "nlviz" in rest and "useradd" not in rest:
            offline = rest.replace("pip install", "pip install --no-build-isolation --no-index")
            offline = offline.replace("pip ", "python -m pip ", 1)
            done = environment.run(["sh", "-ec", offline], build)
            assert done.returncode == 0, done.stderr
            assert "nl-lite0" in done.stdout
    return environment


def test_the_image_is_slim_and_its_user_is_not_root():
    assert steps("FROM") == ["python:3.11-slim"]
    assert steps("USER") == ["nlviz"]
    order = [name for name, _ in STEPS]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name == "RUN")
    assert any("useradd" in rest for rest in steps("RUN"))


@pytest.mark.slow
def test_its_command_serves_the_app_and_its_health_check_agrees(image, tmp_path):
    ((command, check),) = zip(steps("CMD"), steps("HEALTHCHECK"), strict=True)
    port = free_port()
    words = [str(port) if word == "8501" else word for word in json.loads(command)]
    variables = dict(pair.split("=", 1) for pair in steps("ENV")[-1].split())
    assert variables == {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}
    log = tmp_path / "app.log"
    program = str(image.folder / "bin" / words[0])
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program, *words[1:]],
            cwd=tmp_path, env={**image.variables, **variables}, stdout=output, stderr=output,
        )  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}", server, log)
            asked = shlex.split(check.split("CMD ")[1].replace("8501", str(port)))
            assert image.run(asked, tmp_path).returncode == 0
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/app/static/inter.woff2") as font:
                assert font.status == 200
        finally:
            server.terminate()
            assert server.wait(30) == 0
    assert image.run(asked, tmp_path).returncode != 0, "the server ends with the command"


def test_the_context_has_what_is_needed_and_no_secret(tmp_path):
    names = {path.name for path in sources(tmp_path).rglob("*")}
    assert {"nl-lite0.safetensors", "ball.mp4", "config.toml", "app.py"} <= names
    assert not names & {"secrets.toml", "tests", "training", ".git"}
