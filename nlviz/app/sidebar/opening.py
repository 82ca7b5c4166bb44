"""Open a material: it is looked through in the background before anything else is done with it."""

from __future__ import annotations

from functools import partial

from streamlit.delta_generator import DeltaGenerator

from nlviz.app import reading
from nlviz.app.choice import Material
from nlviz.app.loading import wait
from nlviz.app.tabs import jobs
from nlviz.app.tabs.progress import tell
from nlviz.app.visit import Visit

_KEY = "opening"


def go_on(visit: Visit, place: DeltaGenerator) -> None:
    """Show the file that was given once it is known; until then what is on screen stays."""
    given = visit.opening
    if given is None or not is_open(visit, given.material, place, given=True):
        return
    visit.opening = None
    if given.wanted or visit.material is None:
        visit.give(given.material)
    else:
        visit.choose_material(given.material)


def is_open(visit: Visit, material: Material, place: DeltaGenerator, *, given: bool) -> bool:
    """Whether a material is known; while it is not, the page says how far that is or why not.

    ``given`` says that it is a file that can be let go: whoever stops it does not want it.
    """
    if material.id in visit.infos:
        return True
    found = reading.opened(material)
    if found is None:
        here = jobs.current()
        job = here.ask(material.id, _KEY, partial(reading.look, material), urgent=True)
        wait(job, place, blocks=visit.shown is None)
        if not job.done and not (given and job.stopped):
            tell(job, material.id, _KEY, name=_KEY, scope="app")
            return False
        here.forget(material.id, _KEY)
        if job.result is None:
            visit.opening = None
            if not job.stopped:
                visit.fail(job.problem or "This could not be read; the server's log says why.")
            return False
        found = job.result
    visit.infos[material.id] = found.reel.info
    visit.timelines[material.id] = found.pictures
    return True
