"""The wheel: what is in it, and nlviz used from it in a folder far from the clone."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.inference.test_own_modules import FILES, write
from tests.support.app_page import AppPage, settled
from tests.support.server import free_port
from tests.support.wheel import ROOT

pytestmark = pytest.mark.slow  # a wheel is built, and installed for most of them

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CODE = (".py", ".pyi", ".js", ".ts", ".css", ".html", ".svg", ".typed")


def contents(wheel):
    with zipfile.ZipFile(wheel) as file:
        return [name for name in file.namelist() if not name.endswith("/")]


def test_the_wheel_holds_the_library_and_its_files_and_nothing_else(wheel):
    names = contents(wheel)
    assert len(names) == len(set(names))
    assert {name.split("/")[0] for name in names} == {"nlviz", "nlviz-0.1.0.dist-info"}
    library = {name for name in names if name.startswith("nlviz/")}
    code = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "nlviz").rglob("*")
        if path.name.endswith(CODE)
    }
    kept = [ROOT / "app.py", ROOT / ".streamlit" / "config.toml", *(ROOT / "static").iterdir()]
    kept += [path for path in (ROOT / "assets").rglob("*") if path.is_file()]
    kept += [each for each in (ROOT / "models/weights").iterdir() if each.suffix != ".jsonl"]
    data = {f"nlviz/data/{path.relative_to(ROOT).as_posix()}" for path in kept}
    assert library == code | data


def test_a_source_distribution_builds_the_same_wheel(clone, wheel, tmp_path):
    source = shutil.copytree(clone, tmp_path / "clone")
    script = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=source, check=True, capture_output=True)
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    script = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=unpacked, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    assert sorted(contents(again)) == sorted(contents(wheel))


def test_its_metadata_name_the_command_the_ranges_and_the_extras(installed):
    (folder,) = installed.packages.glob("nlviz-*.dist-info")
    found = PathDistribution(folder)
    assert [(each.name, each.value) for each in found.entry_points] == [
        ("nlviz", "nlviz.__main__:start")
    ]
    extras = set(found.metadata.get_all("Provides-Extra"))
    assert extras == {"notebook", "hub", "ray", "training", "dev", "docs"}
    wanted = [Requirement(each) for each in found.requires or ()]
    assert {each.name for each in wanted if not each.marker} >= {"torch", "streamlit", "numpy"}
    assert found.metadata["License-Expression"] == "Apache-2.0"
    assert "non-local networks" in found.metadata["Keywords"]
    assert "Typing :: Typed" in found.metadata.get_all("Classifier")
    assert {"nlviz/py.typed", "nlviz/__init__.pyi"} <= {str(each) for each in found.files}


def test_every_pin_lies_in_its_range():
    extras = PROJECT["optional-dependencies"]
    files = {"": PROJECT["dependencies"], **{f"-{name}": extras[name] for name in extras}}
    for ending, ranges in files.items():
        text = (ROOT / f"requirements{ending}.txt").read_text(encoding="utf-8")
        pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
        wanted = {each.name: each.specifier for each in map(Requirement, ranges)}
        assert wanted.keys() == pins.keys(), ending
        for name, pin in pins.items():
            assert wanted[name].contains(pin), f"{name}=={pin} is not in {wanted[name]}"


LIBRARY = """
from pathlib import Path

import nlviz
from nlviz.export import Provenance, page
from nlviz.models import zoo
from nlviz.notebook.widget import Widget
from nlviz.resources import CLIPS

assert "site-packages" in nlviz.__file__ and len(list(CLIPS.glob("*.mp4"))) == 4
network = nlviz.load("nl-lite0", device="cpu")
assert len(network.classes) == 1000 and zoo.record("nl-lite0").card.is_file()
clip = nlviz.read(CLIPS / "ball.mp4", frames=2)
analysis = nlviz.analyse(clip, network, size=160)
query = nlviz.Query(nlviz.Point(0, 300, 160), "nl5", 3)
Path("strip.png").write_bytes(
    nlviz.film_strip(analysis, [nlviz.top_links(analysis, query)]).png()
)
made = Provenance.of(analysis, [query])
Path("page.html").write_bytes(page(analysis, [query], provenance=made))
widget = analysis.show([query])
assert len(widget._esm) > 10_000 and len(widget.pins) == 1
"""


def test_the_library_works_in_any_folder(installed, tmp_path):
    done = installed.run(["python", "-W", "ignore", "-c", LIBRARY], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "strip.png").read_bytes().startswith(b"\x89PNG")
    assert "<script" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_command_answers_with_a_network_beside_its_own_models(installed, tmp_path):
    write(tmp_path, FILES)
    clip = installed.packages / "nlviz" / "data" / "assets" / "clips" / "orchard.jpg"
    question = [str(clip), "--at", "0,100,100", "--k", "2", "--model", "net.py:build", "--json"]
    done = installed.run(["nlviz", "links", *question], tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["queries"][0]["links"]) == 2
    assert installed.run(["nlviz", "--help"], tmp_path).stdout.startswith("usage: nlviz ")
    module = installed.run(["python", "-m", "nlviz", "--help"], tmp_path)
    assert module.stdout.startswith("usage: python -m nlviz ")


@pytest.fixture
def project(tmp_path):
    """A user's folder, with an app and a file nlviz.py of their own."""
    theirs = '[server]\naddress = "0.0.0.0"\n[theme]\nfont = "serif"\nbaseFontSize = 25\n'
    write(tmp_path, {".streamlit/config.toml": theirs, "nlviz.py": "raise ValueError\n", **FILES})
    return tmp_path


def test_the_app_looks_and_works_as_in_a_clone(installed, project, browser):
    port = free_port()
    arguments = ["--port", str(port), "--model", "net.py:build"]
    with installed.serving(arguments, project, port) as address:
        for name in ("inter", "jetbrains-mono"):
            with urllib.request.urlopen(f"{address}/app/static/{name}.woff2") as font:
                assert font.read() == (ROOT / "static" / f"{name}.woff2").read_bytes()
        visitor = AppPage(browser, address)
        state = visitor.until(lambda seen: bool(seen["pins"]) and settled(seen), "an exact pin")
        style = visitor.page.evaluate(
            "() => { const s = getComputedStyle(document.querySelector('.stApp'));"
            " return [s.fontFamily, getComputedStyle(document.documentElement).fontSize]; }"
        )
        assert style[0].startswith("Inter")
        assert style[1] == "15px"
        assert state["options"]["block"] == "attention"  # of net.py
        assert not visitor.complaints, visitor.complaints
        visitor.close()


def test_a_port_that_is_taken_is_told_in_one_sentence(installed, tmp_path):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = installed.run(["nlviz", "app", "--port", str(port)], tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"Port {port} is taken; choose another with --port.\n"


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_spoilt_weights_are_told_with_what_mends_them(installed, tmp_path, harm):
    file = installed.packages / "nlviz/data/models/weights/nl-lite0-dot.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1]) if harm == "damaged" else file.unlink()
        script = "import nlviz; nlviz.load('nl-lite0-dot', device='cpu')"
        done = installed.run(["python", "-c", script], tmp_path)
    finally:
        file.write_bytes(whole)
    told = done.stderr.splitlines()[-1]
    assert file.name in told
    assert harm in told
    assert told.endswith("; install nlviz again.")


def test_without_the_notebook_extra_show_says_what_is_missing(installed, tmp_path):
    script = """
import sys
sys.modules["anywidget"] = None
from tests_make import analysis
analysis().show()
"""
    shutil.copy(ROOT / "tests" / "support" / "make.py", tmp_path / "tests_make.py")
    done = installed.run(["python", "-c", script], tmp_path)
    assert "anywidget" in done.stderr.splitlines()[-1]
    assert "install" in done.stderr.splitlines()[-1]


def test_it_can_be_installed_to_be_edited_without_our_tests_in_the_way(clone, tmp_path_factory):
    from tests.support.wheel import Environment

    environment = Environment.make(tmp_path_factory.mktemp("editable"))
    source = shutil.copytree(clone, tmp_path_factory.mktemp("edited") / "nlviz-clone")
    (source / "tests").mkdir()
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    environment.pip("install", *flags, "-e", str(source), folder=environment.folder)
    script = (
        "import nlviz, importlib.util as u; from nlviz.resources import HOME; print(HOME);"
        "print([n for n in ('training', 'tests', 'app', 'benchmarks') if u.find_spec(n)])"
    )
    done = environment.run(["python", "-c", script], environment.folder)
    assert done.stdout.splitlines() == [str(Path(source)), "[]"], done.stderr
