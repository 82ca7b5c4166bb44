"""What stands on both sides, in Python and in JavaScript, is the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from nlviz.heat.colormap import PALETTE, Colours, coloured
from nlviz.viewer import bundle
from tools import protocol

U = np.linspace(0, 1, 256)
SIGNED = np.linspace(-1, 1, 256)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with the viewer's colours."""
    page = browser.new_page()
    page.set_content(
        f'<script type="module">{bundle.join(bundle.JS / "draw" / "colour.js")}'
        "globalThis.colour = { PIN_COLOURS, COLOUR_MAPS, heatPixels };</script>"
    )
    page.wait_for_function("() => globalThis.colour !== undefined")
    yield page
    page.close()


def test_the_declarations_are_those_of_the_python_types() -> None:
    committed = protocol.FILE.read_text(encoding="utf-8")
    assert committed == protocol.declarations(), "run `python -m tools.protocol`"


def test_pins_take_the_same_colours(page: Page) -> None:
    assert page.evaluate("() => colour.PIN_COLOURS") == list(PALETTE)


def test_the_colour_maps_have_the_same_names(page: Page) -> None:
    assert page.evaluate("() => Object.keys(colour.COLOUR_MAPS)") == list(get_args(Colours))


def pixels(page: Page, name: str, signed: bool, opacity: float) -> NDArray[np.uint8]:
    packed: list[int] = page.evaluate(
        "given => Array.from(colour.heatPixels(...given))", [name, signed, opacity]
    )
    return np.array(packed, np.uint32).view(np.uint8).reshape(-1, 4)


@pytest.mark.parametrize("name", get_args(Colours))
@pytest.mark.parametrize("signed", [False, True])
def test_the_colour_maps_have_the_same_numbers(page: Page, name: Any, signed: bool) -> None:
    expected = 255 * coloured(SIGNED if signed else U, signed, 0.7, name)
    assert np.abs(pixels(page, name, signed, 0.7) - expected).max() <= 0.51
