"""Batches in real processes: killed anywhere, several at once, stopped and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.batches.conftest import NET, contents, square

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds after which a process that does not get there is a failure


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    """The network's file, one for all."""
    file = tmp_path_factory.mktemp("net") / "net.py"
    file.write_text(NET)
    return file


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Eight clips, two of them broken."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(6):
        square(folder / f"{number}", number)
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def whole(many, net, tmp_path_factory) -> Path:
    """The results of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    code, told, err = finished(started(many, out, net))
    assert (code, told) == (1, f"8 clips: 6 done, 0 there already, 2 failed; {out}\n"), err
    assert "failed: " in err
    return out


def started(many, out, net, *more) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nlviz", "batch", str(many), "-o", str(out)]
    command += ["--model", f"{net}:soft", "--ask", "grid:2", "--readers", "1", *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def parts(out: Path) -> list[Path]:
    return list(out.glob("rows/*.parquet"))


def children(pid: int) -> list[str]:
    """Of all of its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for each in lists for child in each.read_text().split()]


@pytest.mark.slow
def test_two_at_once_do_each_clip_once_and_a_killed_ones_are_taken_over(many, whole, net, tmp_path):
    out = tmp_path / "out"
    both = [started(many, out, net) for _ in range(2)]
    ended = [finished(process) for process in both]
    assert [code for code, *_ in ended] == [1, 1], ended
    done = [int(told.split(" clips: ")[1].split(" done")[0]) for _, told, _ in ended]
    assert sum(done) == 6
    assert contents(out) == contents(whole)

    shared = tmp_path / "shared"
    first, second = (started(many, shared, net) for _ in range(2))
    until(lambda: parts(shared))
    first.send_signal(signal.SIGKILL)
    code, _, err = finished(second)
    first.communicate()
    assert code == 1, err
    assert contents(shared) == contents(whole)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_and_started_again_the_result_is_the_same_and_no_process_is_left(
    many, whole, net, tmp_path
):
    out = tmp_path / "out"
    killed = started(many, out, net)
    until(lambda: len(parts(out)) >= 2)
    (reader,) = children(killed.pid)
    killed.kill()
    killed.communicate()
    until(lambda: not Path(f"/proc/{reader}").exists() or _is_zombie(reader))
    code, told, err = finished(started(many, out, net))
    assert code == 1, err
    assert " there already" in told
    assert contents(out) == contents(whole)


def _is_zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_whatever_step_it_is_killed_at_the_next_run_gives_the_same(clips, net, tmp_path):
    import torch

    import nlviz
    from nlviz.batches import run as module

    torch.set_num_threads(1)
    (clips / "broken.mp4").write_bytes(b"no video")
    options = nlviz.BatchOptions(models=(f"{net}:soft",), ask=("grid:2",), arrays="npz")
    nlviz.batch(clips, tmp_path / "whole", options, readers=0)
    whole = contents(tmp_path / "whole")
    steps = 0
    for at in range(1, 200, 7):
        out = tmp_path / f"out{at}"
        child = os.fork()
        if not child:
            _die_at(at)
            module.batch(clips, out, options, readers=0)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == 9
        steps += 1
        if at % 2 == 0:  # again, a few steps on
            child = os.fork()
            if not child:
                _die_at(7)
                module.batch(clips, out, options, readers=0)
                os._exit(0)
            os.waitpid(child, 0)
        report = nlviz.batch(clips, out, options, readers=0)
        assert len(report.failed) == 1
        assert contents(out) == whole, at
    assert steps > 6


def _die_at(number: int) -> None:
    """End this process, without a word, at the n-th change of the disk."""
    left = [number]

    def dying(call):
        def called(*arguments, **names):
            left[0] -= 1
            if not left[0]:
                os._exit(9)
            return call(*arguments, **names)

        return called

    for name in ("replace", "link"):
        setattr(os, name, dying(getattr(os, name)))
    for name in ("mkdir", "unlink", "write_bytes", "rmdir"):
        setattr(Path, name, dying(getattr(Path, name)))


@pytest.mark.slow
def test_a_clip_that_crashes_its_reader_costs_its_own_row(clips, tmp_path, net):
    """As a decoder does on a broken file."""
    (clips / "crash.png").write_bytes((clips / "clip0" / "0.png").read_bytes())
    script = (
        "import os, sys\n"
        "from nlviz.batches import reading, readers\n"
        "from nlviz import BatchOptions, batch\n"
        "readers._SERVE = 'import os, sys; sys.path[:] = {}; from nlviz.batches import reading; '"
        "  'reading.checksum = lambda path, old=reading.checksum: '"
        "  'os.abort() if path.endswith(\"crash.png\") else old(path); '"
        "  'from nlviz.batches.readers import serve; serve()'\n"
        "for together in (1, 4):\n"
        f"    report = batch({str(clips)!r}, {str(tmp_path / 'out')!r} + str(together),"
        f" BatchOptions(models=({f'{net}:soft'!r},), together=together), readers=1)\n"
        "    print(report.done, report.failed)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    said = done.stdout.splitlines()
    assert len(said) == 2, done.stderr
    for together, line in zip((1, 4), said, strict=True):
        assert line.startswith("3 (("), done.stderr
        assert "ended (signal 6); the file may be broken" in line
        assert len(pd.read_parquet(tmp_path / f"out{together}" / "errors.parquet")) == 1
