"""What the tabs show is what the library says, and their background work can be left."""

from __future__ import annotations

import gc
import io
import tempfile
import threading
import time
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz.app import sessions, store
from nlviz.app.stage.tab_row import TABS
from nlviz.app.tabs import (
    block,
    charts,
    downloads,
    jobs,
    matter,
    spacetime_plot,
    tracking,
    tracking_frames,
    tracking_start,
)
from nlviz.app.tabs.multiples import Mosaic
from tests.support import make
from tests.support.code_blocks import code_of


def until(wanted) -> None:
    end = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_charts_draw_what_the_profile_says():
    analysis = make.analysis()
    profile = nlviz.profile(analysis, nlviz.Query(nlviz.Point(5, 20, 20), "coarse"))
    average = nlviz.block_statistics(analysis, "coarse")
    lines = [charts.ProfileLine("Pin 1", "#E69F00", profile)]
    frames, distance, seconds = (
        charts.by_frame(lines),
        charts.by_distance(lines, average),
        charts.by_second(lines),
    )
    assert list(frames.data[0].x) == list(analysis.view.frames)
    assert list(frames.data[0].marker.symbol) == ["circle", "diamond", "circle", "circle"]
    np.testing.assert_array_equal(frames.data[0].y, profile.by_frame)
    np.testing.assert_array_equal(distance.data[0].y, profile.by_distance)
    np.testing.assert_array_equal(distance.data[1].y, average.by_distance)
    np.testing.assert_array_equal(seconds.data[0].x, profile.seconds)
    np.testing.assert_array_equal(seconds.data[0].y, profile.by_second)


def test_a_job_gives_its_result_once_and_keeps_it():
    here, runs = jobs.Jobs(), []
    job = here.ask("clip", "key", lambda report: runs.append(1) or "answer")
    until(lambda: job.done)
    assert here.ask("clip", "key", lambda report: runs.append(1)).result == "answer"
    assert runs == [1]


def endless(begun: threading.Event, ended: threading.Event):
    def work(report):
        begun.set()
        try:
            while True:
                report(0.5, "turning")
                time.sleep(0.001)
        finally:
            ended.set()

    return work


@pytest.mark.parametrize("ask", [("clip", "other"), ("another clip", "key")])
def test_another_question_stops_the_one_that_runs_and_it_can_be_asked_again(ask):
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    job = here.ask("clip", "key", endless(begun, ended))
    assert begun.wait(30)
    here.ask(*ask, lambda report: None)
    assert ended.wait(30)
    assert not job.done
    again = here.ask("clip", "key", lambda report: "answer")
    until(lambda: again.done)
    assert again.result == "answer"


def test_what_is_done_can_be_asked_for_without_stopping_what_runs():
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    done = here.ask("clip", "first", lambda report: "answer")
    until(lambda: done.done)
    job = here.ask("clip", "second", endless(begun, ended))
    assert begun.wait(30)
    assert here.ask("clip", "first", lambda report: None) is done
    assert here.ask("clip", "second", lambda report: None) is job
    assert not ended.wait(0.05)
    job.stop()
    assert ended.wait(30)


def test_a_job_that_nobody_looks_at_ends(monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.05)
    begun, ended = threading.Event(), threading.Event()
    jobs.Jobs().ask("clip", "key", endless(begun, ended))
    assert ended.wait(30)


def test_a_stopped_job_stays_stopped_until_it_is_forgotten():
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    here.ask("clip", "key", endless(begun, ended)).stop()
    assert ended.wait(30)
    assert here.ask("clip", "key", lambda report: None).stopped
    here.forget("clip", "key")
    again = here.ask("clip", "key", lambda report: "answer")
    until(lambda: again.done)
    assert again.result == "answer"


def test_a_job_behind_a_hidden_tab_goes_on_and_one_without_a_visitor_stays_stopped(monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.05)
    monkeypatch.setattr(jobs, "_LOOK", 0.01)
    monkeypatch.setattr(sessions, "own", lambda: "session")
    looks, connected = threading.Event(), [True]

    def is_here(session):
        looks.set()
        return connected[0]

    monkeypatch.setattr(sessions, "is_connected", is_here)
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    job = here.ask("clip", "key", endless(begun, ended))
    for _ in range(5):  # nobody asks for it, far longer than patience would last
        looks.clear()
        assert looks.wait(30)
        assert not ended.wait(0.05)
    connected[0] = False
    assert ended.wait(30)
    again = here.ask("clip", "key", lambda report: "begun anew")
    assert again is job
    assert again.stopped
    assert again.alone


def test_what_ends_after_its_visitor_has_gone_is_kept_for_nobody():
    kept, begun, may_end = store.Store(1 << 20), threading.Event(), threading.Event()

    def work(report):
        begun.set()
        may_end.wait(30)
        return b"answer" * 1000

    here = jobs.Jobs(kept)
    job = here.ask("clip", "key", work)
    assert begun.wait(30)
    del here
    gc.collect()
    may_end.set()
    job.wait(30)
    assert job.done
    assert kept.bytes == 0


def test_one_job_of_a_visitor_runs_at_a_time():
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    may_end, order = threading.Event(), []

    def slow(report):
        begun.set()
        try:
            while True:
                report(0.5, "turning")
                time.sleep(0.001)
        finally:
            may_end.wait(30)
            order.append("first ended")
            ended.set()

    here.ask("clip", "first", slow)
    assert begun.wait(30)
    second = here.ask("clip", "second", lambda report: order.append("second began"))
    assert not second.done
    may_end.set()
    until(lambda: second.done)
    assert order == ["first ended", "second began"]


def test_what_the_open_tab_no_longer_asks_for_is_left():
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    with here.asking():
        job = here.ask("clip", "key", endless(begun, ended))
    assert begun.wait(30)
    with here.asking():
        assert here.ask("clip", "key", lambda report: None) is job
    assert job.runs
    with here.asking():  # another tab, which needs no job
        pass
    assert ended.wait(30)


def test_a_tab_does_not_stop_what_the_viewer_waits_for():
    here, begun, ended = jobs.Jobs(), threading.Event(), threading.Event()
    job = here.ask("clip", "viewer", endless(begun, ended), urgent=True)
    assert begun.wait(30)
    with here.asking():
        assert here.urgent
    assert job.runs
    job.stop()
    assert ended.wait(30)
    assert not here.urgent


def test_results_are_kept_by_bytes_and_those_on_the_page_whatever_they_weigh():
    kept = store.Store(1 << 20)
    here = jobs.Jobs(kept)
    for number in range(20):
        job = here.ask("clip", number, lambda report: np.zeros(1 << 18, np.uint8))
        until(lambda job=job: job.done and kept.bytes)
    assert kept.bytes <= 1 << 20
    large = here.ask("clip", "large", lambda report: np.zeros(2 << 20, np.uint8))
    until(lambda: large.done)
    assert here.ask("clip", "large", lambda report: None) is large
    assert kept.bytes <= 1 << 20


def test_what_a_visitor_worked_out_goes_when_they_do():
    kept = store.Store(1 << 20)
    here = jobs.Jobs(kept)
    job = here.ask("clip", "key", lambda report: np.zeros(1 << 18, np.uint8))
    until(lambda: kept.bytes)
    del here, job
    gc.collect()
    assert kept.bytes == 0


def test_a_fault_of_the_visitors_is_a_sentence_and_one_of_ours_is_logged(caplog):
    def theirs(report):
        raise nlviz.QueryError("Choose another place.")

    def ours(report):
        raise ZeroDivisionError

    here = jobs.Jobs()
    job = here.ask("clip", "theirs", theirs)
    until(lambda: job.done)
    assert (job.problem, job.failed) == ("Choose another place.", False)
    job = here.ask("clip", "ours", ours)
    until(lambda: job.done)
    assert (job.problem, job.failed) == (None, True)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(("frames", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (12, (2, 4))])
def test_a_click_on_a_small_multiple_is_a_place_of_the_frame_under_it(frames, shape):
    analysis = make.analysis(frames=frames)
    last = analysis.view.frames[-1]
    mosaic = Mosaic.of(analysis, nlviz.Query(nlviz.Point(last, 3, 3), "fine"))
    assert (mosaic.rows, mosaic.columns) == shape
    assert mosaic.positions[-1] == frames - 1
    for index, position in enumerate(mosaic.positions):
        row, column = divmod(index, mosaic.columns)
        u, v = (column + 0.25) / mosaic.columns, (row + 0.5) / mosaic.rows
        point = mosaic.place(analysis.view, u, v)
        assert point == nlviz.Point(analysis.view.frames[position], 16.0, 24.0)
    assert mosaic.place(analysis.view, 0.5, 1.2) is None


def test_a_small_multiple_shows_the_frame_that_is_asked_about():
    analysis = make.analysis(frames=20)
    for frame in analysis.view.frames:
        mosaic = Mosaic.of(analysis, nlviz.Query(nlviz.Point(frame, 3, 3), "fine"))
        assert frame in [analysis.view.frames[i] for i in mosaic.positions]
        assert len(set(mosaic.positions)) == 8


def test_a_small_multiple_of_a_block_that_sees_frames_alone_shows_only_the_one_asked_about():
    analysis = make.analysis()
    of = np.repeat(np.arange(4), analysis.affinity("fine").query_grid.size // 4)
    key = np.repeat(np.arange(4), analysis.affinity("fine").key_grid.size // 4)
    alone = replace(analysis.affinity("fine"), reach=(nlviz.Groups(of, key),))
    analysis = replace(analysis, affinities={"fine": alone})
    frame = analysis.view.frames[2]
    assert Mosaic.of(analysis, nlviz.Query(nlviz.Point(frame, 3, 3), "fine")) == Mosaic((2,), 1)


def test_the_solid_holds_every_link_and_the_best_place_of_each_frame():
    analysis = make.analysis()
    query = nlviz.Query(nlviz.Point(5, 20, 20), "coarse", k=7)
    links = nlviz.top_links(analysis, query)
    figure = spacetime_plot.spacetime(
        analysis, [spacetime_plot.PinnedQuery("Pin 1", "#E69F00", query, links)]
    )
    planes = [trace for trace in figure.data if trace.type == "surface"]
    assert [int(plane.z[0, 0]) for plane in planes] == [0, 1, 2, 3]
    lines = [t for t in figure.data if t.type == "scatter3d" and t.mode == "lines" and not t.name]
    ends = {
        tuple(float(line[axis][i]) for axis in "xyz")
        for line in lines
        for i in range(1, len(line.x), 3)
    }
    assert ends == {(k.target.x, k.target.y, float(k.target.frame // 5)) for k in links}
    (path,) = (trace for trace in figure.data if (trace.name or "").endswith("best of each frame"))
    assert list(path.x) == [link.target.x for link in nlviz.best_path(analysis, query)]
    widest = max(lines, key=lambda line: line.line.width)
    first = links[0].target
    assert first.x in widest.x


def test_links_by_contribution_are_shown_beside_their_rank_by_affinity():
    analysis = make.analysis()
    sizes = {"coarse": np.random.default_rng(2).random(48).astype(np.float32)}
    sized = replace(analysis, sizes=sizes)
    query = nlviz.Query(nlviz.Point(5, 20, 20), "coarse", k=3)
    links, by_affinity = matter.ranked(sized, query)
    row = nlviz.row_of(analysis, query)
    product = np.where(row.allowed, row.weights, 0).ravel() * sizes["coarse"]
    assert [link.contribution for link in links] == pytest.approx(
        sorted(product, reverse=True)[: len(links)]
    )
    order = np.argsort(-np.where(row.allowed, row.weights, -1).ravel())
    heaviest = int(product.argmax())
    assert by_affinity[links[0].target] == 1 + list(order).index(heaviest)
    assert f"<td>{links[0].contribution:.3g}</td>" in matter.contributions_table(links, by_affinity)


def test_the_effects_table_tells_size_and_fall_and_escapes_names():
    before, after = nlviz.Prediction("cat, tabby", 0.8), nlviz.Prediction("dog", 0.5)
    shown = matter.effects_table([nlviz.Effect("<nl>", 0.25, (before,), (after,), 0.3)])
    assert "&lt;nl&gt;" in shown
    for words in ("25.00%", "cat 80.0%", "dog 50.0%", "-30.00 points"):
        assert words in shown


def test_the_masking_chart_starts_at_the_whole_score_and_draws_every_order():
    query = nlviz.Query(nlviz.Point(5, 20, 20), "coarse")
    found = nlviz.Faithfulness(
        query, "cat", 0.9, np.array([0.1, 0.5]), np.array([0.4, 0.2]), np.array([[0.8, 0.6]] * 3)
    )
    figure = charts.masking(found)
    assert list(figure.data[-1].y) == [0.9, 0.4, 0.2]
    assert [list(trace.y) for trace in figure.data[:-1]] == [[0.9, 0.8, 0.6]] * 3


class File(io.BytesIO):
    """An upload, as Streamlit gives it."""

    def __init__(self, name: str, mask: np.ndarray) -> None:
        super().__init__(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())
        self.name = name


def masks(count: int) -> np.ndarray:
    shown = np.zeros((count, 48, 64), dtype=bool)
    shown[:, 8:24, 16:40] = True
    return shown


def test_uploaded_masks_are_read_in_the_order_of_their_names_and_measured():
    clip, truth = make.clip(), masks(4)
    truth[2] = False
    files = [File(f"some/folder/{t}.png", truth[t]) for t in (2, 0, 3, 1)]
    np.testing.assert_array_equal(tracking_start.read(files, clip, whole=True).mask(), truth)
    found = nlviz.track(make.analysis(), "fine", truth[0])
    scores = tracking.measured(found, truth)
    assert scores[2][0] == nlviz.region_similarity(found.objects[2], truth[2])
    assert scores[1][1] == nlviz.contour_accuracy(found.objects[1], truth[1])
    means = tracking.Tracked(found.objects.astype(np.uint8), scores, b"", "").means
    assert means == pytest.approx(tuple(np.mean(scores[1:], axis=0)))


def test_a_tracks_masks_are_taken_away_as_they_are_scored():
    clip, found = make.clip(), nlviz.track(make.analysis(), "fine", masks(4)[0])
    levels = tracking._bytes_of(found.objects)
    with zipfile.ZipFile(io.BytesIO(tracking.masks_zip(levels, clip.indices))) as archive:
        assert archive.namelist() == [f"{index:05d}.png" for index in clip.indices]
        for name, on in zip(archive.namelist(), found.objects, strict=True):
            read = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(read, np.where(on, 255, 0))


@pytest.mark.parametrize("name", ["../../mask.png", "..\\..\\mask.png", "/tmp/mask.png"])
def test_a_masks_name_climbs_out_of_no_folder(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = tracking_start.read([File(name, masks(1)[0])], make.clip(), whole=False)
    np.testing.assert_array_equal(found.mask(), masks(1))
    assert list(tmp_path.rglob("*")) == []


def test_masks_under_other_names_are_other_masks():
    empty, full = np.zeros((2, 2)), np.ones((2, 2))
    given = [File("a.png", empty), File("b.png", full)]
    swapped = [File("b.png", empty), File("a.png", full)]
    assert tracking_start.digest_of(given) != tracking_start.digest_of(swapped)


def test_masks_of_another_size_or_length_are_one_sentence_without_our_folder():
    small = File("mask.png", np.ones((8, 8), dtype=bool))
    with pytest.raises(nlviz.MediaError, match="is 8×8 pixels, the clip 64×48"):
        tracking_start.read([small], make.clip(), whole=False)
    with pytest.raises(nlviz.MediaError, match=r"^The folder has 3 masks, but the clip has 20"):
        tracking_start.read(
            [File(f"{t}.png", masks(1)[0]) for t in range(3)], make.clip(), whole=True
        )


def test_the_object_is_tinted_and_the_rest_is_left():
    frame = np.full((48, 64, 3), 100, np.uint8)
    shown = tracking_frames.tinted(frame, masks(1)[0], "#FF0000")
    assert (shown[:6] == 100).all()
    assert tuple(shown[15, 28]) == (185, 45, 45)


def test_what_is_known_of_a_block_is_told_row_by_row():
    about = make.analysis(special=True).about("special")
    told = block.table(replace(about, kind="<b>"))
    assert "<b>" not in told.replace("<tbody>", "")
    for words in (about.function, about.rows, about.reach, about.keys, ", ".join(about.tokens)):
        assert f'<td class="words">{words}</td>' in told
    assert f"{about.fidelity:.1e}: the block" in told
    assert "tokens" not in block.table(replace(about, tokens=(), rows="rows sum to one"))


def tab_of_a_block_with_absent_cells(tab: str, with_another: bool) -> None:
    """A script of the app: one tab, for a pin where the block has no query."""
    from nlviz import Point
    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.stage.tab_row import TABS
    from nlviz.app.tabs import downloads
    from nlviz.app.tabs.context import TabContext
    from nlviz.viewer.messages import links_of
    from nlviz.viewer.options import Options
    from nlviz.viewer.pins import Pins
    from nlviz.viewer.staged import packed
    from tests.support import make

    # What a download holds is made at once here, and not when somebody presses it.
    downloads.Download.button = lambda self, context, label=None: (
        self.ending in ("mp4", "gif") or self.make(self.provenance(context))
    )
    analysis, options = make.partial(), Options(block="memory", k=3)
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 320)
    pins = Pins().add(Point(15, 20.0, 20.0)) if with_another else Pins()
    pins = pins.add(Point(0, 20.0, 20.0))
    links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
    TABS[tab](TabContext(Shown(choice, analysis, *packed(analysis)), links, options))


@pytest.mark.parametrize("with_another", [False, True])
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_for_a_pin_where_the_block_has_no_query(tab, with_another, monkeypatch):
    monkeypatch.setattr(downloads.Download, "button", downloads.Download.button)  # put back after
    given = {"tab": tab, "with_another": with_another}
    page = AppTest.from_function(tab_of_a_block_with_absent_cells, kwargs=given, default_timeout=60)
    page.run()
    assert not page.exception
    words = " ".join(each.value for each in (*page.info, *page.caption, *page.markdown))
    assert words or code_of(page)
    if tab == "Profile" or (tab == "Spacetime" and not with_another):
        assert "its queries lie on frame 15" in words
    if tab == "Reproduce" and with_another:  # what it says can be run
        assert all("15,20,20" in each or "frame=15" in each for each in code_of(page))
        assert not any("0,20,20" in each.replace("15,20", "") for each in code_of(page))
        assert not any("frame=0" in each for each in code_of(page))
        assert "Without Pin 2" in words
    for kind in page.segmented_control if tab == "Export" else ():
        for option in kind.options:
            kind.set_value(option).run()
            assert not page.exception, option
            if option in ("Figure", "Film", "Links") and not with_another:
                (why,) = page.info
                assert "its queries lie on frame 15" in why.value
                assert not page.error
                assert not code_of(page)  # and no command for what cannot be made
