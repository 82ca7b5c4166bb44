"""PyTorch, loaded once for the server, in a thread of its own: the first picture needs none of it.

Whatever runs a network waits for it here and says so; nothing else does.
"""

from __future__ import annotations

import logging
import sys
import threading
from importlib import import_module

from nlviz.inference import cores
from nlviz.progress import Progress

logger = logging.getLogger("nlviz")

WORD = "Loading the network"
_PATIENCE = 0.1  # seconds between two reports
_MODULES = ("torch", "nlviz.inference.loading", "nlviz.inference.forward")

_lock = threading.Lock()
_thread: threading.Thread | None = None


def begin() -> None:
    """Load it in the background; the second call and all others do nothing."""
    _begun()


def wait(progress: Progress) -> None:
    """Until it is loaded, which begins now if it has not; ``progress`` is told meanwhile.

    What ``progress`` raises ends the waiting, and not the loading.
    """
    thread = _begun()
    while thread.is_alive():
        progress(0.02, WORD)
        thread.join(_PATIENCE)


def is_loaded() -> bool:
    """Whether it is there now, so that using it takes no time."""
    with _lock:
        loading = _thread is not None and _thread.is_alive()
    return not loading and _MODULES[-1] in sys.modules


def _begun() -> threading.Thread:
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_load, name="torch-loading", daemon=True)
            _thread.start()
        return _thread


def _load() -> None:
    cores.share()
    try:
        for name in _MODULES:
            import_module(name)
    except Exception:  # whoever needs it imports it again, and is told there
        logger.exception("PyTorch could not be loaded")
