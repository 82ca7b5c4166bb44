"""Which modules are running where an attention is computed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import nn

from nlviz.hooks.module_calls import this_thread


class ModuleStack:
    """The modules that are running, outermost first, with their paths."""

    def __init__(self) -> None:
        self.stack: list[tuple[str, nn.Module]] = []

    def attach(self, module: nn.Module, hooks: ExitStack) -> None:
        """Follow every sub-module that has children; the hooks leave with ``hooks``."""
        for path, part in module.named_modules():
            if path and not any(part.children()):
                continue
            name = path or type(module).__name__
            enter, leave = this_thread(self._enterer(name)), this_thread(self._leave)
            hooks.callback(part.register_forward_pre_hook(enter).remove)
            hooks.callback(part.register_forward_hook(leave, always_call=True).remove)

    def _enterer(self, name: str) -> Any:
        def enter(module: nn.Module, *_: Any) -> None:
            self.stack.append((name, module))

        return enter

    def _leave(self, module: nn.Module, *_: Any) -> None:
        while self.stack and self.stack.pop()[1] is not module:
            pass

    @property
    def name(self) -> str:
        """The path of the module that is running."""
        return self.stack[-1][0] if self.stack else "attention"
