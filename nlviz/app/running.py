"""The networks that the app runs: loaded once for all who may use them, and run one at a time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from nlviz.app import named, startup, store, torch_loading, turns
from nlviz.app.choice import Choice, OwnWeights
from nlviz.app.meters import METERS
from nlviz.errors import NetworkError
from nlviz.inference.by_name.spec import is_by_name
from nlviz.models import zoo
from nlviz.progress import Progress, silent

if TYPE_CHECKING:
    import torch

_PATIENCE = 0.1  # seconds between two checks whether the visitor has chosen something else
_PASS = turns.Kind("pass")

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
    by_name = not startup.is_user_model(name) and is_by_name(name)
    may = named.may_load(name) if by_name else startup.may_choose(name)
    if not (startup.is_user_model(name) or may):
        raise NetworkError(f"This server does not offer the network '{name:.60}'.")
    if by_name:
        return _by_name(name, silent)
    if weights is not None:
        return _of_visitor(name, weights)
    # A file is run for its owner alone, who named it at the start: never for what an address names.
    return _own(name) if startup.is_user_model(name) else _of_zoo(name)


def network(name: str, weights: OwnWeights | None = None) -> Any:
    """A loaded network; NetworkError if it cannot be loaded."""
    return loaded(name, weights).network


def reads_words(made: Any) -> bool:
    """Whether a loaded network is a vision-language model, which is asked in words."""
    from nlviz.language.vision_language import VisionLanguage

    return isinstance(made, VisionLanguage)


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
    return _marked(name, startup.load)


@st.cache_resource(show_spinner=False, max_entries=2)
def _of_zoo(name: str) -> Loaded:
    return _marked(name, zoo.load)


def load_by_name(spec: str, progress: Progress) -> Any:
    """A network by name, loaded once for all, in a turn of its own.

    Raises:
        NetworkError: it is not offered here, or cannot be loaded.
    """
    if not named.may_load(spec):
        raise NetworkError(f"This server does not offer the network '{spec:.60}'.")
    with one_at_a_time(progress, turns.Kind("by name")) as told:
        told(0.1, f"loading {spec}")
        return _by_name(spec, told).network


@st.cache_resource(show_spinner=False, max_entries=2)
def _by_name(spec: str, _progress: Progress) -> Loaded:
    from nlviz.inference.by_name.load import Wanted, load_by_name
    from nlviz.language.vision_language import is_vision_language, load_vision_language

    download = named.may_download()
    if is_vision_language(spec, download=download, progress=_progress):
        load = partial(load_vision_language, download=download, progress=_progress)
        return _marked(spec, load)
    wanted = Wanted(trust=startup.trusted(), download=download, progress=_progress)
    return _marked(spec, lambda name: load_by_name(name, wanted))


def _marked(name: str, load: Callable[[str], Any]) -> Loaded:
    began = time.monotonic()
    made = load(name)
    _fingerprints[name] = fingerprint(made.module)
    METERS.stage("load", time.monotonic() - began)
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


def kind_of(stage: str, choice: Choice) -> turns.Kind:
    """What tells how long some work on a choice takes."""
    return turns.Kind(stage, (choice.model, choice.size, choice.layer, choice.part.frames))


@contextmanager
def one_at_a_time(progress: Progress, kind: turns.Kind = _PASS) -> Iterator[Progress]:
    """Hold this to run a network; ``progress`` is told the place in the queue until then.

    Report to what it gives: that is told again between two modules of a pass as well, so that
    whoever wants it stopped need not wait for the end of the pass. ``kind`` tells how long it
    will take: the next who wait are told so.
    """
    torch_loading.wait(progress)
    with turns.shared().take(kind, progress), _told_between_modules(progress) as told:
        yield told


@contextmanager
def _told_between_modules(progress: Progress) -> Iterator[Progress]:
    from torch.nn.modules.module import register_module_forward_pre_hook

    last = (0.05, "Running the network")

    def told(fraction: float, what: str) -> None:
        nonlocal last
        last = fraction, what
        progress(fraction, what)

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
