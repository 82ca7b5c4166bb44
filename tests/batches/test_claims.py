"""Claims of several owners over one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nlviz.batches import claims as module
from nlviz.batches.claims import Claims
from nlviz.errors import BatchError


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "work"


def test_one_owner_alone_has_a_name_until_it_lets_go(folder):
    one, other = Claims(folder), Claims(folder)
    assert one.take("a")
    assert not other.take("a")
    assert other.take("b")
    one.release("a")
    assert other.take("a")
    other.close()
    assert one.take("b")
    one.close()
    assert not folder.exists()


def test_of_many_that_ask_at_once_one_gets_it(folder):
    owners = [Claims(folder) for _ in range(8)]
    start, got = threading.Barrier(8), []

    def ask(owner):
        for name in map(str, range(40)):
            start.wait()
            if owner.take(name):
                got.append(name)

    threads = [threading.Thread(target=ask, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(map(str, range(40)))
    for owner in owners:
        owner.close()


def killed(folder: Path, *names: str) -> None:
    """Another process takes these and is killed."""
    script = (
        "import os, sys; from pathlib import Path; from nlviz.batches.claims import Claims\n"
        "claims = Claims(Path(sys.argv[1]))\n"
        "assert all(map(claims.take, sys.argv[2:]))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder), *names])
    assert done.returncode == -9


def test_what_a_killed_process_held_is_taken_over_at_once(folder):
    killed(folder, "a", "b")
    one, other = Claims(folder), Claims(folder)
    assert one.take("a")
    assert not other.take("a")
    one.release("a")
    one.sweep(["b"])
    one.close()
    other.close()
    assert not folder.exists()


def elsewhere(folder: Path, name: str) -> Path:
    """A claim of a process of another machine; its owner's file."""
    folder.mkdir(exist_ok=True)
    owner = folder / "owner-there"
    owner.write_text(json.dumps({"token": "there", "machine": "other", "pid": 1, "began": "1"}))
    os.link(owner, folder / f"{name}.0")
    return owner


def test_an_owner_on_another_machine_is_gone_after_a_minute_without_a_beat(folder):
    owner = elsewhere(folder, "a")
    now = 0.0
    claims = Claims(folder, clock=lambda: now)
    assert not claims.take("a")
    now = 50.0
    os.utime(owner, (1, 1))  # whatever its clock says, it beats
    assert not claims.take("a")
    now = 100.0
    assert not claims.take("a")
    now = 111.0
    assert claims.take("a")
    claims.close()


def test_an_owner_on_another_machine_that_left_its_claim_is_gone(folder):
    elsewhere(folder, "a").unlink()
    claims = Claims(folder)
    assert claims.take("a")
    claims.close()


def test_without_hard_links_a_file_does(folder, monkeypatch):
    def none(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(module.os, "link", none)
    one, other = Claims(folder), Claims(folder)
    assert one.take("a")
    assert not other.take("a")
    one.close()
    assert other.take("a")
    other.close()
    assert not folder.exists()


def test_a_process_of_the_same_number_that_began_later_is_another(folder):
    folder.mkdir()
    here = module._here()
    (folder / "a.0").write_text(json.dumps({"token": "x", **here, "began": "0"}))
    claims = Claims(folder)
    assert claims.take("a")
    claims.close()


def test_where_nothing_can_be_written_a_sentence_says_so(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BatchError, match=r"cannot be written \(No space left on device\)"):
        Claims(tmp_path / "work")
