"""One visit: the last good analysis on screen, its pins, the options; one for each visitor."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app import pages
from nlviz.app.choice import Asked, Choice, ClipPart, GivenWeights, Material, OwnWeights
from nlviz.app.shown import Shown
from nlviz.media import MediaInfo
from nlviz.provenance import checksum
from nlviz.query import origin
from nlviz.viewer.acts import acted
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins

_KEY = "nlviz"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A clip that only the visitor has: an address or a session file was made of it.

    Args:
        name: of its file.
        digest: of the file as in ``Material.digest``, or of the sampled frames as in provenance.
        part: the frames that were taken.
        pins: the id of the material whose pins it gets.
    """

    name: str
    digest: str
    part: ClipPart
    pins: str

    def is_shown(self, shown: Shown) -> bool:
        """Whether this clip is on screen."""
        if self.digest.startswith("sha256:"):
            return self.digest == checksum(shown.analysis.clip)
        return self.digest == shown.choice.material.digest


@dataclass(frozen=True, slots=True)
class Opening:
    """A file that was given and is still to be looked through; ``wanted`` as the awaited clip."""

    material: Material
    wanted: bool


@dataclass(slots=True, eq=False, weakref_slot=True)
class Visit:
    """One visitor's state; it changes, and only here.

    ``material`` is None while the clip of an address is awaited. ``problem`` is the sentence on
    what ``failed``, the last choice, did wrong; the analysis in ``shown`` stays as it is.
    ``remarks`` are sentences on what an address or a session file asked for and did not get;
    they go when something else is shown. ``parts`` has the part of each clip by its material's id,
    ``layers`` the layer whose similarity is asked for of each network,
    and ``usual_frames`` how many frames that has where the visitor has not chosen. ``coming``
    is the choice that is being worked out beside what is shown. ``restoring`` is true until what it
    asked for is shown. ``given_weights`` is the checkpoint that is being read, and ``own`` those
    that were: what the menu calls them → the network that each is for, and what tells it from
    others. ``naming`` is the network by name that is being loaded, and ``named`` those that were.
    ``asked`` is what vision-language models were asked last, by their names.
    ``agreed`` are choices that the visitor wants though they take long. ``drawn`` says
    that the viewer was sent before.
    """

    material: Material | None
    options: Options = field(default_factory=Options)
    shown: Shown | None = None
    problem: str | None = None
    failed: Choice | None = None
    notice: str | None = None
    remarks: tuple[str, ...] = ()
    restoring: bool = False
    coming: Choice | None = None
    awaited: Awaited | None = None
    given: Material | None = None
    opening: Opening | None = None
    parts: dict[str, ClipPart] = field(default_factory=dict)
    usual_frames: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    infos: dict[str, MediaInfo] = field(default_factory=dict)
    timelines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    given_weights: GivenWeights | None = None
    own: dict[str, tuple[str, OwnWeights]] = field(default_factory=dict)
    naming: str | None = None
    named: tuple[str, ...] = ()
    asked: dict[str, Asked] = field(default_factory=dict)
    agreed: set[Choice] = field(default_factory=set)
    drawn: bool = False
    _pins: dict[str, Pins] = field(default_factory=dict)

    @property
    def pins(self) -> Pins:
        """The pins of the material on screen."""
        return self.kept_pins(self.shown.choice.material.id) if self.shown else Pins()

    def show(self, shown: Shown) -> None:
        """Show a good analysis; pins stay where their points still exist."""
        if not self.restoring:
            self.remarks = ()
        self.shown, self.problem, self.failed, self.notice = shown, None, None, None
        self.coming = None
        material, analysis = shown.choice.material, shown.analysis
        self._welcome(shown)
        default = Pins().add(material.at) if material.at else Pins()
        before = self._pins.get(material.id, default)
        if self.restoring:
            tokens = {name for each in analysis.affinities.values() for name in each.tokens}
            before, problems = before.fitting(analysis.view, sorted(tokens))
            of_pins = problems if material.id in self._pins else ()
            self.remarks += (*of_pins, *self._unknown_block(analysis))
            self.restoring = False
        kept = self._pins[material.id] = before.kept(analysis.view)
        lost = len(before.shown) - len(kept.shown)
        if lost:
            what = "One pin was" if lost == 1 else f"{lost} pins were"
            self.notice = f"{what} on a frame that is not sampled now."

    def _welcome(self, shown: Shown) -> None:
        """The awaited clip gets its pins; a remark says if another was given."""
        awaited, material = self.awaited, shown.choice.material
        if awaited is None or material.session is not None:
            return
        if awaited.is_shown(shown):
            self._pins[material.id] = self.kept_pins(awaited.pins)
            self.awaited = self.given = None
        elif self.given == material:
            self.remarks += (
                f"'{material.title}' is not the clip that was asked for, '{awaited.name}', or "
                "shows other frames of it; so the pins were left out.",
            )
            self.given = None

    def _unknown_block(self, analysis: Analysis) -> tuple[str, ...]:
        block = self.options.block
        if block is None or block in analysis.blocks:
            return ()
        if origin(block)[0] in analysis.blocks:
            return (f"'{block:.40}' is a baseline; make it again under Compare, Baselines.",)
        blocks = ", ".join(analysis.blocks)
        return (
            f"{analysis.network} has no block '{block:.40}'; it has {blocks}, and "
            f"{analysis.default_block} is shown.",
        )

    def amend(self, shown: Shown) -> None:
        """The analysis on screen with more known of it; for this visitor alone."""
        self.shown = shown

    def keep(self, key: str, pins: Pins) -> None:
        """Pins for a material that is not on screen yet."""
        self._pins[key] = pins

    def kept_pins(self, key: str) -> Pins:
        """What was kept under that key."""
        return self._pins.get(key, Pins())

    def choose_material(self, material: Material) -> None:
        """Show this next; an old problem is forgotten."""
        self.material, self.problem, self.failed = material, None, None
        self.opening = None

    def give(self, material: Material) -> None:
        """Take a material as the awaited clip."""
        self.choose_material(material)
        if self.awaited is not None:
            self.given, self.remarks = material, ()
            self.parts[material.id] = self.awaited.part

    def fail(self, problem: str, choice: Choice | None = None) -> None:
        """Keep the sentence on what went wrong; nothing else changes."""
        self.problem, self.failed, self.coming = problem, choice, None

    def act(self, said: object) -> None:
        """What the visitor did with the pins."""
        if self.shown and said is not None:
            self.notice = None
            material = self.shown.choice.material
            self._pins[material.id] = acted(self.pins, said, self.shown.analysis.view)

    def choose(self, said: object) -> None:
        """What the visitor chose in the viewer's toolbar."""
        self.options = self.options.changed(said)


def is_new() -> bool:
    """Whether this visitor has just come."""
    return _KEY not in st.session_state


def current(first: Material) -> Visit:
    """This visitor's visit; a new one begins with ``first``."""
    if is_new():
        st.session_state[_KEY] = Visit(first)
        pages.note(st.session_state[_KEY])
    visit: Visit = st.session_state[_KEY]
    return visit


def visiting() -> Visit:
    """The visit that has begun: for what the tabs' controls do."""
    visit: Visit = st.session_state[_KEY]
    return visit
