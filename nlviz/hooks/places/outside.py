"""What leaves torch during a pass comes back without its places: numpy, vmap, TorchScript.

A tensor of which nothing is known is taken for a constant, as those are that a module makes itself.
Once something of the input has left, that is so only for those whose making was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import (
    get_unwrapped,
    is_functorch_wrapped_tensor,
    peek_interpreter_stack,
)
from torch.utils.weak import WeakTensorKeyDictionary

from nlviz.hooks.module_calls import tensors, this_thread

_LEAVES = {
    **dict.fromkeys(("numpy", "__array__", "__dlpack__"), "NumPy"),
    **{"tolist": "Python's numbers"},
}
_COMES_BACK = frozenset(("tensor", "as_tensor", "asarray"))


class Outside:
    """Whether something has left torch, and which tensors are constants nevertheless.

    Args:
        module: whose own tensors are constants.
    """

    def __init__(self, module: nn.Module) -> None:
        self.by: str | None = None
        self._module = module
        self._own: set[int] = set()
        self._made: Any = WeakTensorKeyDictionary()

    def left(self, name: str, given: Iterable[Tensor], holds: Callable[[Tensor], bool]) -> None:
        """See a call of a function of torch; ``holds`` tells if a tensor is of the input."""
        if name in _LEAVES:
            if any(map(holds, given)):
                self._leave(_LEAVES[name])
        elif peek_interpreter_stack() is not None and any(holds(_bare(each)) for each in given):
            self._leave("torch.func (vmap)")

    def made(self, name: str, tensor: Tensor) -> None:
        """A call put out a constant; from Python's numbers, if none of them was the input's."""
        if self.by is None or name not in _COMES_BACK:
            self._made[tensor] = True

    def has(self, tensor: Tensor) -> bool:
        """Whether a tensor of which nothing is known may hold what has left."""
        if self.by is None or tensor.numel() < 2 or not tensor.is_floating_point():
            return False
        return id(tensor) not in self._own and tensor not in self._made

    @contextmanager
    def hearing_scripts(self, holds: Callable[[Tensor], bool]) -> Iterator[None]:
        """Notice calls of scripted functions, which no function mode is told of."""
        kind: Any = torch.jit.ScriptFunction
        original = kind.__call__

        @this_thread
        def heard(args: Iterable[Any]) -> None:
            if any(map(holds, tensors(args))):
                self._leave("TorchScript")

        def called(function: Any, *args: Any, **kwargs: Any) -> Any:
            heard((*args, *kwargs.values()))
            return original(function, *args, **kwargs)

        kind.__call__ = called
        try:
            yield
        finally:
            kind.__call__ = original

    def _leave(self, by: str) -> None:
        if self.by is None:
            for module in self._module.modules():
                for value in (*module._buffers.values(), *vars(module).values()):
                    each = value if isinstance(value, (tuple, list)) else (value,)
                    self._own |= {id(one) for one in each if isinstance(one, Tensor)}
            self.by = by


def _bare(tensor: Tensor) -> Tensor:
    """The tensor that vmap and its like have wrapped."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    return tensor
