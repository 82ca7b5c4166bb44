"""Processes that read clips ahead of the network, each with one clip at a time.

They are started as programs of their own: a script that calls ``nlviz.batch`` is not run again in
them, a decoder that crashes takes its clip alone with it, and they end with the process that
started them, however that ends.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from nlviz.batches.reading import Failure, Group, Reading, ReadingPlan

_HEAD = struct.Struct("<Q")
_REST = 0.5  # seconds between two looks whether another process is done
_SERVE = "import sys; sys.path[:] = {}; from nlviz.batches.readers import serve; serve()"


class Readers:
    """Readings of groups as they are done; to be closed.

    Args:
        plan: how each is read.
        count: how many processes; 0 to read in this one, when asked.
    """

    def __init__(self, plan: ReadingPlan, count: int) -> None:
        self._plan, self._count = plan, count
        self._groups: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Group, tuple[Reading, ...]]] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        self._programs: set[subprocess.Popen[bytes]] = set()
        self._closed = False
        for thread in self._threads:
            thread.start()

    def read(
        self, groups: Iterator[Group | None]
    ) -> Iterator[tuple[Group, tuple[Reading, ...]] | None]:
        """The readings of groups, in whatever order they are done.

        A None among the groups says that there is none at the moment; after a rest it is asked
        again, and told on, so that whoever waits may look about.
        """
        if not self._count:
            for group in groups:
                if group is None:
                    time.sleep(_REST)
                    yield None
                else:
                    yield group, self._plan.read(group)
            return
        waiting, ended = 0, False
        while waiting or not ended:
            while waiting < self._count and not ended:
                group = next(groups, ())
                if not group:
                    ended = group == ()
                    if not waiting and not ended:
                        time.sleep(_REST)
                        yield None
                    break
                self._groups.put(group)
                waiting += 1
            if waiting:
                yield self._done.get()
                waiting -= 1

    def close(self) -> None:
        """End the processes."""
        self._closed = True
        for _ in self._threads:
            self._groups.put(None)
        for program in list(self._programs):
            program.kill()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """One thread for each process: it waits where the process works."""
        program = None
        while (group := self._groups.get()) is not None:
            readings, program = self._asked(program, group)
            if self._closed:
                break
            self._done.put((group, readings))
        if program is not None:
            self._end(program)

    def _asked(
        self, program: subprocess.Popen[bytes] | None, group: Group
    ) -> tuple[tuple[Reading, ...], subprocess.Popen[bytes] | None]:
        """The readings of a group, and the process if it lives."""
        try:
            program = program or self._started()
            send(program.stdin, group)
            readings: tuple[Reading, ...] = receive(program.stdout)
            return readings, program
        except (OSError, EOFError) as error:
            how = f"{error}" if program is None else _ended(self._end(program))
        if len(group) > 1 and not self._closed:  # one of them did it
            each = [self._asked(None, (entry,)) for entry in group]
            for _, left in each:
                if left is not None:
                    self._end(left)
            return tuple(reading for readings, _ in each for reading in readings), None
        why = f"The process that read '{group[0].path}' ended ({how}); the file may be broken."
        return (Reading(group[0], failure=Failure("reading", "ReaderEnded", why)),), None

    def _started(self) -> subprocess.Popen[bytes]:
        program = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(json.dumps(sys.path))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._programs.add(program)
        send(program.stdin, self._plan)
        return program

    def _end(self, program: subprocess.Popen[bytes]) -> int:
        self._programs.discard(program)
        with suppress(OSError):
            program.communicate(timeout=5)
        if program.poll() is None:
            program.kill()
        return program.wait()


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def send(pipe: IO[bytes] | None, what: Any) -> None:
    """Write one object to a pipe."""
    if pipe is None:
        raise EOFError
    content = pickle.dumps(what, protocol=5)
    pipe.write(_HEAD.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes] | None) -> Any:
    """Read one object from a pipe; EOFError at its end."""
    head = b"" if pipe is None else pipe.read(_HEAD.size)
    if pipe is None or len(head) < _HEAD.size:
        raise EOFError
    (size,) = _HEAD.unpack(head)
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return pickle.loads(content)


def serve() -> None:
    """What a reading process does: read group after group until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is stopped, and ends this
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints is no answer
    with suppress(EOFError, OSError):
        plan: ReadingPlan = receive(asked)
        while True:
            send(answers, plan.read(receive(asked)))
