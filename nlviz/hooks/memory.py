"""Memory around passes of a network: too little of it, told in one sentence, and given back."""

from __future__ import annotations

import ctypes
import errno
import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nlviz.errors import BudgetError, NlvizError

# In the words of torch on CUDA, ROCm, XPU and MPS ("… out of memory", "Invalid buffer size"), of
# CUDA's libraries, and of the CPU's allocators on each system.
_WORDS = (
    "out of memory",
    "invalid buffer size",
    "status_alloc_failed",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
    "bad_alloc",
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory was short, or was raised from one that does."""
    while error is not None and not isinstance(error, NlvizError):
        if (
            isinstance(error, MemoryError)
            or type(error).__name__ == "OutOfMemoryError"
            or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
            or any(word in str(error).lower() for word in _WORDS)
        ):
            return True
        error = error.__cause__
    return False


@contextmanager
def enough_memory(needed_for: str) -> Iterator[None]:
    """Turns too little memory into a BudgetError that says what it was needed for.

    What the failed calls held is let go, so that the memory is there for a smaller try.

    Args:
        needed_for: "8 frames at 320×180", say.

    Raises:
        BudgetError: something inside ran out of memory.
    """
    try:
        yield
    except NlvizError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        raise BudgetError(
            f"Not enough memory for {needed_for}; take fewer frames or a smaller input size."
        ) from error


def give_back() -> None:
    """Free what nobody can reach any more, and give memory that is free back to the system."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc can be asked
        ctypes.CDLL(None).malloc_trim(0)
