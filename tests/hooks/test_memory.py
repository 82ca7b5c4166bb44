"""Too little memory is known by all its names, and told in one sentence by every pass."""

from __future__ import annotations

import errno

import cv2
import numpy as np
import pytest
import torch

import nlviz
from nlviz.hooks.memory import enough_memory, is_out_of_memory
from nlviz.hooks.nonlocal_blocks import conventions, listener
from tests.support import make

CLIP = make.clip(frames=3, width=32, height=24)
# What the allocators and libraries say, as in their sources.
SAID = {
    "CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "CUDA, of a kernel": RuntimeError("CUDA error: out of memory"),
    "cuBLAS": RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB, max allowed: 18 GB)"),
    "MPS, one tensor": RuntimeError("Invalid buffer size: 24.00 GB"),
    "CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 4000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "CPU on Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    "Python": MemoryError(),
    "NumPy": MemoryError("Unable to allocate 5.8 TiB for an array with shape (2000, 20000)"),
    "the system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "OpenCV": cv2.error("(-4:Insufficient memory) Failed to allocate 4000000 bytes"),
}
OTHERS = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    ValueError("memory must be 'sparse' or 'dense'"),
    OSError(errno.ENOSPC, "No space left on device"),
    nlviz.CaptureError("The module ran out of memory of what it saw."),
]


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
def test_too_little_memory_is_known_by_all_its_names(error):
    assert is_out_of_memory(error)
    sentence = r"^Not enough memory for a test; take fewer frames or a smaller input size\.$"
    with pytest.raises(nlviz.BudgetError, match=sentence), enough_memory("a test"):
        raise error
    with pytest.raises(nlviz.BudgetError), enough_memory("a test"):
        raise RuntimeError("stage 3 failed") from error


@pytest.mark.parametrize("allocate", [lambda: torch.empty(10**15), lambda: np.empty(10**15)])
def test_what_this_machine_says_is_known(allocate):
    with pytest.raises(nlviz.BudgetError), enough_memory("a test"):
        allocate()


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_left_as_they_are(error):
    with pytest.raises(type(error)) as seen, enough_memory("a test"):
        raise error
    assert seen.value is error


def test_what_failed_lets_its_memory_go():
    class Large:
        alive = 0

        def __init__(self):
            Large.alive += 1

        def __del__(self):
            Large.alive -= 1

    def fails():
        held = Large()
        assert held.alive == 1
        raise MemoryError

    with pytest.raises(nlviz.BudgetError) as seen, enough_memory("a test"):
        fails()
    assert seen.value.__cause__ is not None
    assert Large.alive == 0


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
@pytest.mark.parametrize(
    ("place", "name"), [(listener, "first_tensor"), (conventions, "_stitched")]
)
def test_a_look_that_runs_out_of_memory_refuses_no_block(error, place, name, monkeypatch):
    def fails(*_):
        raise error

    network = make.network()
    monkeypatch.setattr(place, name, fails)
    with pytest.raises(nlviz.BudgetError, match=r"^Not enough memory for 3 frames at 32×24"):
        nlviz.analyse(CLIP, network, size=32)


def runs(analysis, network):
    """Every pass of a network there is, by the start of the sentence that it ends in."""
    query = nlviz.Query(nlviz.Point(5, 12, 9), "second")
    return {
        "3 frames at 32×24": lambda: nlviz.analyse(CLIP, network, size=32),
        "passes without each block": lambda: nlviz.effects(analysis, network),
        "what each place adds": lambda: nlviz.with_sizes(analysis, network),
        "masking keys of block 'second'": lambda: nlviz.faithfulness(analysis, network, query),
        "the baseline 'cosine' of block 'second'": lambda: nlviz.baseline(
            analysis, network, "second", "cosine"
        ),
        "the baseline 'shuffled' of block 'second'": lambda: nlviz.baseline(
            analysis, network, "second", "shuffled"
        ),
        "the receptive field of 'second'": lambda: nlviz.receptive_field(
            analysis, network, "second", query.point
        ),
    }


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
def test_every_pass_says_it_in_one_sentence(error):
    network = make.network()
    analysis = nlviz.analyse(CLIP, network, size=32)

    def fails(*_):
        raise error

    network.module.first.register_forward_pre_hook(fails)
    for what, run in runs(analysis, network).items():
        with pytest.raises(nlviz.BudgetError, match=f"^Not enough memory for {what}; take fewer"):
            run()
