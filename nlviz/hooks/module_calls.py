"""What a hook sees of a module's calls: those of its own thread alone, and their first tensor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor


def this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, deaf to every thread but the one that this function is called on.

    Torch may still call a hook that was removed while another thread's pass was under way, and
    then without the keywords: the hook needs a default for them.
    """
    thread = threading.get_ident()

    def heard(*args: Any, **kwargs: Any) -> Any:
        return hook(*args, **kwargs) if threading.get_ident() == thread else None

    return heard


def unknown_way(fault: Exception, what: str = "works") -> str:
    """Why a block is refused where looking at it failed, which must not end the module's pass."""
    words = str(fault).strip().splitlines()[:1] or [""]
    return f"{what} in a way that nlviz does not know ({type(fault).__name__}: {words[0]})"


def tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among some values, and in the tuples, lists and mappings among them."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += tensors(value)
        elif isinstance(value, Mapping):
            found += tensors(value.values())
    return found


def first_tensor(args: Any, kwargs: Any = None) -> Tensor | None:
    """The first tensor that a module is called with."""
    values = (*args, *(kwargs or {}).values())
    return next((value for value in values if isinstance(value, Tensor)), None)
