"""The Scan tab: every block and head scored, a table to click on, one place in all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app import startup
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, one_at_a_time
from nlviz.app.tabs import waiting
from nlviz.app.tabs.context import VIEWER_FRAGMENT, TabContext, choose_pin
from nlviz.app.tabs.downloads import file_button
from nlviz.app.tabs.jobs import Work
from nlviz.app.tabs.picture_grid import Tile, openable
from nlviz.app.tabs.progress import job_result
from nlviz.app.tabs.scan_table import scan_table
from nlviz.app.tabs.tiles import TileRequest, drawn
from nlviz.app.tabs.tracking_start import digest_of, read
from nlviz.app.visit import visiting
from nlviz.errors import MediaError
from nlviz.media.jpeg import data_address
from nlviz.media.mask_objects import MaskObjects
from nlviz.media.point_tracks import PointTracks, read_point_tracks
from nlviz.progress import Progress
from nlviz.scans import Scan, carried_object, head_pictures, scan, with_inputs
from nlviz.scans.interval import INTERVAL
from nlviz.viewer.pins import Pin

_PIN, _MASKS, _TRACKS = "The object at a pin", "Masks", "Point tracks"
_SCORES, _SHEET = "Scores", "The pin in every head"
_MEASURES = {"same_object": "Same object", "JF": "J&F"}
_PICTURES = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"]
_WIDE = 200  # pixels of a picture of the sheet


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """What a scan holds blocks against; ``key`` tells them apart.

    ``truth`` gives masks (T, H, W) or point tracks; ``carried_by`` is the block that carried them.
    """

    key: Hashable
    measure: str
    truth: Callable[[Progress], Any]
    carried_by: str | None = None


def show(context: TabContext) -> None:
    """The table as it grows and the pin in the head that was chosen, or the pin in all heads."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        view = st.segmented_control(
            "Show",
            [_SCORES, _SHEET],
            default=_SCORES,
            required=True,
            key="scan-view",
            label_visibility="collapsed",
        )
        pin = choose_pin(context, "scan-pin")
    if view == _SHEET:
        _sheet(context, pin)
    elif len(context.analysis.view.frames) == 1:
        st.info("An image has no other frame to link to; choose a clip.")
    else:
        against = _choose(context, pin)
        if against is not None:
            _scan(context, pin, against)


def _choose(context: TabContext, pin: Pin) -> Against | None:
    """What the visitor holds blocks against; None where that is still to be given."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        kind = st.segmented_control(
            "Against",
            [_PIN] if startup.is_demo() else [_PIN, _MASKS, _TRACKS],
            default=_PIN,
            required=True,
            key="scan-against",
            label_visibility="collapsed",
        )
        measure = "delta"
        if kind != _TRACKS:
            measure = st.segmented_control(
                "Measure",
                list(_MEASURES),
                default="same_object",
                required=True,
                format_func=lambda name: plain(_MEASURES[name]),
                key="scan-measure",
                label_visibility="collapsed",
            )
    if kind == _PIN:
        return _of_pin(context, pin, measure)
    if kind == _MASKS:
        return _of_masks(context, measure)
    file = st.file_uploader(
        "Point tracks: .npz with tracks and visible, or .csv", type=["npz", "csv"], key="scan-file"
    )
    if file is None:
        st.caption("Columns point, frame, x, y, visible; pixels of a picture of 256 × 256.")
        return None
    name, content = Path(file.name.replace("\\", "/")).name, file.getvalue()
    clip = context.analysis.clip
    return Against(
        ("tracks", digest_of([file])), measure, lambda _: _tracks(name, content).of(clip)
    )


def _of_pin(context: TabContext, pin: Pin, measure: str) -> Against | None:
    point, block = pin.point, context.block
    if isinstance(point, str):
        st.info("A token has no place and no object; choose another pin.")
        return None
    analysis = context.analysis

    def carried(progress: Progress) -> Any:
        return carried_object(analysis, point, block, progress=progress)

    return Against((point, block), measure, carried, block)


def _of_masks(context: TabContext, measure: str) -> Against | None:
    files = st.file_uploader(
        "A folder with a mask of the object for each frame",
        type=_PICTURES,
        accept_multiple_files="directory",
        key="scan-folder",
    )
    if not files:
        st.caption("Pictures of the clip's size: the object on black, or on nothing.")
        return None
    clip, digest = context.analysis.clip, digest_of(files)
    found: MaskObjects | None = job_result(
        context.shown.choice,
        ("scan masks", digest),
        lambda _: read(files, clip, whole=True),
        name="scan-masks",
    )
    if found is None:
        return None
    label: str | None = None
    if len(found.names) > 1:
        label = st.selectbox(
            "Which object", found.names, key="scan-object", format_func=plain, width=240
        )
    return Against((digest, label), measure, lambda _: found.mask(label))


def _tracks(name: str, content: bytes) -> PointTracks:
    """Point tracks from an upload; MediaError."""
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            return read_point_tracks(path)
        except MediaError as error:
            raise MediaError(str(error).replace(f"{folder}/", "")) from error


def _scan(context: TabContext, pin: Pin, against: Against) -> None:
    """The block on screen first, then all of them, then their inputs."""
    analysis, about = context.shown.without_baselines, context.shown.choice
    key = ("scan", against.measure, against.key)
    truth = job_result(about, ("truth", against.key), against.truth, name="scan-truth")
    if truth is None:
        return
    found, done = _three_steps(context, analysis, against, truth, key)
    if found is None:
        return
    _table(context, analysis, found)
    if not done:
        return  # one computation at a time: the picture waits for the table
    query = context.query(pin)
    head = "" if query.head is None else f", head {query.head}"
    request = TileRequest("cell", f"{query.block}{head}", query)
    tiles = drawn(context, pin, [request], name="scan-cell")
    if tiles:
        openable(tiles, "scan-cell", lambda _: None, widest=480)


def _three_steps(
    context: TabContext, analysis: Analysis, against: Against, truth: Any, key: tuple[Any, ...]
) -> tuple[Scan | None, bool]:
    """What there is of the scan, and whether no step of it runs: one block, all, their inputs."""
    about, measure, own = context.shown.choice, against.measure, context.block
    own = own if own in analysis.affinities else analysis.default_block
    alone = replace(analysis, affinities=MappingProxyType({own: analysis.affinity(own)}))

    def of(part: Analysis) -> Work:
        def work(progress: Progress) -> Scan:
            found = scan(part, truth, measure=measure, progress=progress)
            return replace(found, carried_by=against.carried_by)

        return work

    first: Scan | None = job_result(about, (*key, own), of(alone), name="scan-first")
    if first is None:
        return None, False
    every: Scan | None = job_result(about, key, of(analysis), name="scan")
    if every is None:
        return first, False
    # A saved session holds no network to run.
    if about.material.session is not None or waiting.for_network(context):
        return every, True

    def inputs(progress: Progress) -> Scan:
        with one_at_a_time(progress, kind_of("features", about)) as told:
            return with_inputs(every, analysis, truth, context.shown.network(), progress=told)

    whole: Scan | None = job_result(about, (*key, "inputs"), inputs, name="scan-inputs")
    return whole or every, whole is not None


def _table(context: TabContext, analysis: Analysis, found: Scan) -> None:
    st.markdown(plain(found.words))
    chosen = (context.block, context.options.head)
    scan_table(found, analysis.blocks, chosen, _open)
    st.caption(
        plain(
            f"In hundredths. {INTERVAL}. A click shows that block and head in the viewer, and the "
            "pin in it below. Cosine: of the block's input, with no weight of the network."
        )
    )
    for name, why in found.refused.items():
        st.caption(plain(f"{name}: {why}"))
    made = context.analysis
    with st.container(horizontal=True, gap="medium"):
        file_button("CSV", lambda: _csv(made, found), "scan.csv", "text/csv", key="scan-csv")
        file_button(
            "Figure (PNG)", lambda: _png(made, found), "scan.png", "image/png", key="scan-png"
        )


def _csv(analysis: Analysis, found: Scan) -> bytes:
    from nlviz.export.tables import scan_csv
    from nlviz.provenance import Provenance

    return scan_csv(found, Provenance.of(analysis))


def _png(analysis: Analysis, found: Scan) -> bytes:
    from nlviz.provenance import Provenance
    from nlviz.scans.figure import scan_figure

    return scan_figure(found).signed(Provenance.of(analysis)).png(dpi=200)


def _open(block: str, head: int | None) -> None:
    visiting().choose({"block": block, "head": head})
    st.rerun(VIEWER_FRAGMENT)


def _sheet(context: TabContext, pin: Pin) -> None:
    """The pin in the block on screen at once, then in all blocks and heads."""
    analysis, query = context.shown.without_baselines, context.query(pin)
    own = context.block if context.block in analysis.affinities else analysis.default_block
    alone = replace(analysis, affinities=MappingProxyType({own: analysis.affinity(own)}))
    key = ("sheet", query.point, query.exclude, query.reverse, context.shade)

    def of(part: Analysis) -> Work:
        return lambda progress: _tiles(part, context, pin, progress)

    about = context.shown.choice
    first: list[Tile] | None = job_result(about, (*key, own), of(alone), name="sheet-first")
    if first is None:
        return
    every: list[Tile] | None = job_result(about, key, of(analysis), name="sheet-all")
    chosen = _id(context.block, context.options.head)
    tiles = [replace(tile, chosen=tile.id == chosen) for tile in every or first]
    openable(tiles, "scan-tiles", _open_tile, widest=150)
    st.caption(
        "The pin's own frame and the one farthest from it. Each picture is scaled to its own "
        "heaviest weight. A click shows that block and head in the viewer."
    )


def _tiles(analysis: Analysis, context: TabContext, pin: Pin, progress: Progress) -> list[Tile]:
    shade = replace(context.shade, against="row")
    query = replace(context.query(pin), rank_by="affinity")
    count = sum(1 + (each.heads if each.heads > 1 else 0) for each in analysis.affinities.values())
    tiles = []
    pictures = head_pictures(analysis, query, width=_WIDE, shade=shade)
    for number, each in enumerate(pictures):
        progress(number / count, f"drawing block {each.block}")
        if each.picture is not None:
            name = each.block if each.head is None else f"{each.block}, head {each.head}"
            source = data_address(each.picture, 80)
            tiles.append(Tile(_id(each.block, each.head), name, "", source))
    return tiles


def _id(block: str, head: int | None) -> str:
    return f"{'' if head is None else head}:{block}"


def _open_tile(id: str) -> None:
    head, _, block = id.partition(":")
    _open(block, int(head) if head else None)
