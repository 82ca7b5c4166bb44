"""What the page shows of a choice: its analysis, packed for the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from nlviz.analysis import Analysis
from nlviz.app.choice import Choice
from nlviz.app.running import kind_of, loaded, one_at_a_time
from nlviz.errors import NetworkError
from nlviz.progress import Progress, silent
from nlviz.query import origin
from nlviz.viewer import blobs
from nlviz.viewer.colour_layer import ColourLayer

_MOST_DERIVED = 8  # of a visitor: each has a blob of its own
_OF_BLOCKS = ("affinities", "fidelity", "kinds", "places")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An analysis, the choice it answers, and its blobs: the clip's first, then each block's.

    ``sizes`` and ``constants`` are further blobs by the block's tag, made when first asked for: a
    record is never changed, for all visitors of a clip share it. ``made_with`` is the fingerprint
    of the network that was run; empty for a session file. ``half`` says that it comes from the
    session file of the first sample, its θ and φ at half precision, until it is made afresh.
    ``layer`` are colours that this visitor has laid over the frames.
    """

    choice: Choice
    analysis: Analysis
    blobs: tuple[bytes, ...]
    tags: tuple[str, ...]
    sizes: Mapping[str, bytes] = field(default_factory=dict)
    constants: Mapping[str, bytes] = field(default_factory=dict)
    made_with: str = ""
    half: bool = False
    layer: ColourLayer | None = None

    def network(self) -> Any:
        """The network that was run, with the very weights that it had.

        NetworkError where a session file is shown, which has none, or where its weights have
        changed since: numbers of two networks must not stand on one page.
        """
        if self.choice.material.session is not None:
            raise NetworkError(
                f"'{self.choice.material.title}' is a saved session and holds no network to run; "
                "to run one, upload its clip again in the sidebar."
            )
        if self.choice.asked is not None:
            raise NetworkError(
                f"{self.choice.network} was run once for its words, and this asks a network of "
                "pictures; choose one in the sidebar."
            )
        found = loaded(self.choice.model, self.choice.weights)
        same = found.fingerprint == self.made_with
        if self.half:  # nobody had run it
            same = found.network.weights == self.analysis.weights
        if not same:
            raise NetworkError(
                f"The weights of {self.choice.network} have changed since this analysis was made; "
                "choose the clip again to analyse it with those that are here now."
            )
        return found.network

    def made_afresh(self, fresh: Shown) -> Shown:
        """With all of a fresh analysis; the page keeps the blobs that it has.

        They hold half precision in any case, and so the numbers of the fresh ones.
        """
        analysis = replace(fresh.analysis, sizes=self.analysis.sizes or fresh.analysis.sizes)
        return replace(self, analysis=analysis, made_with=fresh.made_with, half=False)

    def tag(self, block: str) -> str:
        """What the page calls a block."""
        return self.tags[1 + self.analysis.blocks.index(block)]

    @property
    def needed_first(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tags of the clip and of the block that opens with it, and those of all others."""
        at_once = self.tags[0], self.tag(self.analysis.default_block)
        return at_once, tuple(tag for tag in self.tags if tag not in at_once)

    def constants_of(self, block: str, progress: Progress = silent) -> bytes:
        """The blob of a block's constants; it takes a pass over all of the block's weights."""
        return blobs.constants_blob(self.analysis, block, self.tag(block), progress)

    def with_constants(self, block: str, blob: bytes) -> Shown:
        """With that blob."""
        return replace(self, constants={**self.constants, self.tag(block): blob})

    def with_layer(self, layer: ColourLayer | None) -> Shown:
        """With colours over the frames, or without."""
        return replace(self, layer=layer)

    def sized(self, progress: Progress) -> Analysis:
        """With the size of what each place of each block adds; runs the network once more."""
        if self.analysis.sizes:  # a session file may have them
            return self.analysis
        with one_at_a_time(progress, kind_of("sizes", self.choice)) as told:
            from nlviz.experiments.ablation import with_sizes

            told(0.5, "measuring what each place adds")
            return with_sizes(self.analysis, self.network())

    def measured(self, sized: Analysis | None, problem: str | None = None) -> Shown:
        """With the sizes that ``sized`` gave, or the sentence that says why there are none."""
        analysis = self.analysis if sized is None else replace(self.analysis, sizes=sized.sizes)
        named = zip(analysis.blocks, self.tags[1:], strict=True)
        sizes = {tag: blobs.sizes_blob(analysis, name, tag, problem) for name, tag in named}
        return replace(self, analysis=analysis, sizes=sizes)

    def beside(self, found: Analysis) -> Shown:
        """With a baseline as a block of its own, after the block that it is compared with."""
        (name,) = found.blocks
        blocks = self.analysis.blocks
        if name in blocks:
            return self
        at = 1 + blocks.index(origin(name)[0])
        return self._of_blocks((*blocks[:at], name, *blocks[at:]), found)

    def with_derived(self, found: Analysis) -> Shown:
        """With a derived block after all others, in place of an earlier one of its name.

        The oldest one goes where a visitor has as many as are kept.
        """
        (name,) = found.blocks
        blocks, derived = self.analysis.blocks, self.analysis.derived
        if name in blocks:
            return self._of_blocks(blocks, found)
        gone = derived[0] if len(derived) >= _MOST_DERIVED else None
        return self._of_blocks((*(each for each in blocks if each != gone), name), found)

    def _of_blocks(self, order: tuple[str, ...], found: Analysis) -> Shown:
        """With these of its blocks in this order, and those of ``found`` among them."""
        blob_of = dict(zip(self.analysis.blocks, self.blobs[1:], strict=True))
        tag_of = dict(zip(self.analysis.blocks, self.tags[1:], strict=True))
        for name in found.blocks:
            blob_of[name] = blobs.block_blob(found, name, self.tags[0])
            tag_of[name] = blobs.tag(blob_of[name])
        gone = {*self.analysis.blocks} - {*order}
        tables: dict[str, Any] = {}
        for part in _OF_BLOCKS:
            both = {**getattr(self.analysis, part), **getattr(found, part)}
            kept = {name: each for name, each in both.items() if name not in gone}
            tables[part] = MappingProxyType(kept)  # also of layers that were refused
        affinities = tables["affinities"]
        tables["affinities"] = MappingProxyType({name: affinities[name] for name in order})
        new = found.blocks if self.sizes else ()
        sizes = {tag_of[name]: blobs.sizes_blob(found, name, tag_of[name]) for name in new}
        tags = (self.tags[0], *(tag_of[name] for name in order))
        return replace(
            self,
            analysis=replace(self.analysis, **tables),
            blobs=(self.blobs[0], *(blob_of[name] for name in order)),
            tags=tags,
            sizes={tag: blob for tag, blob in {**self.sizes, **sizes}.items() if tag in tags},
            constants={tag: blob for tag, blob in self.constants.items() if tag in tags},
        )

    @property
    def without_baselines(self) -> Analysis:
        """The analysis of the network's own blocks alone, without derived ones, too."""
        affinities = {
            block: each
            for block, each in self.analysis.affinities.items()
            if origin(block)[1] is None and not each.is_derived
        }
        return replace(self.analysis, affinities=MappingProxyType(affinities))
