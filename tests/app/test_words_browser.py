"""A vision-language model in the app: its spec is typed, it is asked, a word hovered and pinned."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.app_page import ROOT, AppPage
from tests.support.server import free_port, serving
from tests.support.vision import transformers  # noqa: F401 — or this test is skipped
from tools import tiny_vlm

pytestmark = pytest.mark.browser

# The server's process declares TorchVision's operators too, where the tests' has to.
_SERVE = "import tests.support.vision; from streamlit.web.cli import main; main()"


def test_a_spec_is_typed_and_loaded_and_a_word_hovered_and_pinned(
    tmp_path: Path, open_page: Callable[..., AppPage]
) -> None:
    spec, port = f"hf:{tmp_path / 'tiny'}", free_port()
    tiny_vlm.save("InternVL", spec.removeprefix("hf:"))
    command = [sys.executable, "-c", _SERVE, "run", "app.py", "--server.port", str(port)]
    own = {**os.environ, "NLVIZ_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    with serving(command, ROOT, port, tmp_path / "log.txt", own) as address:
        visit = open_page(f"{address}/?clip=ball.mp4&frames=2&size=96&pin=none")
        visit.ready(pins=0)
        page = visit.page
        field = page.get_by_role("combobox", name="Another network by name")
        field.fill(spec)
        field.press("Enter")
        page.get_by_role("textbox", name="Question").fill("What moves?")
        page.get_by_role("textbox", name="Answer").fill("The dog runs.")
        page.get_by_role("button", name="Look at its words").click()
        chips = page.locator(".nlviz-tokens").get_by_role("button")
        expect(chips).to_have_text(["The", "dog", "runs", ".", "What", "moves", "?"])
        chips.nth(1).hover()
        hovered = visit.until(lambda s: bool(s["place"]), "a hovered word")
        assert hovered["place"]["token"] == "dog"
        assert len(hovered["links"]) == hovered["options"]["k"]
        assert (visit.pixels("heat")[..., 3] > 0).any()
        chips.nth(1).click()
        assert visit.ready()["pins"][0]["token"] == "dog"
        command_line = page.locator("code").filter(has_text="nlviz words").first
        expect(command_line).to_contain_text(f"--model {spec}")
        page.get_by_role("textbox", name="Answer").fill(" ")
        page.get_by_role("button", name="Look at its words").click()
        said = "The answer has no words; give the text that is asked about."
        expect(page.get_by_text(said)).to_be_visible()
        assert visit.ready()["pins"][0]["token"] == "dog"
    assert "Traceback" not in (tmp_path / "log.txt").read_text(errors="replace")
