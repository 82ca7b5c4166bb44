"""The networks that the app runs: loaded once for all who may use them, and run one at a time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from nlviz.app import startup, store, torch_loading
from nlviz.app.choice import OwnWeights
from nlviz.errors import NetworkError
from nlviz.models import zoo
from nlviz.progress import Progress

if TYPE_CHECKING:
    import torch

_PATIENCE = 0.1  # seconds between two checks whether the visitor has chosen something else

_waiting: list[object] = []  # one for each who waits to run a network
_fingerprints: dict[str, str] = {}  # name → that of the weights that were loaded last


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A network and the fingerprint of its weights, which tells it from one of the same name."""

    network: Any
    fingerprint: str


def loaded(name: str, weights: OwnWeights | None = None) -> Loaded:
    """A network, shared by all visitors; NetworkError if it cannot be loaded.

    The one that the app was started with stays for as long as the server runs: its file is run
    once, for nothing says that a second run gives the same weights. With ``weights`` it is a
    visitor's own network, which ``keep`` was given.
    """
    if weights is not None:
        return _of_visitor(name, weights)
    # A file is run for its owner alone, who named it at the start: never for what an address names.
    return _own(name) if startup.is_user_model(name) else _of_zoo(name)


def network(name: str, weights: OwnWeights | None = None) -> Any:
    """A loaded network; NetworkError if it cannot be loaded."""
    return loaded(name, weights).network


def known(name: str) -> str | None:
    """The fingerprint of a network that was loaded before; None where none was."""
    return _fingerprints.get(name)


def keep(name: str, weights: OwnWeights, made: Any) -> bool:
    """Keep a visitor's own network in the store of all; False where it does not fit into it.

    Only who has the very same file finds it there, and under the name of their own file.
    """
    return store.shared().put(("network", name, weights.checksum), made)


def _of_visitor(name: str, weights: OwnWeights) -> Loaded:
    made = store.shared().get(("network", name, weights.checksum))
    if made is None:
        raise NetworkError(
            f"The weights '{weights.file}' had to make room for what others look at; upload them "
            "again in the sidebar."
        )
    return Loaded(replace(made, name=weights.of(name)), weights.checksum)


@st.cache_resource(show_spinner=False)
def _own(name: str) -> Loaded:
    return _marked(name, startup.load(name))


@st.cache_resource(show_spinner=False, max_entries=2)
def _of_zoo(name: str) -> Loaded:
    return _marked(name, zoo.load(name))


def _marked(name: str, made: Any) -> Loaded:
    _fingerprints[name] = fingerprint(made.module)
    return Loaded(made, _fingerprints[name])


def fingerprint(module: torch.nn.Module) -> str:
    """A hash of everything in the module's state; 0.1 s for 100 MB."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            if not (value.is_meta or value.is_sparse or value.is_quantized):
                plain = value.detach().cpu().contiguous().flatten()
                digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()


@st.cache_resource(show_spinner=False)
def _inference_lock() -> threading.Lock:
    return threading.Lock()


def is_wanted() -> bool:
    """Whether somebody waits to run a network."""
    return bool(_waiting)


@contextmanager
def one_at_a_time(progress: Progress) -> Iterator[Progress]:
    """Hold this to run a network; ``progress`` is told while somebody else does.

    Report to what it gives: that is told again between two modules of a pass as well, so that
    whoever wants it stopped need not wait for the end of the pass.
    """
    torch_loading.wait(progress)
    from torch.nn.modules.module import register_module_forward_pre_hook

    last = (0.05, "Waiting for another computation to end")
    lock = _inference_lock()
    turn = object()
    _waiting.append(turn)
    try:
        while not lock.acquire(timeout=_PATIENCE):
            progress(*last)
    finally:
        _waiting.remove(turn)

    def told(fraction: float, what: str) -> None:
        nonlocal last
        last = fraction, what
        progress(fraction, what)

    last = 0.05, "Running the network"
    here, next_look = threading.get_ident(), 0.0

    def between(module: torch.nn.Module, given: object) -> None:
        nonlocal next_look
        if threading.get_ident() == here and (now := time.monotonic()) >= next_look:
            next_look = now + _PATIENCE
            progress(*last)

    hook = None
    try:
        hook = register_module_forward_pre_hook(between)
        yield told
    finally:
        if hook is not None:
            hook.remove()
        lock.release()
