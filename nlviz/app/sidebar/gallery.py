"""The gallery: samples as pictures to click."""

from __future__ import annotations

import streamlit as st

from nlviz.app.choice import Material, offered
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.sidebar.timeline import thumbnail
from nlviz.app.visit import Visit
from nlviz.media import read

_TALL = 90


def show(visit: Visit) -> None:
    """Two tiles a row; the chosen one is framed."""
    st.markdown("##### Gallery")
    with st.container(key="gallery", horizontal=True, gap="xsmall"):
        for material in offered():
            _tile(material, visit)


def _tile(material: Material, visit: Visit) -> None:
    chosen = visit.material is not None and material.id == visit.material.id
    with st.container(key=f"tile-{'on' if chosen else 'off'}-{material.id}", gap=None):
        st.html(f'<img src="{_picture(material)}" alt="">')
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


def _picture(material: Material) -> str:
    return _thumbnail(material.path, material.at.frame if material.at else 0)


@st.cache_data(show_spinner=False)
def _thumbnail(path: str, frame: int) -> str:
    clip = read(path, frames=1, start=frame)
    return thumbnail(clip.frames[0], _TALL)
