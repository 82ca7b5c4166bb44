"""The widget: the viewer's host in a notebook, where Python answers and keeps the pins."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from nlviz import hosts
from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.query import Query
from nlviz.viewer import bundle
from nlviz.viewer.acts import acted
from nlviz.viewer.blobs import tag
from nlviz.viewer.messages import Can, Scene, links_of, query_of
from nlviz.viewer.pins import Pins
from nlviz.viewer.staged import Staged

_HERE = Path(__file__).parent


def _module() -> str:
    """The viewer and its host as one ES module, its style inside: it lives in a shadow root."""
    style = bundle.style() + (_HERE / "widget.css").read_text(encoding="utf-8")
    return f"const STYLE = {json.dumps(style)};\n{bundle.join(_HERE / 'widget.js')}"


class Widget(anywidget.AnyWidget):
    """The viewer of one analysis in a notebook; ``analysis.show()`` makes it.

    What a person pins is in ``queries`` at once, and ``observe`` tells of it:
    ``widget.observe(lambda change: …, "queries")``. The three traits change together.

    Args:
        analysis: what is shown.
        queries: the pins to open with, at most eight; the first one's block, head, direction, k,
            ranking and exclusion are those of the whole view.
        settings: of the viewer, as a ``Session`` holds them; its own if None.
        layer: colours over the frames while nothing is pointed at, as ``Components.layer`` gives
            them.

    Attributes:
        queries: what each pin asks under the options now chosen, in the order of the pins.
        pins: the pins, with their names and colours.
        links: the exact links of each pin, as ``top_links`` gives them; none where there are none.

    Raises:
        ExportError: more than eight queries.
        QueryError: a query that the analysis cannot answer.
    """

    _esm = _module()

    queries = traitlets.Tuple(read_only=True)
    pins = traitlets.Tuple(read_only=True)
    links = traitlets.Tuple(read_only=True)

    def __init__(
        self,
        analysis: Analysis,
        queries: Sequence[Query] = (),
        settings: Mapping[str, Any] | None = None,
        *,
        layer: hosts.Layer | None = None,
    ) -> None:
        for query in queries:
            top_links(analysis, query)
        staged = Staged.of(analysis, queries, settings)
        super().__init__()
        self.analysis = analysis
        self._staged = staged
        self._layer = None if layer is None else layer.blob(analysis.view, staged.tags[0])
        self._options = staged.options
        self._kept = Pins()
        self._keep(staged.pins)
        self.on_msg(self._told)

    def _told(self, widget: Any, said: Any, buffers: object) -> None:
        """What the page says; what makes no sense changes nothing."""
        match said:
            case {"type": "open"}:
                self._answer()
            case {"type": "want", "have": list(have)}:
                self._give([each for each in have if isinstance(each, str)])
            case {"type": "act", "act": act}:
                self._keep(acted(self._kept, act, self.analysis.view))
                self._answer()
            case {"type": "options", "options": options}:
                self._options = self._options.changed(options)
                self._keep(self._kept)
                self._answer()

    def _keep(self, pins: Pins) -> None:
        self._kept = pins
        queries = [query_of(self.analysis, pin, self._options) for pin in pins.shown]
        links = [links_of(self.analysis, pin, self._options) for pin in pins.shown]
        with self.hold_trait_notifications():
            self.set_trait("queries", tuple(queries))
            self.set_trait("pins", pins.shown)
            self.set_trait("links", tuple(links))

    def _answer(self) -> None:
        """The pins and their exact links, for the page."""
        links = dict(zip(self.pins, self.links, strict=True))
        can = Can.of(self._kept, rank=bool(self.analysis.sizes))
        components = None if self._layer is None else tag(self._layer)
        scene = Scene.of(
            self.analysis, self._staged.tags, links, self._options, can=can, components=components
        )
        self.send({"type": "scene", "scene": scene.json()})

    def _give(self, have: Collection[str]) -> None:
        """The next blob that the page lacks; so a click need not wait for all of them."""
        blob = next(self._lacking(have), None)
        self.send({"type": "enough"} if blob is None else {"type": "blob"}, blob and [blob])

    def _lacking(self, have: Collection[str]) -> Iterator[bytes]:
        """The clip, the block that is looked at with what its view needs, colours, the others."""
        staged, options = self._staged, self._options.fitting(self.analysis)
        held = dict(zip(staged.tags, staged.blobs, strict=True))
        block = options.block or self.analysis.default_block
        first = staged.tag(self.analysis, block)
        yield from (held[tag] for tag in (staged.tags[0], first) if tag not in have)
        if options.needs_constants and f"constants {first}" not in have:
            yield staged.constants(self.analysis, block)
        if options.needs_sizes and f"sizes {first}" not in have:
            yield staged.sizes(self.analysis, block)
        if self._layer is not None and tag(self._layer) not in have:
            yield self._layer
        yield from (blob for tag, blob in held.items() if tag not in have)
