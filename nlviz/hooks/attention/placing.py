"""Which sequences of an attention belong to the sample, which are heads, and where slots lie."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nlviz.errors import CaptureError
from nlviz.hooks.attention.calls import Attended, Source
from nlviz.hooks.attention.logits import LogitTerms
from nlviz.hooks.batch import Sample
from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.layout import SlotLayout
from nlviz.hooks.places.notes import cores_of


def placed(
    call: Attended, places: Places, sample: Sample, *, apart: bool = False
) -> tuple[Attended, SlotLayout, SlotLayout]:
    """The call with the sample's sequences alone, and where its queries and keys lie.

    Sequences that have the very same cells are heads of one. Heads that have cells of their own
    are sequences.

    Args:
        call: what was computed.
        places: what the pass has shown of places.
        sample: what of each batch to keep.
        apart: a token is another one in each sequence.

    Raises:
        CaptureError: places that were lost on the way, or that make no grid.
    """
    queries = _slots(places, call.query_source, "queries")
    keys = _slots(places, call.key_source, "keys")
    if not all(_is_shared(places, slots) for slots in (queries, keys)):
        call, queries, keys = _spread(call), queries.flatten(0, 1), keys.flatten(0, 1)
    else:
        queries, keys = queries[:, 0], keys[:, 0]
    mine = _mine(places, sample, queries, keys)
    both = torch.cat([queries[mine], keys[mine]], dim=1)
    _, which = torch.unique(both, dim=0, return_inverse=True)
    groups = [mine[which == i] for i in dict.fromkeys(which.tolist())]
    fold = len(groups[0])
    if any(len(group) != fold for group in groups):
        raise CaptureError("has sequences that stand for the same places in different numbers")
    chosen = torch.stack(groups)  # (S, heads that were sequences)
    first = chosen[:, 0]
    alone = sample.number is not None
    layouts = places.laid_out(queries[first], keys[first], alone=alone, apart=apart)
    return _folded(call, chosen), *layouts


def _slots(places: Places, source: Source, what: str) -> Tensor:
    """(b, H, length) the place of each slot of queries or keys (b, H, length, width)."""
    _, known = cores_of(source.note, what)
    cores = [places.coordinates.mixed(core, [source.axes[-1] or 0]) for core in known]
    if len(cores) > 1:
        along = source.axes[-2] or 0
        cores = [core for core in cores if core.shape[along] > 1] or cores[:1]
    if len(cores) > 1:
        raise CaptureError(f"has {what} that are products of two sequences")
    return source.like(cores[0])


def _is_shared(places: Places, slots: Tensor) -> bool:
    """Whether all heads have the same slots (b, H, length).

    Learned vectors of each head's own are the same tokens, as weights of each head's own are.
    """
    other = slots != slots[:, :1]
    if not bool(other.any()):
        return True
    learned = places.coordinates.kind(slots) == Kind.TOKEN
    return bool(learned.all(1, keepdim=True).expand_as(other)[other].all())


def _mine(places: Places, sample: Sample, queries: Tensor, keys: Tensor) -> Tensor:
    """The sequences of the sample: those whose cells are, or its share of them in order."""
    count = len(queries)
    if sample.number is None:
        return torch.arange(count)
    if places.is_sequence:
        part = sample.elements(count)
        return torch.arange(part.start, part.stop)
    element = places.coordinates.centre(torch.cat([queries, keys], dim=1))[..., 0]
    least = torch.where(element.isnan(), torch.inf, element).amin(1)
    most = torch.where(element.isnan(), -torch.inf, element).amax(1)
    of_one = least == most
    if bool(of_one.all()):
        mine = torch.nonzero(least == sample.number)[:, 0]
    else:
        part = sample.elements(count)
        mine = torch.arange(part.start, part.stop)
    others = of_one[mine] & (least[mine] != sample.number)
    if not len(mine) or (count >= sample.batch and bool(others.any())):
        raise CaptureError(f"looks at no place of sample {sample.number} of the input")
    return mine


def _spread(call: Attended) -> Attended:
    """Every head as a sequence of its own."""
    terms = call.terms
    heads = call.query.shape[1]
    alike = terms.bias is None or bool((terms.bias == terms.bias[:1]).all())
    sink = terms.sink
    alike &= sink is None or bool((sink == sink[:1]).all())
    if not alike or not torch.allclose(terms.scale, terms.scale[:1], rtol=1e-4):
        raise CaptureError("has sequences with terms of their own in its logits")
    bias = None if terms.bias is None else terms.bias[:1]
    allowed = terms.allowed
    if allowed is not None:
        allowed = allowed.repeat_interleave(heads, dim=0)
    split = (call.query, call.key, call.value, call.output)
    query, key, value, output = (t.flatten(0, 1).unsqueeze(1) for t in split)
    return replace(
        call,
        query=query,
        key=key,
        value=value,
        terms=LogitTerms(
            terms.scale[:1], bias, allowed, terms.causal, None if sink is None else sink[:1]
        ),
        output=output,
    )


def _folded(call: Attended, chosen: Tensor) -> Attended:
    """Some sequences (S, F) alone, each F of them taken as heads."""
    fold = chosen.shape[1]
    if fold == 1 and torch.equal(chosen[:, 0], torch.arange(len(call.query))):
        return call  # all of them, as they are

    def taken(tensor: Tensor) -> Tensor:
        return tensor[chosen.to(tensor.device)].flatten(1, 2)

    terms = call.terms
    allowed = terms.allowed
    if allowed is not None:
        allowed = allowed[chosen]
        if not bool((allowed == allowed[:, :1]).all()):
            raise CaptureError("has heads with masks of their own")
        allowed = allowed[:, 0]
    bias = None if terms.bias is None else terms.bias.repeat(fold, 1, 1)
    sink = None if terms.sink is None else terms.sink.repeat(fold)
    if call.project is None:
        output = taken(call.output)
    elif fold == 1:
        output = call.output[chosen[:, 0].to(call.output.device)]
    else:
        raise CaptureError("has sequences that stand for the same places")
    return replace(
        call,
        query=taken(call.query),
        key=taken(call.key),
        value=taken(call.value),
        terms=LogitTerms(terms.scale.repeat(fold), bias, allowed, terms.causal, sink),
        output=output,
    )
