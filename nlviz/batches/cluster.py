"""A batch on a Ray cluster: clips flow from processes that read to a pool that holds the networks.

Ray brings what was lost with a node again, and holds back the readers where memory is short. This
process claims the clips and writes their parts, so no node but this one needs the folder.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nlviz.batches.networks import Networks
from nlviz.batches.one_clip import Done, Work
from nlviz.batches.readers import Readers
from nlviz.batches.reading import Group, Reading, ReadingPlan
from nlviz.errors import BatchError

_ANSWER = 5.0  # seconds in which a machine answers, and
_HEALTH = 60.0  # in which Ray on it says that it is well
_REST = 0.5  # seconds between two looks whether another process is done
_CONTENT = "content"


def on_a_cluster(
    address: str, plan: ReadingPlan, work: Work, described: dict[str, str], claimed: _Claimed
) -> Generator[tuple[Group, list[Done]], None, None]:
    """What becomes of the groups that this process claims, as the cluster is done with them.

    Args:
        address: of the cluster; empty to join the one that runs here or to start one.
        plan: how each clip is read.
        work: what is done with it; each of the pool loads the networks of its options once.
        described: what the networks' weights are known by.
        claimed: the groups; None where others have all that are left.

    Raises:
        BatchError: no Ray here, no cluster at the address, or other weights on one of its nodes.
    """
    if find_spec("ray") is None:
        raise BatchError("Ray is not installed here; install it with: pip install 'nlviz[ray]'")
    with _joined(address):
        ended = False
        while not ended:
            groups, ended = _waiting(claimed)
            if groups:
                yield from _through(groups, plan, work, described)
            elif not ended:
                time.sleep(_REST)


_Claimed = Iterator[Group | None]


def _waiting(claimed: _Claimed) -> tuple[list[Group], bool]:
    """All groups that can be had at the moment, and whether there will be no more."""
    groups: list[Group] = []
    for group in claimed:
        if group is None:
            return groups, False
        groups.append(group)
    return groups, True


def _through(
    groups: list[Group], plan: ReadingPlan, work: Work, described: dict[str, str]
) -> Iterator[tuple[Group, list[Done]]]:
    ray = _ray()
    nodes = ray.cluster_resources()
    cores, cards = int(nodes.get("CPU", 1)), int(nodes.get("GPU", 0))
    on_cards = cards > 0 and work.options.device in ("auto", "cuda")
    # One core is left to those that read. They count for none, or the pool could take the last one
    # after a node was lost, and both would wait for ever.
    most = cards if on_cards else max(1, cores - 1)
    each: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0} if on_cards else {"num_cpus": 1}
    options = work.options if on_cards else replace(work.options, device="cpu")
    _quiet(ray)
    found = (
        ray.data.from_items(
            [{_CONTENT: pickle.dumps(group)} for group in groups], override_num_blocks=len(groups)
        )
        .map(partial(_read, plan=plan), num_cpus=0, concurrency=max(2, cores // 4))
        .map_batches(
            _Pooled,
            fn_constructor_args=(replace(work, options=options, networks=()), described),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(most, len(groups))),
            batch_size=1,
            **each,
        )
    )
    try:
        for row in found.iter_rows():
            group, done = pickle.loads(row[_CONTENT])
            if isinstance(done, str):
                raise BatchError(done)
            yield group, done
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[-1].rstrip(".")
        raise BatchError(
            f"The cluster gave up ({type(error).__name__}: {why}); start again to go on."
        ) from error


_readers: dict[str, Readers] = {}


def _read(row: dict[str, Any], plan: ReadingPlan) -> dict[str, Any]:
    """A task of the cluster: read one group, in a process that a broken file may crash."""
    readers = _readers.setdefault(plan.key, Readers(plan, 1))
    group: Group = pickle.loads(row[_CONTENT])
    for read in readers.read(iter([group])):
        if read is not None:
            return {_CONTENT: pickle.dumps(read)}
    raise RuntimeError("nothing was read")


class _Pooled:
    """One of the pool: it loads the networks once, then takes group after group."""

    def __init__(self, work: Work, described: dict[str, str]) -> None:
        networks = Networks.of(work.options)
        self._work = replace(work, networks=networks.loaded)
        self._wrong = ""
        if networks.described != described:
            self._wrong = (
                f"The networks on {socket.gethostname()} have other weights than here; install the "
                "same nlviz and files on each node."
            )

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        content = []
        for each in batch[_CONTENT]:
            read: tuple[Group, tuple[Reading, ...]] = pickle.loads(each)
            group, readings = read
            done = self._wrong or [_light(made) for made in self._work.on(readings)]
            content.append(pickle.dumps((group, done)))
        return {_CONTENT: content}


def _light(done: Done) -> Done:
    """Without the frames, which need not go back."""
    return replace(done, reading=done.reading.without_frames())


def _ray() -> Any:
    """Ray, with its data; both are there only where the extra is."""
    with suppress(ModuleNotFoundError):
        import_module("ray.data")
    return import_module("ray")


def _quiet(ray: Any) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@contextmanager
def _joined(address: str) -> Iterator[None]:
    """In a cluster for as long as the context lasts; one that was joined before stays joined."""
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    if address:
        _check(address)
    there = address or _running_here()
    how: dict[str, Any] = {"address": there, "log_to_driver": False, "logging_level": "ERROR"}
    how["runtime_env"] = {"env_vars": {"PYTHONPATH": _python_path()}}
    if there == "local":
        how["include_dashboard"] = False
    try:
        ray.init(**how)
    except Exception as error:  # noqa: BLE001 (Ray raises plain exceptions)
        why = str(error).strip().partition("\n")[0].rstrip(".")
        if there == "local":
            raise BatchError(
                f"Ray could not be started here ({why}); try again when this machine has less to "
                "do, or leave out --ray."
            ) from None
        raise _no_answer(address, why) from None
    try:
        yield
    finally:
        ray.shutdown()


def _python_path() -> str:
    """Where nlviz lies, for nodes on this machine that do not have it installed."""
    home = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))


def _running_here() -> str:
    """The cluster that this machine is a part of; ``"local"`` to start one where there is none."""
    named = os.environ.get("RAY_ADDRESS")
    if named:
        _check(named)
        return named
    try:
        found = Path("/tmp/ray/ray_current_cluster").read_text().strip()
        _check(found)
        return found
    except (OSError, BatchError):
        return "local"


def _check(address: str) -> None:
    """BatchError where no cluster answers; Ray itself would wait for a minute, or die."""
    if address == "auto":
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise BatchError(f"'{address}' is no address of a Ray cluster; write HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_answer(address, getattr(error, "strerror", None) or str(error)) from None
    if "://" in address:
        return
    asked = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(asked, capture_output=True, timeout=_HEALTH)
    except subprocess.TimeoutExpired:
        raise _no_answer(address, "timed out") from None
    if done.returncode:
        raise _no_answer(address, "what listens there is no Ray of this version")


def _no_answer(address: str, why: str) -> BatchError:
    at = f"at '{address}'" if address else "here"
    return BatchError(
        f"No Ray cluster answers {at} ({why}); check that it runs (ray status), or give --ray "
        "without an address to start one."
    )
