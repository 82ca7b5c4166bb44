"""What the page shows of a choice: its analysis, packed for the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from nlviz.analysis import Analysis
from nlviz.app.choice import Choice
from nlviz.app.running import network, one_at_a_time
from nlviz.errors import NetworkError, NlvizError
from nlviz.experiments.ablation import with_sizes
from nlviz.inference.forward import analyse
from nlviz.media import read
from nlviz.progress import Progress, silent
from nlviz.query import origin
from nlviz.viewer import blobs
from nlviz.viewer.staged import packed


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An analysis, the choice it answers, and its blobs: the clip's first, then each block's.

    ``constants`` and ``sizes`` are further blobs by the block's tag, made when first asked for.
    """

    choice: Choice
    analysis: Analysis
    blobs: tuple[bytes, ...]
    tags: tuple[str, ...]
    constants: dict[str, bytes] = field(default_factory=dict)
    sizes: Mapping[str, bytes] = field(default_factory=dict)

    def network(self) -> Any:
        """The network that was run; NetworkError where a session file is shown, which has none."""
        if self.choice.material.session is not None:
            raise NetworkError(
                f"'{self.choice.material.title}' is a saved session and holds no network to run; "
                "to run one, upload its clip again in the sidebar."
            )
        return network(self.choice.model)

    def work_out(self, block: str | None) -> None:
        """Make the blob of a block's constants, once."""
        name = block or self.analysis.blocks[-1]
        tag = self.tags[1 + self.analysis.blocks.index(name)]
        if tag not in self.constants:
            self.constants[tag] = blobs.constants_blob(self.analysis, name, tag)

    def measured(self) -> Shown:
        """With the size of what each place of each block adds; runs the network once more."""
        analysis, problem = self.analysis, None
        try:
            if not analysis.sizes:  # a session file may have them
                with one_at_a_time(silent):
                    analysis = with_sizes(analysis, self.network())
        except NlvizError as error:
            problem = str(error)
        named = zip(analysis.blocks, self.tags[1:], strict=True)
        sizes = {tag: blobs.sizes_blob(analysis, name, tag, problem) for name, tag in named}
        return replace(self, analysis=analysis, sizes=sizes)

    def beside(self, found: Analysis) -> Shown:
        """With a baseline as a block of its own, after the block that it is compared with."""
        (name,) = found.blocks
        if name in self.analysis.blocks:
            return self
        at = 1 + self.analysis.blocks.index(origin(name)[0])
        blob = blobs.block_blob(found, name, self.tags[0])
        tag = blobs.tag(blob)
        sizes = {tag: blobs.sizes_blob(found, name, tag)} if self.sizes else {}
        order = (*self.analysis.blocks[:at], name, *self.analysis.blocks[at:])
        affinities = {**self.analysis.affinities, **found.affinities}
        together = replace(
            self.analysis,
            affinities=MappingProxyType({block: affinities[block] for block in order}),
            fidelity=MappingProxyType({**self.analysis.fidelity, **found.fidelity}),
        )
        return replace(
            self,
            analysis=together,
            blobs=(*self.blobs[: at + 1], blob, *self.blobs[at + 1 :]),
            tags=(*self.tags[: at + 1], tag, *self.tags[at + 1 :]),
            sizes={**self.sizes, **sizes},
        )

    @property
    def without_baselines(self) -> Analysis:
        """The analysis of the network's own blocks alone."""
        named = self.analysis.affinities.items()
        affinities = {block: each for block, each in named if origin(block)[1] is None}
        return replace(self.analysis, affinities=MappingProxyType(affinities))

    @property
    def size(self) -> int:
        """Bytes it holds, roughly."""
        held = self.analysis.affinities.values()
        arrays = sum(a.theta.nbytes + a.phi.nbytes for a in held)
        upload = len(self.choice.material.data or b"")
        return self.analysis.clip.frames.nbytes + arrays + sum(map(len, self.blobs)) + upload


def make(choice: Choice, progress: Progress) -> Shown:
    """Read, analyse and pack what was chosen; a session file is packed as it is.

    ``progress`` is called between the steps; what it raises ends the work, so that a new choice
    can take its place. NlvizError for what the visitor can correct.
    """
    material = choice.material
    analysis = (
        _analysed(choice, progress) if material.session is None else material.session.analysis
    )
    progress(0.92, "Sending it to the page")
    return Shown(choice, analysis, *packed(analysis))


def _analysed(choice: Choice, progress: Progress) -> Analysis:
    part, material = choice.part, choice.material
    progress(0.0, "Reading the clip")
    clip = read(
        material.source,
        frames=part.frames,
        stride=part.stride,
        start=part.start,
        name=material.name,
    )
    with one_at_a_time(progress):
        progress(0.05, f"Loading {choice.model}")
        loaded = network(choice.model)
        return analyse(
            clip,
            loaded,
            size=choice.size,
            progress=lambda fraction, what: progress(0.15 + 0.75 * fraction, _sentence(what)),
        )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
