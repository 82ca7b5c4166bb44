"""The gallery: samples as pictures to click.

Its tiles stand at once, and their pictures come last in a server's first run, for each has to be
decoded once and the visitor waits for something else.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app.choice import Material, offered
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.sidebar.timeline import thumbnail
from nlviz.app.visit import Visit
from nlviz.media import read

_TALL = 90
_BLANK = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"
_pictures: dict[str, str] = {}  # a material's id → its picture, as a data address


def show(visit: Visit) -> Callable[[], None]:
    """Two tiles a row, the chosen one framed.

    What it returns draws the pictures not there yet, and the frame where the controls below the
    gallery have chosen something else meanwhile.
    """
    st.markdown("##### Gallery")
    with st.container(key="gallery", horizontal=True, gap="xsmall"):
        tiles = [(_tile(material, visit), material) for material in offered()]
    before = visit.material

    def draw_late() -> None:
        for place, material in tiles:
            missing = material.id not in _pictures
            if missing:
                _pictures[material.id] = _picture(material)
            if missing or _is_chosen(material, before) != _is_chosen(material, visit.material):
                place.html(_image(material, visit))

    return draw_late


def _tile(material: Material, visit: Visit) -> DeltaGenerator:
    with st.container(key=f"tile-{material.id}", gap=None):
        place = st.empty()
        place.html(_image(material, visit))
        # The button's area covers the picture (page.css), so that the whole tile is one target.
        st.button(
            plain(material.title),
            key=f"pick-{material.id}",
            type="tertiary",
            width="stretch",
            help=plain(material.about) or None,
            on_click=safely(visit.choose_material),
            args=(material,),
        )
    return place


def _is_chosen(material: Material, chosen: Material | None) -> bool:
    return chosen is not None and material.id == chosen.id


def _image(material: Material, visit: Visit) -> str:
    mark = ' class="chosen"' if _is_chosen(material, visit.material) else ""
    return f'<img{mark} src="{_pictures.get(material.id, _BLANK)}" alt="">'


def _picture(material: Material) -> str:
    clip = read(material.path, frames=1, start=material.at.frame if material.at else 0)
    return thumbnail(clip.frames[0], _TALL)
