"""What a hook sees of a module's calls."""

from __future__ import annotations

import threading

import torch

from nlviz.hooks.module_calls import first_tensor, this_thread


def test_a_hook_hears_its_own_thread_alone():
    heard = []
    hook = this_thread(lambda *args, **kwargs: heard.append((args, kwargs)) or "changed")
    assert hook(1, two=2) == "changed"
    answers = []
    other = threading.Thread(target=lambda: answers.append(hook(3)))
    other.start()
    other.join()
    assert answers == [None]
    assert heard == [((1,), {"two": 2})]


def test_the_first_tensor_is_found_among_arguments_then_keywords():
    x, y = torch.zeros(1), torch.ones(1)
    assert first_tensor((None, x), {"y": y}) is x
    assert first_tensor((), {"mask": None, "y": y}) is y
    assert first_tensor((1, "two")) is None
