"""Hooks in, affinities out, hooks off: see any module's attention without editing it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import nn

from nlviz.about import SIMILARITY
from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.hooks.attention.calls import Attended, Watch
from nlviz.hooks.attention.module_stack import ModuleStack
from nlviz.hooks.attention.recompute import affinity_of as attention_affinity_of
from nlviz.hooks.batch import Sample
from nlviz.hooks.features import LayerFeatures, hearing_layers, layer_at
from nlviz.hooks.memory import is_out_of_memory
from nlviz.hooks.module_calls import first_tensor, unknown_way
from nlviz.hooks.nonlocal_blocks.conventions import affinity_of
from nlviz.hooks.nonlocal_blocks.listener import Listener
from nlviz.hooks.nonlocal_blocks.parts import LOOKED_FOR, BlockParts, Pass
from nlviz.hooks.nonlocal_blocks.placing import lying as lying_of
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.notes import on_our_own
from nlviz.query import similarity_of

FOLLOWED = "followed from the input through every operation"
PUT_BACK = f"{FOLLOWED}, and put back where they look"
TILED = "those of the feature map that it takes, laid evenly over the input"
RECORDED = "the network's own record"


@dataclass(frozen=True, slots=True)
class Capture:
    """What one forward pass showed.

    Args:
        output: what the module's forward returned.
        affinities: block name → Affinity, in order of use; the name is the module's path, and a
            block that ran again in the same pass is numbered: ``nl``, ``nl#2``.
        fidelity: block name → ‖row · g − y‖ over some queries, y being what the block put into
            its output projection, relative to the size of y without what all queries have in
            common: about 1e-6 in float32 where the capture is right; None for the similarity of a
            layer's features, which no network computes.
        refused: block name → why nlviz found the block but could not reproduce it; it never draws
            such a block.
        kinds: block name → what it is, in a few words.
        places: block name → how it is known where its queries and keys lie: ``FOLLOWED``,
            ``PUT_BACK`` (a block with another order than the picture's), ``TILED`` or ``RECORDED``.
    """

    output: Any
    affinities: Mapping[str, Affinity]
    fidelity: Mapping[str, float | None]
    refused: Mapping[str, str]
    kinds: Mapping[str, str]
    places: Mapping[str, str]


def capture(
    module: nn.Module,
    inputs: Any,
    *,
    sample: int | None = 0,
    recorded: Collection[str] = (),
    layout: str | None = None,
    features: Sequence[str] = (),
) -> Capture:
    """Run a module once and keep the affinity of every non-local block and attention in it.

    A block is any sub-module whose children are named as in the paper: g and an output projection,
    θ and φ unless it is Gaussian, ``concat_project`` if it concatenates; or as in CCNet or GCNet.
    nlviz finds its pairwise function and scale by recomputing the block's own y and keeping what
    reproduces it. It sees self-attention where it is computed, fused or written out, whatever the
    module, and recomputes its output likewise. It follows each place of the input through every
    operation to the slots of queries and keys, and draws them there; where one cannot be followed
    it refuses the block.

    The module runs in evaluation mode without gradients; nlviz leaves its training mode, parameters
    and hooks as they were, also after an error. Passes over one module wait for each other, and
    calls from other threads go unseen.

    Args:
        module: any module with non-local blocks or attention in it, or a block itself.
        inputs: what to call it with: a tensor, a tuple of arguments or a mapping of keywords.
        sample: which element of the batch to keep; None if the whole batch is one clip, whose
            elements follow each other in time.
        recorded: names of blocks of which the caller knows where they lie.
        layout: the axes of the first picture or clip, a letter of "BCTHW" for each, as "BTCHW";
            None where its shape tells, with the channels of the module's first convolution.
        features: paths of layers, as ``named_modules`` has them: the cosines of what each puts out
            become a block called ``"PATH (similarity)"``, behind the others. It is no weight of the
            network, and its places are followed as all others are.

    Raises:
        CaptureError: no block was found, none ran, or none was understood; a layout that does not
            fit the input; a path that names no layer.
    """
    for path in features:
        layer_at(module, path)
    blocks = {
        name or type(block).__name__: parts
        for name, block in module.named_modules()
        if (parts := BlockParts.of(block)) is not None
    }
    given = first_tensor(_several(inputs))
    batch = len(given) if given is not None and given.ndim else 1
    log = _Log(module, Sample(sample, batch, first=given is not None and given.ndim >= 4), recorded)
    with evaluating(module):
        unknown = bool(features) or not blocks or not {*blocks} <= {*recorded}
        places = Places(module, _several(inputs), wanted=unknown, layout=layout)
        with log.hearing_features(features, places), log.listening(blocks, places):
            output = _call(module, inputs)
        return log.understood(output, tuple(blocks))


def capture_each(
    module: nn.Module, batch: torch.Tensor, recorded: Collection[str]
) -> list[Capture]:
    """Run a module once on a batch of clips and keep what ``capture`` would of each of them.

    Args:
        module: a module whose blocks are all ``recorded``, so that no place need be followed.
        batch: (B, …), each element one clip.
        recorded: names of its blocks.

    Returns:
        one for each element, in order; ``output`` is its own part of the module's.

    Raises:
        CaptureError: as ``capture``, or a module with other blocks.
    """
    blocks = {
        name: parts
        for name, block in module.named_modules()
        if (parts := BlockParts.of(block)) is not None
    }
    if not blocks or not {*blocks} <= {*recorded}:
        raise CaptureError("Only a module whose blocks are all recorded takes clips together.")
    count = len(batch)
    logs = [_Log(module, Sample(number, count), recorded) for number in range(count)]
    with evaluating(module):
        places = Places(module, (batch,), wanted=False)
        with ExitStack() as contexts:
            for log in logs:
                contexts.enter_context(log.hearing(blocks, places))
            output = module(batch)
        return [log.understood(output[i : i + 1], tuple(blocks)) for i, log in enumerate(logs)]


def _several(inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, Mapping):
        return tuple(inputs.values())
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _call(module: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


# Two captures at once would see each other's training mode, if only of a shared sub-module.
_one_at_a_time = threading.RLock()

surroundings: WeakKeyDictionary[nn.Module, Callable[[], AbstractContextManager[None]]]
surroundings = WeakKeyDictionary()
"""What a module's code needs around it while it runs, as its loader says."""


_COMPILED = (
    "The module, or a part of it, was made by {}: compiled code cannot be looked into; give the "
    "Python module that it was made of."
)


def _may_compile() -> bool:
    """Whether anything may be compiled here; torch's compiler takes seconds to import."""
    compiling = ("torch._dynamo", "torch.nn.attention.flex_attention")
    return any(name in sys.modules for name in compiling)


@contextmanager
def _as_written() -> Iterator[None]:
    """What is compiled runs as it was written meanwhile, also what a forward pass compiles."""
    original, thread = torch.compile, threading.get_ident()
    with ExitStack() as stances:

        def eagerly() -> None:
            stances.enter_context(torch.compiler.set_stance("force_eager"))

        def compiling(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == thread:
                torch.compile = original
                eagerly()
            return original(*args, **kwargs)

        if _may_compile():
            eagerly()
        else:
            torch.compile = compiling
        try:
            yield
        finally:
            torch.compile = original


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, one thread at a time; restores the mode at the end.

    What the user compiled runs as it was written meanwhile: hooks see nothing of compiled code.

    Raises:
        CaptureError: code that torch has scripted, traced or exported, which cannot be seen.
    """
    if any(isinstance(m, torch.jit.ScriptModule) for m in module.modules()):
        raise CaptureError(_COMPILED.format("TorchScript (torch.jit)"))
    with (
        _one_at_a_time,
        surroundings.get(module, nullcontext)(),
        torch.no_grad(),
        _as_written(),
    ):
        modes = {m: m.training for m in module.modules()}
        try:
            try:
                module.eval()
            except NotImplementedError:  # what torch.export makes has but one mode
                raise CaptureError(_COMPILED.format("torch.export")) from None
            yield
        finally:
            for m, training in modes.items():
                m.training = training


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


class _Log:
    """What a forward pass has shown so far, in order of use."""

    def __init__(self, module: nn.Module, sample: Sample, recorded: Collection[str]) -> None:
        self.module, self.sample, self.recorded = module, sample, recorded
        self.affinities: dict[str, Affinity] = {}
        self.fidelity: dict[str, float | None] = {}
        self.refused: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.features: dict[str, Affinity] = {}
        self.refused_features: dict[str, str] = {}

    @contextmanager
    def hearing_features(self, paths: Sequence[str], places: Places) -> Iterator[None]:
        """Hooks on some layers, whose features are kept for as long as the context lasts.

        Calls that each see other cells of one grid, as frame by frame, are one map.
        """
        maps: dict[str, LayerFeatures] = {}
        last: dict[str, str] = {}  # of a layer, the map that its further calls may belong to

        def heard(path: str, read: Callable[[], LayerFeatures]) -> None:
            layer = path.partition("#")[0]
            with self._telling_layer(path):
                with on_our_own():
                    more = read()
                whole = maps[last[layer]].with_call(more) if layer in last else None
                last[layer] = path if whole is None else last[layer]
                maps[last[layer]] = more if whole is None else whole

        with hearing_layers(self.module, paths, places, self.sample, heard):
            yield
        for path, features in maps.items():
            with self._telling_layer(path):
                self.features[similarity_of(path)] = features.similarity()
        for path in paths:
            name = similarity_of(path)
            if name not in self.features and name not in self.refused_features:
                self.refused_features[name] = f"Layer {path!r} did not run in this forward pass."

    @contextmanager
    def _telling_layer(self, path: str) -> Iterator[None]:
        """What goes wrong with a layer's features is why it is refused."""
        try:
            yield
        except CaptureError as why:
            self.refused_features[similarity_of(path)] = f"Layer {path!r} {why}."
        except Exception as fault:
            if is_out_of_memory(fault):
                raise
            told = f"Layer {path!r} {unknown_way(fault)}."
            self.refused_features[similarity_of(path)] = told

    @contextmanager
    def listening(self, blocks: Mapping[str, BlockParts], places: Places) -> Iterator[None]:
        """Hooks on every block, and a watch on attention, for as long as the context lasts."""
        running = ModuleStack()
        inside = {id(parts.block) for parts in blocks.values()}

        def attended(call: Attended | str) -> None:
            if not any(id(module) in inside for _, module in running.stack):
                name = running.name
                how = RECORDED if name in self.recorded else FOLLOWED
                self._keep(
                    name,
                    "self-attention",
                    lambda: (*attention_affinity_of(call, places, self.sample), how),
                )

        watch = Watch(attended, places)
        with ExitStack() as hooks:
            running.attach(self.module, hooks)
            hooks.enter_context(self.hearing(blocks, places))
            hooks.enter_context(places.outside.hearing_scripts(places.holds))
            hooks.enter_context(watch)
            yield

    @contextmanager
    def hearing(self, blocks: Mapping[str, BlockParts], places: Places) -> Iterator[None]:
        """Hooks on every block, for as long as the context lasts."""

        def ended(a_pass: Pass) -> None:
            self._keep(a_pass.name, a_pass.kind, lambda: self._placed(a_pass, places))

        with ExitStack() as hooks:
            for name, parts in blocks.items():
                Listener(name, parts, self.sample, places, ended).attach(hooks)
            yield

    def _placed(self, a_pass: Pass, places: Places) -> tuple[Affinity, float, str]:
        affinity, error = affinity_of(a_pass)
        if a_pass.name in self.recorded:
            return affinity, error, RECORDED
        lying = lying_of(affinity, a_pass, places, self.sample)
        if lying is None:
            return affinity, error, TILED
        in_order = np.shares_memory(lying.theta, affinity.theta)
        return lying, error, FOLLOWED if in_order else PUT_BACK

    def _keep(
        self, name: str, kind: str, settling: Callable[[], tuple[Affinity, float, str]]
    ) -> None:
        count = 1
        numbered = name
        while numbered in self.kinds:
            count += 1
            numbered = f"{name}#{count}"
        self.kinds[numbered] = kind
        try:
            # NumPy's threads go on spinning after a product, and take the cores from torch's.
            with on_our_own(), _pools().limit(limits=1, user_api="blas"):
                affinity, error, how = settling()
            self.affinities[numbered], self.fidelity[numbered] = affinity, error
            self.places[numbered] = how
        except CaptureError as why:
            self.refused[numbered] = f"Block {numbered!r} {why}."
        except Exception as fault:
            if is_out_of_memory(fault):
                raise
            self.refused[numbered] = f"Block {numbered!r} {unknown_way(fault)}."

    def understood(self, output: Any, found: tuple[str, ...]) -> Capture:
        """The capture; CaptureError if there is nothing in it."""
        self.affinities |= self.features
        self.refused |= self.refused_features
        self.fidelity |= dict.fromkeys(self.features)
        self.places |= dict.fromkeys(self.features, FOLLOWED)
        self.kinds |= dict.fromkeys((*self.features, *self.refused_features), SIMILARITY)
        if not self.kinds:
            if found:
                raise CaptureError(
                    "No non-local block ran in this forward pass; the module has "
                    f"{', '.join(found)}."
                )
            raise CaptureError(
                f"No non-local block was found in {type(self.module).__name__}, and no "
                f"self-attention was seen: none of its sub-modules has {LOOKED_FOR}, and nothing "
                "called scaled_dot_product_attention or took a softmax of query–key products "
                "where nlviz can look: in Python, in the thread of the call. Kernels of other "
                "packages (flash-attn, xFormers) and scripted functions cannot be looked into. The "
                "features of any layer can be asked instead: features=['PATH'], --features PATH, "
                "or in the app 'Similarity of a layer'."
            )
        if not self.affinities:
            raise CaptureError("No block was understood: " + " ".join(self.refused.values()))
        return Capture(
            output,
            MappingProxyType(self.affinities),
            MappingProxyType(self.fidelity),
            MappingProxyType(self.refused),
            MappingProxyType(self.kinds),
            MappingProxyType(self.places),
        )
