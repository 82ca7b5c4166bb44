"""What docs/deployment.md has others copy is what the app does."""

from __future__ import annotations

from pathlib import Path

from nlviz.app.uploads import COOKIE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deployment.md"


def test_the_proxy_tells_browsers_apart_by_our_cookie():
    assert f"hash $cookie_{COOKIE} consistent;" in PAGE.read_text(encoding="utf-8")
