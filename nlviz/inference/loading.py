"""The one way to a network: of the zoo, of a library by name, or FILE.py:FUNCTION of your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.errors import NetworkError
from nlviz.inference.by_name.spec import is_by_name as is_by_name
from nlviz.inference.by_name.spec import nearest_spec
from nlviz.inference.user_file import load_user_network as load_user_network
from nlviz.inference.user_network import Input, UserNetwork
from nlviz.media.sampling import Sampling

if TYPE_CHECKING:
    from nlviz.models.network import Network as ZooNetwork


def is_user_network(name: str) -> bool:
    """Whether a model's name is FILE.py:FUNCTION, and not one of the zoo's or a library's."""
    return not is_by_name(name) and (name.endswith(".py") or ".py:" in name)


def declares_its_input(spec: str) -> bool:
    """Whether what a network takes is known once it has been loaded: all but the zoo's."""
    return is_user_network(spec) or is_by_name(spec)


def load(
    spec: str,
    *,
    device: str = "auto",
    weights: str | Path | None = None,
    input: Input | Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
) -> ZooNetwork | UserNetwork:
    """A network that ``analyse`` can run, in evaluation mode.

    A network by name is a ``UserNetwork`` whose ``input`` is what the model's own configuration and
    processor say, and whose ``summary`` tells it. nlviz brings it from its hub into that library's
    own cache where it is not there yet, reads weights without running anything, and runs code of
    its repository only where ``trust`` names it.

    Args:
        spec: a name of ``nlviz.models.zoo.names()``; ``FILE.py:FUNCTION`` as for
            ``load_user_network``; or by name ``timm:NAME`` (or a folder as timm saves it),
            ``hf:ORG/NAME`` or ``hf:FOLDER`` (as ``save_pretrained`` writes it; ``@REVISION`` after
            the name for another than the main one), ``torchhub:OWNER/REPO:ENTRY`` or
            ``torchhub:FOLDER:ENTRY``.
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is available.
        weights: your own checkpoint for it; a bundled network takes only its own. ``"none"`` gives
            a network by name random weights, always the same ones; its name says so.
        input: for a network by name: what is to be other than its configuration says, or what that
            does not say, as an ``Input`` or a mapping of its fields. A size of your own works where
            the model takes other sizes.
        trust: repositories whose own code may run, as the spec names them.

    Raises:
        NetworkError: what ``zoo.load`` or ``load_user_network`` raises; a network by name that
            does not exist, cannot be reached, needs a library that is not there, needs code that
            nobody trusts, or whose configuration does not say what it takes.
    """
    if is_by_name(spec):
        from nlviz.inference.by_name.load import Wanted, load_by_name

        return load_by_name(spec, Wanted(device, weights, input, tuple(trust)))
    if input is not None or trust:
        raise NetworkError(
            f"'{spec}' is no network by name, so it takes no input's record and no trust; a file "
            "of your own returns its record beside the module."
        )
    if is_user_network(spec):
        if weights == "none":
            raise NetworkError(f"'{spec}' sets its weights itself; leave out the weights 'none'.")
        return load_user_network(spec, weights=weights, device=device)
    from nlviz.models import zoo

    if spec not in zoo.names() and (near := nearest_spec(spec, zoo.names())):
        raise NetworkError(near)
    return zoo.load(spec, device=device, weights=weights)


def usual_frames(spec: str, own: UserNetwork | None = None) -> int:
    """How many frames a network is given where nobody says.

    Args:
        spec: as for ``load``.
        own: the network, where ``spec`` is a file of one's own or a network by name.

    Returns:
        what the network was trained on, or what the input of one's own declares; 8 for any other.
    """
    declared: int | None = None
    if own is not None:
        declared = own.input.frames
    elif not declares_its_input(spec):
        from nlviz.models import zoo

        declared = zoo.record(spec).frames if spec in zoo.names() else None
    return Sampling().frames if declared is None else declared
