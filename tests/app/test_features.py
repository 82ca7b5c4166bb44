"""The Features tab and the field for a layer: what they show is what the library says."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz.app import analysing
from nlviz.app.address import query_string, reading
from nlviz.app.choice import Choice, ClipPart, Material, bundled
from nlviz.app.tabs import commands, features
from nlviz.provenance import Provenance
from nlviz.viewer.options import Options
from tests.support import make, tiny_vit
from tests.support.code_blocks import code_of

CLIP = Material("id", "A title", "clip.mp4")


def the_tab() -> None:
    """A script of the app: the tab over made-up θ and φ."""
    from nlviz import Point
    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.tabs import features
    from nlviz.app.tabs.context import TabContext
    from nlviz.viewer.messages import links_of
    from nlviz.viewer.options import Options
    from nlviz.viewer.pins import Pins
    from nlviz.viewer.staged import packed
    from tests.support import make

    analysis, options = make.analysis(), Options(block="coarse", k=3)
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 320)
    pins = Pins().add(Point(0, 20.0, 20.0))
    links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
    features.show(TabContext(Shown(choice, analysis, *packed(analysis)), links, options))


def test_the_tab_tells_what_the_components_explain_and_how_to_make_them_again():
    page = AppTest.from_function(the_tab, default_timeout=60).run()
    page.selectbox(key="features-of-input-theta-phi-output").set_value("theta").run()
    end = time.monotonic() + 60
    while not code_of(page):
        assert time.monotonic() < end
        time.sleep(0.05)
        page.run()
    assert not page.exception
    told = " ".join(each.value for each in page.caption)
    found = nlviz.pca(make.analysis(), "coarse", of="theta")
    assert f"{found.explained[0]:.1%}" in told.replace("\\", "")
    assert "not a weight of the network" in told
    (line,) = code_of(page)
    assert "nlviz pca" in line
    assert "--block coarse --of theta" in line
    hold = next(each for each in page.button if each.label == "Hold these colours")
    hold.click().run()
    assert page.session_state["nlviz-basis"].of == "θ of coarse"
    while not (lines := code_of(page)):
        assert time.monotonic() < end
        time.sleep(0.05)
        page.run()
    assert "--basis" in lines[0]
    assert lines[0].partition("--basis ")[2].split()[0].endswith("-pca.safetensors")


def the_tab_of_a_derived_block() -> None:
    """The same over a block that was worked out."""
    from dataclasses import replace

    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.tabs import features
    from nlviz.app.tabs.context import TabContext
    from nlviz.viewer.options import Options
    from nlviz.viewer.staged import packed
    from tests.support import make

    whole = make.analysis()
    fine = whole.affinity("fine")
    affinities = {"fine": fine, "rollout (derived)": replace(fine, function="derived")}
    analysis = replace(whole, affinities=affinities, fidelity=dict.fromkeys(affinities))
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 320)
    shown = Shown(choice, analysis, *packed(analysis))
    features.show(TabContext(shown, {}, Options(block="rollout (derived)")))


def test_a_derived_block_has_no_features_and_the_tab_says_so():
    page = AppTest.from_function(the_tab_of_a_derived_block, default_timeout=60).run()
    assert not page.exception
    assert "A derived block has rows and no features" in page.info[0].value


def the_tab_in_a_visit() -> None:
    """The same below a viewer that shows what the visitor looks at."""
    from nlviz import Point
    from nlviz.app import visit
    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.tabs import features
    from nlviz.app.tabs.context import TabContext
    from nlviz.viewer.messages import links_of
    from nlviz.viewer.options import Options
    from nlviz.viewer.pins import Pins
    from nlviz.viewer.staged import packed
    from tests.support import make

    analysis, options = make.analysis(), Options(block="coarse", k=3)
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 320)
    here = visit.current(choice.material)
    if here.shown is None:
        here.amend(Shown(choice, analysis, *packed(analysis)))
    pins = Pins().add(Point(0, 20.0, 20.0))
    links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
    features.show(TabContext(here.shown, links, options))


def test_components_are_laid_over_the_viewer_and_taken_away():
    page = AppTest.from_function(the_tab_in_a_visit, default_timeout=60).run()
    page.selectbox(key="features-of-input-theta-phi-output").set_value("theta").run()
    end = time.monotonic() + 60
    while not page.toggle:
        assert time.monotonic() < end
        time.sleep(0.05)
        page.run()
    visit = page.session_state["nlviz"]
    assert visit.shown.layer is None
    page.toggle(key="features-over").set_value(True).run()
    assert not page.exception
    found = nlviz.pca(make.analysis(), "coarse", of="theta")
    np.testing.assert_array_equal(visit.shown.layer.colours, found.colours)
    laid = visit.shown.layer
    page.run()
    assert visit.shown.layer is laid, "it is not sent anew"
    page.toggle(key="features-over").set_value(False).run()
    assert visit.shown.layer is None


def test_its_files_are_those_of_the_library():
    found = nlviz.pca(make.analysis(), "coarse", of="theta")
    made = Provenance.of(found.analysis)
    assert features.content(found, made, "png").startswith(b"\x89PNG")
    with np.load(io.BytesIO(features.content(found, made, "npz"))) as arrays:
        np.testing.assert_array_equal(arrays["maps"], found.maps)
    assert features.content(found, made, "safetensors") == found.basis.content()


def test_a_layer_is_written_into_the_address_and_read_from_it():
    choice = Choice(bundled()[0], ClipPart(), "nl-lite0", 320, layer="stage3.1")
    address = query_string.Address(clip="ball.mp4", model="nl-lite0", layer=choice.layer)
    text = query_string.write(address)
    assert "features=stage3.1" in text
    read, problems = reading.read({"features": ["stage3.1"], "clip": ["ball.mp4"]})
    assert (read.layer, problems) == ("stage3.1", ())
    assert len(reading.read({"features": ["x" * 9999]})[0].layer) == 200


def test_a_layer_is_asked_again_by_its_option():
    choice = Choice(CLIP, ClipPart(), "nl-lite0", 320, layer="stage3")
    options = Options(block="stage3 (similarity)")
    at = [nlviz.Point(0, 1, 2)]
    assert "--features stage3" in commands.command("links", choice, at, options)
    assert "features=['stage3']" in commands.python(choice, at, options)


def test_a_layer_without_places_is_told_and_not_shown():
    choice = Choice(CLIP, ClipPart(), "tiny", 32, layer="head")
    with pytest.raises(nlviz.CaptureError, match=r"^Layer 'head'"):
        analysing._run(choice, make.clip(1), tiny_vit.network(), lambda *_: None)
