"""How each project names the weights of its video ResNets, and the same weights under our names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

# Children of a non-local block in all projects, and ours.
CHILDREN = {
    **dict.fromkeys(("theta", "theta.conv", "conv_theta"), "theta"),
    **dict.fromkeys(("phi", "phi.0", "phi.conv", "phi.0.conv", "conv_phi"), "phi"),
    **dict.fromkeys(("g", "g.0", "g.conv", "g.0.conv", "conv_g"), "g"),
    **dict.fromkeys(("W", "W.0", "out", "conv_out", "conv_out.conv"), "W.0"),
    **dict.fromkeys(("W.1", "bn", "norm", "conv_out.bn"), "W.1"),
    **dict.fromkeys(("concat_project.0", "concat_project.conv"), "concat_project.0"),
}
_UNITS = {"1": "a", "2": "b", "3": "c"}
_LEAVES = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}

_LEAF = r"(?P<leaf>weight|bias|running_mean|running_var|num_batches_tracked)"
_NL = rf"(?P<child>{'|'.join(map(re.escape, CHILDREN))})\.{_LEAF}"
_NORM = r"(?P<leaf>s|b|rm|riv)"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One project's names.

    Args:
        name: what to call it.
        rules: (pattern, template) pairs; a key that a pattern matches whole gets the name that the
            template makes of its groups. A template of "" leaves the key out.
        first: the number of the first stage of residual blocks, which we call res2.
    """

    name: str
    rules: tuple[tuple[str, str], ...]
    first: int = 2

    def ours(self, key: str) -> str | None:
        """Our name of a key, "" for one that nlviz leaves out, None for an unknown one."""
        for pattern, template in self.rules:
            if found := re.fullmatch(pattern, key):
                return template.format(**self._named(found.groupdict()))
        return None

    def share(self, keys: Iterable[str]) -> float:
        """Which share of the keys it knows, from 0 to 1."""
        known = [self.ours(key) is not None for key in keys]
        return sum(known) / max(len(known), 1)

    def _named(self, groups: dict[str, str | None]) -> dict[str, str]:
        named = {name: text for name, text in groups.items() if text is not None}
        if "stage" in named:
            named["stage"] = str(int(named["stage"]) - self.first + 2)
        for name, ours in (("unit", _UNITS), ("leaf", _LEAVES), ("child", CHILDREN)):
            if name in named:
                named[name] = ours.get(named[name], named[name])
        return named


_STAGED = r"layer(?P<stage>[1-4])\.(?P<block>\d+)\."
_CAFFE2 = r"res(?P<stage>[2-5])_(?P<block>\d+)_"
_S = r"s(?P<stage>[2-5])\.pathway0_"
_PTV = r"blocks\.(?P<stage>\d+)\.res_blocks\.(?P<block>\d+)\."
_MM = r"backbone\.layer(?P<stage>[1-4])\.(?P<block>\d+)\."
_TSM = r"base_model\.layer(?P<stage>[1-4])\.(?P<block>\d+)\.(?:block\.)?"
_GLUON = r"res_layers\.(?P<stage>[0-3])\.(?P<block>\d+)\."

_CONV, _NORMED = "res{stage}.{block}.{unit}.conv.{leaf}", "res{stage}.{block}.{unit}.norm.{leaf}"
_SHORT, _SHORT_NORM = (
    "res{stage}.{block}.shortcut.conv.{leaf}",
    "res{stage}.{block}.shortcut.norm.{leaf}",
)
_BLOCK = "res{stage}.nl{block}.{child}.{leaf}"

DIALECTS = (
    Dialect("nlviz", ((r"(?P<name>(?:stem|res[2-5]|classifier)\..+)", "{name}"),)),
    Dialect(
        "video-nonlocal-net",
        (
            (r"conv1_(?P<leaf>w)", "stem.conv.{leaf}"),
            (rf"res_conv1_bn_{_NORM}", "stem.norm.{leaf}"),
            (_CAFFE2 + r"branch2(?P<unit>[abc])_(?P<leaf>w)", _CONV),
            (_CAFFE2 + rf"branch2(?P<unit>[abc])_bn_{_NORM}", _NORMED),
            (_CAFFE2 + r"branch1_(?P<leaf>w)", _SHORT),
            (_CAFFE2 + rf"branch1_bn_{_NORM}", _SHORT_NORM),
            (
                r"nonlocal_conv(?P<stage>[2-5])_(?P<block>\d+)_"
                r"(?P<child>theta|phi|g|out|bn)_(?P<leaf>w|b|s|rm|riv)",
                _BLOCK,
            ),
            (r"pred_(?P<leaf>w|b)", "classifier.{leaf}"),
            (r"lr|model_iter|test_epoch|cur_iter", ""),
        ),
    ),
    Dialect(
        "SlowFast",
        (
            (rf"s1\.pathway0_stem\.conv\.{_LEAF}", "stem.conv.{leaf}"),
            (rf"s1\.pathway0_stem\.bn\.{_LEAF}", "stem.norm.{leaf}"),
            (_S + rf"res(?P<block>\d+)\.branch2\.(?P<unit>[abc])\.{_LEAF}", _CONV),
            (_S + rf"res(?P<block>\d+)\.branch2\.(?P<unit>[abc])_bn\.{_LEAF}", _NORMED),
            (_S + rf"res(?P<block>\d+)\.branch1\.{_LEAF}", _SHORT),
            (_S + rf"res(?P<block>\d+)\.branch1_bn\.{_LEAF}", _SHORT_NORM),
            (_S + rf"nonlocal(?P<block>\d+)\.{_NL}", _BLOCK),
            (rf"head\.projection\.{_LEAF}", "classifier.{leaf}"),
        ),
    ),
    Dialect(
        "PyTorchVideo",
        (
            (rf"blocks\.0\.conv\.{_LEAF}", "stem.conv.{leaf}"),
            (rf"blocks\.0\.norm\.{_LEAF}", "stem.norm.{leaf}"),
            (_PTV + rf"branch2\.conv_(?P<unit>[abc])\.{_LEAF}", _CONV),
            (_PTV + rf"branch2\.norm_(?P<unit>[abc])\.{_LEAF}", _NORMED),
            (_PTV + rf"branch1_conv\.{_LEAF}", _SHORT),
            (_PTV + rf"branch1_norm\.{_LEAF}", _SHORT_NORM),
            (rf"blocks\.\d+\.proj\.{_LEAF}", "classifier.{leaf}"),
        ),
        first=1,
    ),
    Dialect(
        "pytorch-resnet3d",
        (
            (rf"conv1\.{_LEAF}", "stem.conv.{leaf}"),
            (rf"bn1\.{_LEAF}", "stem.norm.{leaf}"),
            (_STAGED + rf"conv(?P<unit>[123])\.{_LEAF}", _CONV),
            (_STAGED + rf"bn(?P<unit>[123])\.{_LEAF}", _NORMED),
            (_STAGED + rf"downsample\.0\.{_LEAF}", _SHORT),
            (_STAGED + rf"downsample\.1\.{_LEAF}", _SHORT_NORM),
            (_STAGED + rf"nl\.{_NL}", _BLOCK),
            (rf"fc\.{_LEAF}", "classifier.{leaf}"),
        ),
        first=1,
    ),
    Dialect(
        "mmaction2",
        (
            (rf"backbone\.conv1\.conv\.{_LEAF}", "stem.conv.{leaf}"),
            (rf"backbone\.conv1\.bn\.{_LEAF}", "stem.norm.{leaf}"),
            (_MM + rf"(?:block\.)?conv(?P<unit>[123])\.conv\.(?:net\.)?{_LEAF}", _CONV),
            (_MM + rf"(?:block\.)?conv(?P<unit>[123])\.bn\.{_LEAF}", _NORMED),
            (_MM + rf"(?:block\.)?downsample\.conv\.{_LEAF}", _SHORT),
            (_MM + rf"(?:block\.)?downsample\.bn\.{_LEAF}", _SHORT_NORM),
            (_MM + rf"non_local_block\.{_NL}", _BLOCK),
            (rf"cls_head\.fc_cls\.{_LEAF}", "classifier.{leaf}"),
            (r"data_preprocessor\..*", ""),
        ),
        first=1,
    ),
    Dialect(
        "TSM",
        (
            (rf"base_model\.conv1\.{_LEAF}", "stem.conv.{leaf}"),
            (rf"base_model\.bn1\.{_LEAF}", "stem.norm.{leaf}"),
            (_TSM + rf"conv(?P<unit>[123])\.(?:net\.)?{_LEAF}", _CONV),
            (_TSM + rf"bn(?P<unit>[123])\.{_LEAF}", _NORMED),
            (_TSM + rf"downsample\.0\.{_LEAF}", _SHORT),
            (_TSM + rf"downsample\.1\.{_LEAF}", _SHORT_NORM),
            (_TSM + rf"nl\.{_NL}", _BLOCK),
            (rf"new_fc\.{_LEAF}", "classifier.{leaf}"),
        ),
        first=1,
    ),
    Dialect(
        "GluonCV",
        (
            (rf"first_stage\.0\.{_LEAF}", "stem.conv.{leaf}"),
            (rf"first_stage\.1\.{_LEAF}", "stem.norm.{leaf}"),
            (_GLUON + rf"conv(?P<unit>[123])\.{_LEAF}", _CONV),
            (_GLUON + rf"bn(?P<unit>[123])\.{_LEAF}", _NORMED),
            (_GLUON + rf"downsample\.0\.{_LEAF}", _SHORT),
            (_GLUON + rf"downsample\.1\.{_LEAF}", _SHORT_NORM),
            (_GLUON + rf"nonlocal_block\.{_NL}", _BLOCK),
            (_GLUON + r"nonlocal_block\.W_bn\..*|head\.1\..*", ""),  # the same weights once more
            (rf"fc\.{_LEAF}", "classifier.{leaf}"),
        ),
        first=0,
    ),
    Dialect("Non-local_pytorch", ((rf"(?P<path>(?:.+\.)?){_NL}", "{path}{child}.{leaf}"),)),
)
_ENOUGH = 0.5


def recognise(keys: Iterable[str]) -> tuple[Dialect, float] | None:
    """The dialect that knows most of the keys and the share of them it knows; None below a half."""
    plain = _plain(tuple(keys))
    best = max(DIALECTS, key=lambda dialect: dialect.share(plain))
    share = best.share(plain)
    return (best, share) if share >= _ENOUGH else None


def translate(weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The dialect's name and the weights under our names; keys nobody knows stay as they are.

    The name is "" for weights that no dialect knows.
    """
    plain = dict(zip(_plain(tuple(weights)), weights.values(), strict=True))
    found = recognise(plain)
    if found is None:
        return "", dict(plain)
    named = ((found[0].ours(key), key, value) for key, value in plain.items())
    return found[0].name, {
        (key if ours is None else ours): value for ours, key, value in named if ours != ""
    }


def _plain(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys without what wrappers put before all of them, and stages counted without gaps."""
    for prefix in ("module.", "gpu_0/", "model."):
        if keys and all(key.startswith(prefix) for key in keys):
            keys = tuple(key.removeprefix(prefix) for key in keys)
    # PyTorchVideo's numbers count a pool between its stages as well.
    found = (re.match(r"blocks\.(\d+)\.res_blocks\.", key) for key in keys)
    stages = sorted({int(match[1]) for match in found if match})
    order = {str(number): str(place) for place, number in enumerate(stages, start=1)}
    return tuple(
        re.sub(r"^blocks\.(\d+)(?=\.res_blocks\.)", lambda m: f"blocks.{order[m[1]]}", key)
        for key in keys
    )
