"""A network by name as a ``UserNetwork``: whatever its library, what it takes is its own record."""

from __future__ import annotations

from nlviz.inference.by_name.spec import Spec
from nlviz.inference.by_name.wanted import Wanted as Wanted
from nlviz.inference.to_device import move
from nlviz.inference.user_network import UserNetwork


def load_by_name(text: str, wanted: Wanted) -> UserNetwork:
    """The network of a spec, in evaluation mode, on its device.

    Raises:
        NetworkError: see ``nlviz.load``.
    """
    spec = Spec.of(text)
    network = _LOADERS[spec.library](spec, wanted)
    move(network.module.eval().requires_grad_(False), wanted.device)
    return network


def _timm(spec: Spec, wanted: Wanted) -> UserNetwork:
    from nlviz.inference.by_name.timm_models import load_timm

    return load_timm(spec, wanted)


def _hugging_face(spec: Spec, wanted: Wanted) -> UserNetwork:
    from nlviz.inference.by_name.hugging_face import load_hugging_face

    return load_hugging_face(spec, wanted)


def _torch_hub(spec: Spec, wanted: Wanted) -> UserNetwork:
    from nlviz.inference.by_name.torch_hub import load_torch_hub

    return load_torch_hub(spec, wanted)


_LOADERS = {"timm": _timm, "hf": _hugging_face, "torchhub": _torch_hub}
