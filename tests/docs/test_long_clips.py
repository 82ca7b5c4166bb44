"""What the page on long clips says, run as it is there on a clip that is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nlviz.cli import main
from nlviz.resources import CLIPS
from tests.docs.test_readme import commands

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "long-clips.md").read_text(encoding="utf-8")
(TYPED,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
(LIBRARY,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def _short(text: str) -> str:
    """The same about the 24 and more frames of a bundled clip."""
    assert "9000" in text
    return text.replace("9000", "12").replace("960", "30").replace("540", "20")


@pytest.mark.slow
def test_the_lines_of_the_page_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("long.mp4").write_bytes((CLIPS / "ball.mp4").read_bytes())
    Path("masks").mkdir()
    for line in commands(_short(TYPED).replace("--stride 30", "--stride 4")):
        assert main([*line, "--device", "cpu", "--size", "64", "--windows-in", "windows"]) == 0
    assert Path("long-film.mp4").stat().st_size > 1000
    assert len(list(Path("masks").iterdir())) > 4
    names: dict[str, object] = {}
    exec("import nlviz\n" + _short(LIBRARY).replace("stride=30", "stride=4, size=64"), names)
    assert len(names["links"]) == 20
