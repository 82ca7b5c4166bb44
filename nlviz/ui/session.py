"""What one visitor has before them: the last good analysis, its pins, the options."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from nlviz.media import MediaInfo
from nlviz.ui.material import Choice, Material, Part
from nlviz.ui.messages import Options, acted
from nlviz.ui.pins import Pins
from nlviz.ui.work import Recent, Shown, of_bundled

_KEY = "nlviz"


@dataclass(slots=True)
class Session:
    """One visitor's state; it changes, and only here.

    ``problem`` is the sentence on what ``failed``, the last choice, did wrong; the analysis in
    ``shown`` stays as it is.
    """

    material: Material
    options: Options = field(default_factory=Options)
    shown: Shown | None = None
    problem: str | None = None
    failed: Choice | None = None
    notice: str | None = None
    recent: Recent = field(default_factory=Recent)
    parts: dict[str, Part] = field(default_factory=dict)
    infos: dict[str, MediaInfo] = field(default_factory=dict)
    timelines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _pins: dict[str, Pins] = field(default_factory=dict)

    @property
    def pins(self) -> Pins:
        """The pins of the material on screen."""
        return self._pins.get(self.shown.choice.material.id, Pins()) if self.shown else Pins()

    def show(self, shown: Shown) -> None:
        """Put a good analysis on screen; pins stay where their points still exist."""
        self.shown, self.problem, self.failed, self.notice = shown, None, None, None
        self.kept(shown.choice.material).put(shown)
        material, view = shown.choice.material, shown.analysis.view
        if material.id not in self._pins:
            self._pins[material.id] = Pins().add(material.at) if material.at else Pins()
        before = self._pins[material.id]
        kept = self._pins[material.id] = before.kept(view)
        lost = len(before.shown) - len(kept.shown)
        if lost:
            what = "One pin was" if lost == 1 else f"{lost} pins were"
            self.notice = f"{what} on a frame that is not among these."

    def kept(self, material: Material) -> Recent:
        """Where analyses of a material are kept: an upload's are this visitor's alone."""
        return self.recent if material.data is not None else of_bundled()

    def choose_material(self, material: Material) -> None:
        """What is to be looked at next; an old problem is forgotten."""
        self.material, self.problem, self.failed = material, None, None

    def fail(self, problem: str, choice: Choice | None = None) -> None:
        """Say what went wrong; nothing else is lost."""
        self.problem, self.failed = problem, choice

    def act(self, said: object) -> None:
        """What the visitor did with the pins."""
        if self.shown and said is not None:
            self.notice = None
            material = self.shown.choice.material
            self._pins[material.id] = acted(self.pins, said, self.shown.analysis.view)

    def choose(self, said: object) -> None:
        """What the visitor chose in the viewer's toolbar."""
        self.options = self.options.changed(said)


def current(first: Material) -> Session:
    """This visitor's session; a new one begins with ``first``."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Session(first)
    session: Session = st.session_state[_KEY]
    return session


def visiting() -> Session:
    """The session of a visitor who already has one: for what the tabs' controls do."""
    session: Session = st.session_state[_KEY]
    return session
