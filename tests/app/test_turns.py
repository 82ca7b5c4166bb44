"""The queue: one runs, fair between visitors, with a place and a wait; who leaves makes room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from nlviz.app.turns import VISITOR, Durations, Kind, Place, Turns, Visitor, waited
from nlviz.progress import Progress, silent

PASS = Kind("analysis", ("net", 640, 8))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "never"
        time.sleep(0.002)


class LeftError(BaseException):
    """As what ends a job."""


class Asker:
    """A visitor who takes turns in threads, and what they were told."""

    def __init__(self, turns: Turns, name: str, ran: list[str]) -> None:
        self.turns, self.name, self.ran = turns, name, ran
        self.visitor = Visitor() if name else None
        self.told: list[str] = []

    def ask(self, progress: Progress | None = None, kind: Kind = PASS) -> threading.Thread:
        waiting = self.turns.waiting

        def run() -> None:
            VISITOR.set(self.visitor)
            with (
                suppress(LeftError),
                self.turns.take(kind, progress or (lambda _, what: self.told.append(what))),
            ):
                self.ran.append(self.name)

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: self.turns.waiting > waiting)
        return thread


def test_who_ran_longest_ago_goes_first_and_the_server_itself_last():
    turns, ran = Turns(), []
    ann, bob, eve, server = (Asker(turns, name, ran) for name in ("ann", "bob", "eve", ""))
    with turns.take(PASS, silent):
        first = ann.ask()
    first.join()
    with turns.take(PASS, silent):
        threads = [server.ask()]
        threads += [ann.ask() for _ in range(3)]  # as if in three windows of one visit
        threads += [bob.ask(), bob.ask(), eve.ask()]
    for thread in threads:
        thread.join()
    assert ran == ["ann", "bob", "eve", "ann", "bob", "ann", "ann", ""]
    assert (turns.waiting, turns.running) == (0, 0)


def test_only_one_runs_at_a_time():
    turns, inside, most = Turns(), 0, 0

    def run() -> None:
        nonlocal inside, most
        for _ in range(5):
            with turns.take(PASS, silent):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_place_and_the_wait_come_from_what_turns_took():
    now = [100.0]
    turns = Turns(clock=lambda: now[0])
    bob = Asker(turns, "bob", [])
    with turns.take(PASS, silent):
        thread = bob.ask()
        until(lambda: bool(bob.told))
        assert bob.told[-1] == "Waiting: 1 computation is before this one"  # nothing is known yet
        now[0] += 30
    thread.join()
    eve, fay = Asker(turns, "eve", []), Asker(turns, "fay", [])
    with turns.take(PASS, silent):
        turns.durations.note(PASS, 30.0)
        now[0] += 10
        expected = turns.durations.expected(PASS)
        threads = [eve.ask(), fay.ask()]
        until(lambda: bool(fay.told))
        left = expected - 10 + expected
        assert fay.told[-1] == (
            f"Waiting: 2 computations are before this one, about {round(left)} s"
        )
    for thread in threads:
        thread.join()


def test_a_wait_is_told_as_people_say_it():
    assert Place(1, 0.2).in_words == "Waiting: 1 computation is before this one, about 1 s"
    assert Place(3, 150.0).in_words == "Waiting: 3 computations are before this one, about 2 min"


def test_a_kind_that_is_new_is_expected_to_take_what_its_stage_took():
    known = Durations()
    assert known.expected(PASS) is None
    known.note(PASS, 10.0)
    known.note(PASS, 20.0)
    assert known.expected(PASS) == 15.0
    assert known.expected(Kind("analysis", "another network")) == 15.0
    assert known.expected(Kind("masking")) == 15.0
    for number in range(1000):
        known.note(Kind("masking", number), 1.0)
    assert len(known._seconds) <= 256


def test_who_leaves_the_queue_makes_room_and_what_was_stopped_is_no_measurement():
    turns, ran = Turns(), []
    gone, went = threading.Event(), []

    def leave(fraction: float, what: str) -> None:
        if gone.is_set():
            went.append(1)
            raise LeftError

    ann, bob = Asker(turns, "ann", ran), Asker(turns, "bob", ran)
    with suppress(LeftError), turns.take(PASS, silent):
        threads = [ann.ask(leave), bob.ask()]
        gone.set()
        threads[0].join()
        assert turns.waiting == 1
        raise LeftError
    threads[1].join()
    assert (went, ran, turns.waiting, turns.running) == ([1], ["bob"], 0, 0)
    assert turns.durations.expected(PASS) < 1  # bob's alone


def test_a_thread_knows_how_long_it_waited():
    turns, seconds = Turns(), []

    def run() -> None:
        with turns.take(PASS, silent):
            seconds.append(waited())

    with turns.take(PASS, silent):
        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: turns.waiting == 1)
        time.sleep(0.05)
    thread.join()
    assert 0.05 <= seconds[0] < 10
