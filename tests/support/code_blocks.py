"""What the page's code blocks say, for AppTest, which knows no components."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from nlviz.app.tabs.code_block import NAME


def code_of(page: AppTest) -> list[str]:
    """The text of each code block, in order."""
    mounts = (each.proto for each in page.get("bidi_component"))
    return [json.loads(each.json)[0] for each in mounts if each.component_name == NAME]
