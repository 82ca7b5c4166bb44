"""The sidebar: which clip or image, which part of it, which network."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.errors import MediaError
from nlviz.media import MediaInfo, probe
from nlviz.ui import gallery, networks, timeline
from nlviz.ui.material import UPLOADS, Choice, Material, Part, bundled, uploaded
from nlviz.ui.session import Session

MOST_FRAMES = 128  # what the longest network takes; the size of the input limits them further
_UPLOAD = "upload"


def choose(session: Session) -> Choice | None:
    """What the visitor has chosen; None where it cannot be read, and the session says why."""
    st.logo(str(Path(__file__).with_name("logo.svg")), size="large")
    gallery.show(session)
    st.file_uploader(
        "Your own video, photo or GIF",
        type=list(UPLOADS),
        key=_UPLOAD,
        on_change=_take_upload,
        args=(session,),
    )
    try:
        part = _part(session)
    except MediaError as error:
        session.fail(str(error))
        return None
    return networks.choose(session, session.material, part)


def _take_upload(session: Session) -> None:
    """A file that cannot be read changes nothing but the sentence above the stage."""
    file: UploadedFile | None = st.session_state[_UPLOAD]
    if file is None:
        back = bundled()[0] if session.material.data is not None else session.material
        session.choose_material(back)
        return
    material = uploaded(file.name, file.getvalue())
    try:
        _info(session, material)
    except MediaError as error:
        session.fail(str(error))
    else:
        session.choose_material(material)


def _part(session: Session) -> Part:
    material = session.material
    info = _info(session, material)
    if info.is_image:
        return Part(frames=1)
    with st.container(key="part", gap="xsmall"):
        st.markdown("##### Part of the clip")
        place = st.empty()
        part = session.parts[material.id] = _asked(session, material, info)
        if material.id not in session.timelines:
            session.timelines[material.id] = timeline.thumbnails(material)
        place.html(timeline.markup(info, part, session.timelines[material.id]))
    return part


def _info(session: Session, material: Material) -> MediaInfo:
    if material.id not in session.infos:
        name = material.path.rpartition("/")[2]
        session.infos[material.id] = probe(material.source, name=name)
    return session.infos[material.id]


def _asked(session: Session, material: Material, info: MediaInfo) -> Part:
    """The three controls; each clip has its own and starts with eight frames, evenly spread."""
    before = session.parts.get(material.id, Part())
    start = st.slider("First frame", 0, info.total - 1, before.start, key=f"start-{material.id}")
    left, right = st.columns(2)
    most = min(MOST_FRAMES, info.total)
    frames = left.number_input(
        "Frames", 1, most, min(before.frames, most), key=f"frames-{material.id}"
    )
    stride = right.number_input(
        "Every n-th",
        1,
        info.total,
        before.stride,
        placeholder="even",
        key=f"stride-{material.id}",
        help="Take every n-th source frame. Empty spreads the frames evenly to the end.",
    )
    return Part(start, frames, stride)
