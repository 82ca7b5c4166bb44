"""Thirty visitors of one server, beside the same work of one after the other.

`python -m benchmarks.visitors`. The real app, on real websockets; each visitor is what a page says
and hears, without a browser's drawing. Thirty come at the same time, ten of them with a clip of
their own; they pin, open a tab that runs the network, have the viewer rank by contribution, and
leave. Then thirty open one link at once. The server's memory is read before, after each, and once
their sessions have ended.

`--soak MINUTES` has three visitors at a time come, work and leave for so long instead, one of them
with a clip of their own. They open other tabs too, drawn anew for each; of ten, two leave before
they see anything and one in the middle of an upload. It tells memory, kept results, threads, open
files and files on disk, each minute or, of more than twenty, each ten.
"""

from __future__ import annotations

import argparse
import http.client
import io
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from websockets.exceptions import WebSocketException

from benchmarks.measure import machine
from nlviz.app.choice import bundled
from nlviz.app.stage.tab_row import TABS
from tests.support.app_server import AppServer, served
from tests.support.wire_visitor import WireVisitor

VISITORS, WITH_A_CLIP, CLICKS = 30, 10, 6
PATIENCE = 900.0  # seconds that a visitor waits for anything
LEFT = 75.0  # seconds until the sessions of those who left have ended
MOST_TIMES = 3.0  # of what one waits for a link, for thirty who open the same
MORE = 1.25  # of the memory before, after they left
SHORT = 20  # minutes of a soak that is told by the minute
AT_A_TIME, KEPT = 3, 256  # visitors of the soak, and MB of results that its server keeps
POOLED = 4  # threads and files by which pools of Streamlit's may grow
MATTERS = "Does it matter?"
WANDERED = 3  # other tabs that a visitor of the soak opens
GLANCE = 2.0  # seconds that they look at each, ready or not


@dataclass(slots=True)
class Times:
    """Seconds that visitors waited."""

    first: list[float] = field(default_factory=list)
    click: list[float] = field(default_factory=list)
    tab: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def own_clip(number: int) -> bytes:
    """A clip that nobody else has."""
    draw = np.random.default_rng(number)
    frames = [
        Image.fromarray(draw.integers(0, 255, (120, 160, 3), np.uint8).repeat(2, 0).repeat(2, 1))
        for _ in range(8)
    ]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=80)
    return file.getvalue()


def query(number: int) -> str:
    """What a visitor opens: a sample in one of two networks and one of two sizes."""
    clip = bundled()[number % 4].name
    model = ("nl-lite0", "nl-lite0-gaussian")[number // 4 % 2]
    size = (256, 320)[number // 8 % 2]
    return f"clip={clip}&frames=4&size={size}&model={model}&pin=0,60,60"


def visit(
    address: str, number: int, times: Times, go: threading.Barrier | None, *, own: bool
) -> None:
    """Come, look, click, open a tab, leave; ``own`` brings a clip that nobody else has."""
    draw = random.Random(number)
    try:
        if go is not None:
            go.wait(PATIENCE)
        began = time.monotonic()
        visitor = WireVisitor(address, query(number))
        visitor.until(lambda: len(visitor.pins()) == 1, "a first picture", PATIENCE)
        times.first.append(time.monotonic() - began)
        visitor.until(lambda: visitor.finished > 0, "the whole page", PATIENCE)
        if own:
            visitor.put("-upload", f"clip {number}.gif", own_clip(number))
            visitor.until(lambda: f"clip+{number}.gif" in visitor.where, "the upload", PATIENCE)
            visitor.act(type="add", t=0, x=50, y=50)
            visitor.until(lambda: len(visitor.pins()) == 1, "a pin of it", PATIENCE)
        for _ in range(CLICKS):
            times.click.append(click(visitor, draw))
            visitor.listen(draw.uniform(0.2, 1.0))  # people look at what they asked for
        began = time.monotonic()
        visitor.open_tab(MATTERS)
        visitor.until(lambda: "first class then" in visitor.page, "the tab's table", PATIENCE)
        times.tab.append(time.monotonic() - began)
        visitor.leave()
    except (AssertionError, OSError, WebSocketException) as error:
        times.failed.append(f"{number}: {type(error).__name__}: {error}"[:200])


def click(visitor: WireVisitor, draw: random.Random) -> float:
    """Seconds from a click to Python's exact answer."""
    before = len(visitor.pins())
    if before >= 6:
        visitor.act(type="clear")
        visitor.until(lambda: not visitor.pins(), "no pins", PATIENCE)
        before = 0
    began = time.monotonic()
    visitor.act(type="add", t=draw.randrange(4), x=draw.uniform(5, 150), y=draw.uniform(5, 110))
    visitor.until(lambda: len(visitor.pins()) == before + 1, "a pin", PATIENCE)
    return time.monotonic() - began


def passes_by(address: str, number: int, times: Times) -> None:
    """One of the soak's: works and looks at other tabs, or leaves where nobody expects it."""
    draw = random.Random(number)
    try:
        if number % 10 in (4, 9):
            WireVisitor(address, query(number)).leave()
            return
        if number % 10 == 7:
            leave_in_an_upload(address, number)
            return
        visitor = WireVisitor(address, query(number))
        visitor.until(lambda: len(visitor.pins()) == 1, "a first picture", PATIENCE)
        visitor.until(lambda: visitor.finished > 0, "the whole page", PATIENCE)
        for tab in draw.sample(sorted(TABS), WANDERED):
            visitor.open_tab(tab)
            visitor.listen(GLANCE)
        times.click.append(click(visitor, draw))
        visitor.leave()
    except (AssertionError, OSError, WebSocketException) as error:
        times.failed.append(f"{number}: {type(error).__name__}: {error}"[:200])
        return
    visit(address, number, times, None, own=number % AT_A_TIME == 0)


def leave_in_an_upload(address: str, number: int) -> None:
    """Come, send half of a file, and be gone."""
    visitor = WireVisitor(address, query(number))
    visitor.until(lambda: bool(visitor.session), "a session", PATIENCE)
    target, body, headers = visitor.upload_request(f"half {number}.gif", own_clip(number))
    sending = http.client.HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE)
    sending.putrequest("PUT", target)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        sending.putheader(name, value)
    sending.endheaders(body[: len(body) // 2])
    sending.close()
    visitor.leave()


def together(server: AppServer, count: int) -> tuple[Times, float]:
    """All of them at the same time: what they waited, and the seconds until the last was done."""
    times, go = Times(), threading.Barrier(count + 1)
    threads = [
        threading.Thread(
            target=visit,
            args=(server.address, number, times, go),
            kwargs={"own": number < WITH_A_CLIP},
        )
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    go.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    return times, time.monotonic() - began


def one_after_the_other(server: AppServer, count: int) -> tuple[Times, float]:
    """The same work, by one visitor at a time."""
    times, began = Times(), time.monotonic()
    for number in range(count):
        visit(server.address, number, times, None, own=number < WITH_A_CLIP)
    return times, time.monotonic() - began


def link(server: AppServer, count: int, query: str) -> list[float]:
    """Seconds until each of so many who open one link at the same time sees its links."""
    taken: list[float] = []
    go = threading.Barrier(count)

    def come() -> None:
        go.wait()
        began = time.monotonic()
        visitor = WireVisitor(server.address, query)
        visitor.until(lambda: len(visitor.pins()) == 1, "its links", PATIENCE)
        taken.append(time.monotonic() - began)
        visitor.leave()

    threads = [threading.Thread(target=come) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(taken) < count:
        raise RuntimeError("somebody was not answered")
    return taken


def tell(name: str, taken: Sequence[float], beside: Sequence[float]) -> None:
    """Median and 95th percentile, and how many times those of one at a time that is."""
    middle, high = statistics.median(taken), float(np.percentile(taken, 95))
    one = statistics.median(beside)
    print(
        f"{name:13} median {middle:6.2f} s ({middle / one:4.1f} times one visitor's), "
        f"95th percentile {high:6.2f} s ({high / one:4.1f} times)",
        flush=True,
    )


def status(server: AppServer) -> tuple[float, int, int]:
    """MiB, threads and open files of the server; Linux."""
    home = Path(f"/proc/{server.process.pid}")
    told = dict(
        line.split(":", 1) for line in (home / "status").read_text().splitlines() if ":" in line
    )
    memory, threads = told["VmRSS"].split()[0], told["Threads"]
    return int(memory) / 1024, int(threads), len(list((home / "fd").iterdir()))


def uploads(server: AppServer) -> int:
    """How many files of visitors lie on the server's disk."""
    return len(list(server.folders[0].glob("*-*")))


def on_disk(server: AppServer) -> int:
    """How many files of any kind lie where the server writes for a while."""
    return sum(each.is_file() for each in server.temporary.rglob("*"))


def all_have_left(server: AppServer) -> None:
    """Return once the sessions of those who left have ended."""
    time.sleep(LEFT)
    WireVisitor(server.address).leave()  # Streamlit looks for ended sessions when one comes
    time.sleep(LEFT)


def afresh(work: Callable[[AppServer], object], *options: str) -> None:
    """Do it with a new server."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), *options) as server:
        warm = WireVisitor(server.address)  # as a server that has been up for a while
        warm.until(lambda: len(warm.pins()) == 1, "the first picture", PATIENCE)
        warm.until(lambda: server.metric('nlviz_stage_total{stage="analysis"}') > 0, "the network")
        warm.leave()
        work(server)


def crowd(count: int) -> bool:
    """Print what a crowd waits beside one after the other; whether all was answered and freed."""
    found: list[tuple[Times, float]] = []
    kept: list[bool] = []

    def alone(server: AppServer) -> None:
        found.append(one_after_the_other(server, count))

    def crowded(server: AppServer) -> None:
        before = status(server)
        found.append(together(server, count))
        during = status(server)
        all_have_left(server)
        after = status(server)
        named = zip(
            ("before", "at the end", "after they left"), (before, during, after), strict=True
        )
        for name, (memory, threads, files) in named:
            print(f"{name:16} {memory:6.0f} MiB, {threads} threads, {files} files")
        left = uploads(server)
        kept.append(not left)
        print(f"uploads left on disk: {left}")

    afresh(alone)
    afresh(crowded)
    (one, took_one), (all_, took_all) = found
    tell("first picture", all_.first, one.first)
    tell("click", all_.click, one.click)
    tell("tab", all_.tab, one.tab)
    print(f"all the work: {took_all:.0f} s together, {took_one:.0f} s one after the other")
    for failure in (*one.failed, *all_.failed):
        print(f"not answered: {failure}")
    return kept == [True] and not one.failed and not all_.failed


def same_link(count: int) -> bool:
    """Print what so many wait who open one link, beside one who does; whether it is 3 times."""
    ratios: list[float] = []

    def measure(server: AppServer) -> None:
        (one,) = link(server, 1, f"clip={bundled()[1].name}&frames=8&size=640&pin=0,60,60")
        before = server.metric('nlviz_stage_total{stage="analysis"}')
        taken = link(server, count, f"clip={bundled()[2].name}&frames=8&size=640&pin=0,60,60")
        passes = server.metric('nlviz_stage_total{stage="analysis"}') - before
        ratios.append(max(taken) / one)
        print(
            f"one link, {count} visitors: the last sees its links after {max(taken):.2f} s, "
            f"{ratios[-1]:.1f} times what one waits ({one:.2f} s); passes: {passes:.0f}"
        )

    afresh(measure)
    return ratios[0] <= MOST_TIMES


def soak(minutes: float) -> bool:
    """Visitors come, work and leave; whether memory, threads and files stay where they were."""
    seen: list[Look] = []
    failed: list[str] = []
    stays: list[bool] = []

    def measure(server: AppServer) -> None:
        before, number = Look.at(server), 0
        before.tell("before")
        began = time.monotonic()
        while (passed := (time.monotonic() - began) / 60) < minutes:
            failed.extend(wave(server.address, number))
            number += AT_A_TIME
            if passed >= len(seen) + 1:
                seen.append(Look.at(server))
                if minutes <= SHORT or len(seen) % 10 == 0:
                    seen[-1].tell(f"{passed:.0f} min, {number} visitors")
        seen.append(Look.at(server))
        seen[-1].tell(f"the end, {number} visitors")
        all_have_left(server)
        after = Look.at(server)
        after.tell("after they left")
        stays.append(
            after.disk > before.disk
            or after.threads > before.threads + POOLED
            or after.files > before.files + POOLED
        )

    afresh(measure, "--keep", str(KEPT))
    for failure in failed:
        print(f"not answered: {failure}")
    half = len(seen) // 2 or 1
    first, last = (
        statistics.median(each.memory - each.kept for each in part)
        for part in (seen[:half], seen[half:] or seen)
    )
    print(
        f"second half beside the first: {last / first:.2f} times the memory, without the results "
        "that are kept up to their bound"
    )
    return not failed and stays == [False] and last < MORE * first


def wave(address: str, number: int) -> list[str]:
    """As many as come at a time, until the last has left: who was not answered."""
    times = Times()
    threads = [
        threading.Thread(target=passes_by, args=(address, number + each, times))
        for each in range(AT_A_TIME)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times.failed


@dataclass(frozen=True, slots=True)
class Look:
    """What the server holds at a moment: MiB of memory and of kept results in it, and counts."""

    memory: float
    kept: float
    threads: int
    files: int
    disk: int

    @classmethod
    def at(cls, server: AppServer) -> Look:
        """Now."""
        memory, threads, files = status(server)
        kept = server.metric('nlviz_held_bytes{where="results"}') / 2**20
        return cls(memory, kept, threads, files, on_disk(server))

    def tell(self, when: str) -> None:
        """A line of the soak."""
        print(
            f"{when:21} {self.memory:6.0f} MiB, {self.kept:.0f} of them kept results, "
            f"{self.threads} threads, {self.files} open files, {self.disk} files on disk",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print them; 1 if somebody was not answered, something stays, or a link takes too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="come and go for so long")
    parser.add_argument("--visitors", type=int, default=VISITORS, help="how many (30)")
    options = parser.parse_args(arguments)
    print(machine())
    if options.soak is not None:
        return int(not soak(options.soak))
    kept = same_link(options.visitors)
    return int(not crowd(options.visitors) or not kept)


if __name__ == "__main__":
    sys.exit(main())
