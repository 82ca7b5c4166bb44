"""The examples of docs/examples, run as they are: ``python -m tools.ladder [PAGE …]``.

That draws the pictures that the pages show, and writes what their code prints into them.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from nlviz.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(
    sorted(
        (ROOT / "docs" / "examples").glob("[0-9]*.md"),
        key=lambda page: int(page.name.partition("-")[0]),
    )
)
PICTURES = ROOT / "docs" / "images" / "examples"

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"!\[[^\]]*\]\(\.\./images/examples/([^)/]+)\)")
_FILE = re.compile(r"# ([\w.]+\.py)\n")  # the first line of a file that the reader writes
_NAMED = re.compile(r"hf:([\w-]+/[\w-]+)")

# What stands in for a model of the hub, which no test reaches: a kind of tests.support.named_models
# and its own processor, as its repository has it.
TINY = {"facebook/dinov3-vits16-pretrain-lvd1689m": "dinov3"}
PROCESSORS = {
    "facebook/dinov3-vits16-pretrain-lvd1689m": {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 224, "width": 224},
    }
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code on a page; ``printed`` is the block ``text`` after it, if there is one."""

    language: str
    code: str
    printed: str | None


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that are run, in order: ``python`` and ``sh``."""
    fenced = [(m[1], m[2]) for m in _FENCED.finditer(page)]
    for (language, code), (after, printed) in zip(fenced, [*fenced[1:], ("", "")], strict=True):
        if language in ("python", "sh"):
            yield Block(language, code, printed if after == "text" else None)


def shown(page: str) -> tuple[str, ...]:
    """The pictures of a page, which its code has to draw."""
    return tuple(_SHOWN.findall(page))


def run(page: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run a page's blocks in a folder as a clone's root, each with what it printed."""
    (folder / "assets").symlink_to(ROOT / "assets")
    text = page.read_text(encoding="utf-8")
    _fill_hub(text, folder)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(text):
        out = io.StringIO()
        with chdir(folder), _importing(folder), _hub(folder), redirect_stdout(out):
            if block.language == "sh":
                _commands(block.code)
            elif file := _FILE.match(block.code):
                Path(file[1]).write_text(block.code, encoding="utf-8")
            else:
                exec(compile(block.code, page.name, "exec"), names)
        yield block, out.getvalue()


@contextmanager
def _hub(folder: Path) -> Iterator[None]:
    """A cache of the Hugging Face hub that holds tiny models under the names that pages use."""
    before = os.environ.get("HF_HUB_CACHE")
    os.environ["HF_HUB_CACHE"] = str(folder / "hub")
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_CACHE"]
        else:
            os.environ["HF_HUB_CACHE"] = before


def _fill_hub(text: str, folder: Path) -> None:
    for name in sorted(set(_NAMED.findall(text)) & TINY.keys()):
        from tests.support.named_models import save  # brings transformers

        commit = "tiny"
        at = folder / "hub" / f"models--{name.replace('/', '--')}"
        save(TINY[name], at / "snapshots" / commit, PROCESSORS[name])
        (at / "refs").mkdir()
        (at / "refs" / "main").write_text(commit)


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """As in a Python that was started in the folder; its files are forgotten afterwards."""
    sys.path.insert(0, str(folder))
    known = set(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]


def _commands(code: str) -> None:
    for line in code.replace("\\\n", " ").splitlines():
        command, *arguments = shlex.split(line, comments=True)
        if command != "nlviz":
            raise ValueError(f"An example runs {line!r}; only nlviz is run.")
        if main(arguments):
            raise RuntimeError(f"{line!r} failed.")


def draw(page: Path) -> None:
    """Run a page, and bring its pictures and what it prints up to date."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for block, printed in run(page, Path(folder)):
            if block.printed is not None:
                old, new = (f"{block.code}```\n\n```text\n{t}```" for t in (block.printed, printed))
                text = text.replace(old, new)
        for name in shown(text):
            shutil.copy(Path(folder) / name, PICTURES / name)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    asked = sys.argv[1:]
    for example in PAGES:
        if not asked or any(example.name.startswith(word) for word in asked):
            draw(example)
