"""A checkpoint that a visitor gives: read in the background, kept for a while, theirs alone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nlviz.app import running, startup, torch_loading, uploads
from nlviz.app.choice import GivenWeights, OwnWeights
from nlviz.app.guard import safely
from nlviz.app.markdown import plain
from nlviz.app.reading import a_turn
from nlviz.app.tabs import jobs
from nlviz.app.tabs.progress import AT_ONCE, tell
from nlviz.app.visit import Visit
from nlviz.display import one_line
from nlviz.errors import MediaError, NetworkError
from nlviz.models import zoo
from nlviz.progress import Progress

ENDINGS = ("pkl", "pyth", "pth", "pt", "safetensors")
_MOST_MB = 1000  # ResNet-101 with ten blocks and its optimizer
_LONGEST = 60  # signs of a file's name
_TURNS = "nlviz-own-weights"  # how many were given: each time the control is a new one, and empty


def offer(visit: Visit, model: str) -> None:
    """Take a checkpoint for a published network; it is nobody else's."""
    if startup.is_demo():
        return
    turn = st.session_state.get(_TURNS, 0)
    key = f"give-{model}-{turn}" if turn else f"give-{model}"
    st.file_uploader(
        "Your own checkpoint of it",
        type=list(ENDINGS),
        key=key,
        on_change=safely(_take),
        args=(visit, model, key),
        max_upload_size=_MOST_MB,
        help=f"The network {plain(model)} with weights of yours, in any format that it is "
        "published in. They are for you alone and gone when you leave; nlviz runs nothing that is "
        "in the file.",
    )


def _take(visit: Visit, model: str, key: str) -> None:
    file: UploadedFile | None = st.session_state[key]
    if file is None or uploads.is_taken(file):
        return
    name = one_line(Path(file.name).name, _LONGEST)
    st.session_state[_TURNS] = st.session_state.get(_TURNS, 0) + 1
    try:
        visit.given_weights = GivenWeights(model, name, uploads.admit(file), file.file_id)
    except MediaError as error:
        visit.fail(str(error))
    else:
        visit.problem = visit.failed = None


def read(visit: Visit) -> str | None:
    """Go on with what was given; what the menu calls it, once it has been read."""
    given = visit.given_weights
    if given is None:
        return None
    here, about = jobs.current(), ("weights", given.model, given.file)
    job = here.ask(about, id(given), lambda progress: _read(given, progress), urgent=True)
    job.wait(AT_ONCE)
    if job.runs:
        tell(job, about, id(given), name="weights", scope="app")
        return None
    here.forget(about, id(given))
    visit.given_weights = None
    uploads.let_go(given.file_id)  # Streamlit would keep it for as long as the visitor stays
    if job.result is None:
        if not job.stopped:
            visit.fail(job.problem or "This could not be read; the server's log says why.")
        return None
    weights: OwnWeights = job.result
    name = weights.of(given.model)
    visit.own[name] = given.model, weights
    return name


def _read(given: GivenWeights, progress: Progress) -> OwnWeights:
    progress(0.1, f"reading {given.file}")
    with a_turn(progress) as told, TemporaryDirectory() as folder:
        name = given.file if given.file.strip(".") else "checkpoint"
        file = Path(folder, name)
        file.symlink_to(given.held.path)
        torch_loading.wait(told)
        told(0.4, f"putting {given.file} into {given.model}")
        made = zoo.load(given.model, weights=file)
    weights = OwnWeights(given.file, str(made.weights))
    if not running.keep(given.model, weights, made):
        raise NetworkError(
            f"'{given.file}' is larger than all that this server keeps for its visitors; whoever "
            "runs it can start it with a larger --keep."
        )
    return weights
