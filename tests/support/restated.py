"""Each project's video ResNet, said once more: its names, and what it computes from them.

Written from the descriptions in docs/dialects.md with plain functions and whole matrices, sharing
nothing with models/: what is loaded there must put out what comes out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.models.resnet_plan import Plan

WIDTH, CLASSES = 8, 5
BLOCKS = (1, 2, 2, 1)
ODD, EVEN = ((), (1,), (1,), ()), ((), (0,), (0,), ())
I3D, C2D, SLOW = ((5,), (3,), (3, 1), (3, 1), (1, 3)), ((1,),) * 5, ((1,), (1,), (1,), (3,), (3,))


@dataclass(frozen=True)
class Names:
    """Templates of keys; s is the paper's stage from 2, l from 1, i from 0, b the block."""

    stem: str
    stem_norm: str
    conv: str
    norm: str
    shortcut: str
    shortcut_norm: str
    child: str
    head: str
    inside: dict[str, str]  # θ, φ, g, the projection, its norm, the concatenation
    leaves: dict[str, str]
    flat: bool = False  # 2-D kernels


TORCH = {"weight": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
CAFFE2 = Names(
    stem="conv1_{leaf}",
    stem_norm="res_conv1_bn_{leaf}",
    conv="res{s}_{b}_branch2{abc}_{leaf}",
    norm="res{s}_{b}_branch2{abc}_bn_{leaf}",
    shortcut="res{s}_{b}_branch1_{leaf}",
    shortcut_norm="res{s}_{b}_branch1_bn_{leaf}",
    child="nonlocal_conv{s}_{b}_{child}_{leaf}",
    head="pred_{leaf}",
    inside={"theta": "theta", "phi": "phi", "g": "g", "out": "out", "norm": "bn"},
    leaves={"weight": "w", "scale": "s", "bias": "b", "mean": "rm", "var": "riv"},
)
SLOWFAST = Names(
    stem="s1.pathway0_stem.conv.{leaf}",
    stem_norm="s1.pathway0_stem.bn.{leaf}",
    conv="s{s}.pathway0_res{b}.branch2.{abc}.{leaf}",
    norm="s{s}.pathway0_res{b}.branch2.{abc}_bn.{leaf}",
    shortcut="s{s}.pathway0_res{b}.branch1.{leaf}",
    shortcut_norm="s{s}.pathway0_res{b}.branch1_bn.{leaf}",
    child="s{s}.pathway0_nonlocal{b}.{child}.{leaf}",
    head="head.projection.{leaf}",
    inside={
        **{"theta": "conv_theta", "phi": "conv_phi", "g": "conv_g", "out": "conv_out"},
        "norm": "bn",
    },
    leaves=TORCH,
)
RESNET3D = Names(
    stem="conv1.{leaf}",
    stem_norm="bn1.{leaf}",
    conv="layer{l}.{b}.conv{n}.{leaf}",
    norm="layer{l}.{b}.bn{n}.{leaf}",
    shortcut="layer{l}.{b}.downsample.0.{leaf}",
    shortcut_norm="layer{l}.{b}.downsample.1.{leaf}",
    child="layer{l}.{b}.nl.{child}.{leaf}",
    head="fc.{leaf}",
    inside={"theta": "theta", "phi": "phi", "g": "g", "out": "out", "norm": "bn"},
    leaves=TORCH,
)
MM_CHILDREN = {
    **{"theta": "theta.conv", "phi": "phi.0.conv", "g": "g.0.conv", "out": "conv_out.conv"},
    **{"norm": "conv_out.bn", "concat": "concat_project.conv"},
}
MMACTION = Names(
    stem="backbone.conv1.conv.{leaf}",
    stem_norm="backbone.conv1.bn.{leaf}",
    conv="backbone.layer{l}.{b}.conv{n}.conv.{leaf}",
    norm="backbone.layer{l}.{b}.conv{n}.bn.{leaf}",
    shortcut="backbone.layer{l}.{b}.downsample.conv.{leaf}",
    shortcut_norm="backbone.layer{l}.{b}.downsample.bn.{leaf}",
    child="backbone.layer{l}.{b}.non_local_block.{child}.{leaf}",
    head="cls_head.fc_cls.{leaf}",
    inside=MM_CHILDREN,
    leaves=TORCH,
)
# The wrappers of a shifted convolution and of a residual block with a non-local one behind it.
MMACTION_TSM = Names(
    stem="backbone.conv1.conv.{leaf}",
    stem_norm="backbone.conv1.bn.{leaf}",
    conv="backbone.layer{l}.{b}.{block}conv{n}.conv.{net}{leaf}",
    norm="backbone.layer{l}.{b}.{block}conv{n}.bn.{leaf}",
    shortcut="backbone.layer{l}.{b}.{block}downsample.conv.{leaf}",
    shortcut_norm="backbone.layer{l}.{b}.{block}downsample.bn.{leaf}",
    child="backbone.layer{l}.{b}.non_local_block.{child}.{leaf}",
    head="cls_head.fc_cls.{leaf}",
    inside=MM_CHILDREN,
    leaves=TORCH,
    flat=True,
)
TSM = Names(
    stem="module.base_model.conv1.{leaf}",
    stem_norm="module.base_model.bn1.{leaf}",
    conv="module.base_model.layer{l}.{b}.{block}conv{n}.{net}{leaf}",
    norm="module.base_model.layer{l}.{b}.{block}bn{n}.{leaf}",
    shortcut="module.base_model.layer{l}.{b}.{block}downsample.0.{leaf}",
    shortcut_norm="module.base_model.layer{l}.{b}.{block}downsample.1.{leaf}",
    child="module.base_model.layer{l}.{b}.nl.{child}.{leaf}",
    head="module.new_fc.{leaf}",
    inside={"theta": "theta", "phi": "phi.0", "g": "g.0", "out": "W.0", "norm": "W.1"},
    leaves=TORCH,
    flat=True,
)
GLUONCV = Names(
    stem="first_stage.0.{leaf}",
    stem_norm="first_stage.1.{leaf}",
    conv="res_layers.{i}.{b}.conv{n}.{leaf}",
    norm="res_layers.{i}.{b}.bn{n}.{leaf}",
    shortcut="res_layers.{i}.{b}.downsample.0.{leaf}",
    shortcut_norm="res_layers.{i}.{b}.downsample.1.{leaf}",
    child="res_layers.{i}.{b}.nonlocal_block.{child}.{leaf}",
    head="fc.{leaf}",
    inside={"theta": "theta", "phi": "phi", "g": "g", "out": "W", "norm": "bn"},
    leaves=TORCH,
)
PYTORCHVIDEO = Names(  # with the pool of C2D and I3D at blocks.2
    stem="blocks.0.conv.{leaf}",
    stem_norm="blocks.0.norm.{leaf}",
    conv="blocks.{v}.res_blocks.{b}.branch2.conv_{abc}.{leaf}",
    norm="blocks.{v}.res_blocks.{b}.branch2.norm_{abc}.{leaf}",
    shortcut="blocks.{v}.res_blocks.{b}.branch1_conv.{leaf}",
    shortcut_norm="blocks.{v}.res_blocks.{b}.branch1_norm.{leaf}",
    child="",
    head="blocks.6.proj.{leaf}",
    inside={},
    leaves=TORCH,
)


@dataclass(frozen=True)
class Project:
    """A network of a project as it describes itself."""

    dialect: str
    names: Names
    kernels: tuple[tuple[int, ...], ...] = I3D
    stem_stride: int = 2
    pool1: tuple[int, int] = (2, 2)
    pool1_padding: int = 0
    pool2: int = 2
    shift: bool = False
    places: tuple[tuple[int, ...], ...] = ODD
    function: str = "embedded_gaussian"
    scaled: bool = True
    pooled: str = "before"
    group: int | None = None
    frozen: bool = False

    @property
    def plan(self) -> Plan:
        """The same for models/resnet.py."""
        return Plan(
            blocks=BLOCKS,
            kernels=self.kernels,
            stem_stride=self.stem_stride,
            pool1=self.pool1,
            pool1_padding=self.pool1_padding,
            pool2=self.pool2,
            shift=self.shift,
            places=self.places,
            function=self.function,
            scaled=self.scaled,
            sub_sample=self.pooled != "never",
            pool_first=self.pooled == "before",
            group=self.group,
            classes=CLASSES,
            width=WIDTH,
        )

    def key(self, role: str, leaf: str, stage: int = 0, block: int = 0, **more: str) -> str:
        """A key of its state dict; stages are counted from 0."""
        of_norm = "norm" in role or more.get("child") == self.names.inside.get("norm")
        if leaf == "weight" and of_norm and "scale" in self.names.leaves:
            leaf = "scale"
        return getattr(self.names, role).format(
            leaf=self.names.leaves[leaf],
            s=stage + 2,
            l=stage + 1,
            i=stage,
            v=stage + 1 + (stage > 0),
            b=block,
            block="block." if block in self.places[stage] else "",
            net="net." if self.shift and more.get("n") == "1" else "",
            **more,
        )


SPARSE = {"stem_stride": 1, "pool1": (1, 1)}
MM = {"pool1": (1, 2), "pool1_padding": 1, "pooled": "after", "scaled": False}
FRAMEWISE = {**MM, **SPARSE, "pool2": 1, "places": EVEN}
PROJECTS = {
    "Caffe2 I3D": Project("video-nonlocal-net", CAFFE2),
    "Caffe2 C2D, sparse": Project("video-nonlocal-net", CAFFE2, C2D, **SPARSE),
    "Caffe2 affine": Project("video-nonlocal-net", CAFFE2, group=4, frozen=True, **SPARSE),
    "Caffe2 affine dot product": Project(
        "video-nonlocal-net", CAFFE2, function="dot_product", group=4, frozen=True, **SPARSE
    ),
    "SlowFast": Project("SlowFast", SLOWFAST, pool1_padding=1, **SPARSE),
    "SlowFast dot product": Project(
        "SlowFast", SLOWFAST, SLOW, pool1_padding=1, pool2=1, function="dot_product", **SPARSE
    ),
    "pytorch-resnet3d": Project("pytorch-resnet3d", RESNET3D),
    **{
        f"mmaction2 I3D {function}": Project("mmaction2", MMACTION, function=function, **MM)
        for function in ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
    },
    "mmaction2 SlowOnly": Project("mmaction2", MMACTION, SLOW, **{**FRAMEWISE, "scaled": True}),
    "mmaction2 TSM": Project("mmaction2", MMACTION_TSM, C2D, shift=True, **FRAMEWISE),
    "TSM": Project("TSM", TSM, C2D, shift=True, **FRAMEWISE),
    "GluonCV": Project("GluonCV", GLUONCV, **{**MM, "pooled": "never", "scaled": True}),
    "PyTorchVideo": Project(
        "PyTorchVideo", PYTORCHVIDEO, pool1_padding=1, places=((),) * 4, **SPARSE
    ),
}


def state(project: Project) -> dict[str, Tensor]:
    """A random state dict with exactly the keys that the project's networks have."""
    made: dict[str, Tensor] = {}

    def conv(role: str, out: int, into: int, kernel: tuple[int, ...] = (), **at: object) -> None:
        fan = into * max(torch.Size(kernel).numel(), 1)
        weight = torch.randn(out, into, *kernel) * (1.2 / fan**0.5)
        if project.names.flat and role != "child" and kernel:
            weight = weight.squeeze(2)
        made[project.key(role, "weight", **at)] = weight

    def norm(role: str, width: int, **at: object) -> None:
        made[project.key(role, "weight", **at)] = torch.rand(width) / 2 + 0.4
        made[project.key(role, "bias", **at)] = torch.randn(width) / 10
        if not project.frozen:
            made[project.key(role, "mean", **at)] = torch.randn(width) / 10
            made[project.key(role, "var", **at)] = torch.rand(width) + 0.5

    conv("stem", WIDTH, 3, (project.kernels[0][0], 7, 7))
    norm("stem_norm", WIDTH)
    into = WIDTH
    for stage, count in enumerate(BLOCKS):
        width = WIDTH * 2**stage
        for block in range(count):
            sizes = project.kernels[stage + 1]
            kernels = ((sizes[block % len(sizes)], 1, 1), (1, 3, 3), (1, 1, 1))
            at = {"stage": stage, "block": block}
            for n, kernel in enumerate(kernels):
                out = 4 * width if n == 2 else width
                conv(
                    "conv", out, into if n == 0 else width, kernel, abc="abc"[n], n=f"{n + 1}", **at
                )
                norm("norm", out, abc="abc"[n], n=f"{n + 1}", **at)
            if block == 0:
                conv("shortcut", 4 * width, into, (1, 1, 1), **at)
                norm("shortcut_norm", 4 * width, **at)
            into = 4 * width
            if block in project.places[stage]:
                _block_state(project, made, conv, norm, into, at)
    conv("head", CLASSES, into)
    made[project.key("head", "bias")] = torch.randn(CLASSES)
    return made


def _block_state(project, made, conv, norm, channels, at) -> None:
    inner, inside = channels // 2, project.names.inside
    bare = project.function == "gaussian"
    for role in ("g",) if bare else ("theta", "phi", "g"):
        conv("child", inner, channels, (1, 1, 1), child=inside[role], **at)
        made[project.key("child", "bias", child=inside[role], **at)] = torch.randn(inner) / 10
    conv("child", channels, inner, (1, 1, 1), child=inside["out"], **at)
    if project.dialect != "mmaction2":  # mmcv: no bias where a norm follows
        made[project.key("child", "bias", child=inside["out"], **at)] = torch.randn(channels)
    norm("child", channels, child=inside["norm"], **at)
    if project.function == "concatenation":
        conv("child", 1, 2 * inner, (1, 1), child=inside["concat"], **at)
    if project.dialect == "GluonCV":  # which saves W and its norm twice
        for once, twice in (("W", "W_bn.0"), ("bn", "W_bn.1")):
            for leaf in ("weight", "bias", "mean", "var"):
                key = project.key("child", leaf, child=once, **at)
                if key in made:
                    made[project.key("child", leaf, child=twice, **at)] = made[key]


def forward(project: Project, made: dict[str, Tensor], x: Tensor) -> Tensor:
    """Class scores (B, classes) of x (B, 3, T, H, W)."""

    def weight(role: str, **at: object) -> Tensor:
        kernel = made[project.key(role, "weight", **at)]
        return kernel.unsqueeze(2) if kernel.ndim == 4 else kernel

    def norm(role: str, x: Tensor, **at: object) -> Tensor:
        shape = (1, -1, 1, 1, 1)
        scale, bias = (
            made[project.key(role, leaf, **at)].view(shape) for leaf in ("weight", "bias")
        )
        if project.frozen:
            return x * scale + bias
        mean, var = (made[project.key(role, leaf, **at)].view(shape) for leaf in ("mean", "var"))
        return (x - mean) / torch.sqrt(var + 1e-5) * scale + bias

    kernel = weight("stem")
    steps = (project.stem_stride, 2, 2)
    x = F.conv3d(x, kernel, stride=steps, padding=(kernel.shape[2] // 2, 3, 3))
    x = norm("stem_norm", x).relu()
    padding = project.pool1_padding
    x = F.max_pool3d(
        x, (project.pool1[0], 3, 3), (project.pool1[1], 2, 2), padding=(0, padding, padding)
    )
    for stage, count in enumerate(BLOCKS):
        if stage == 1:
            x = F.max_pool3d(x, (project.pool2, 1, 1))
        for block in range(count):
            at = {"stage": stage, "block": block}
            stride = (1, 2, 2) if stage and block == 0 else 1
            y = _shifted(x) if project.shift else x
            for n in range(3):
                unit = {"abc": "abc"[n], "n": f"{n + 1}", **at}
                kernel = weight("conv", **unit)
                padding = tuple(size // 2 for size in kernel.shape[2:])
                y = F.conv3d(y, kernel, stride=stride if n == 1 else 1, padding=padding)
                y = norm("norm", y, **unit)
                y = y.relu() if n < 2 else y
            if block == 0:
                x = norm(
                    "shortcut_norm", F.conv3d(x, weight("shortcut", **at), stride=stride), **at
                )
            x = (x + y).relu()
            if block in project.places[stage]:
                size = (project.group if stage == 1 else None) or x.shape[2]
                groups = x.split(size, 2)
                x = torch.cat([_attended(project, made, norm, group, at) for group in groups], 2)
    return (
        x.mean((2, 3, 4)) @ made[project.key("head", "weight")].T
        + made[project.key("head", "bias")]
    )


def _attended(project, made, norm, x, at) -> Tensor:
    """x plus the projection of its weighted sums, Eq. (6), with the whole matrix of weights."""
    inside = project.names.inside

    def conv(role: str, x: Tensor) -> Tensor:
        bias = made.get(project.key("child", "bias", child=inside[role], **at))
        return F.conv3d(x, made[project.key("child", "weight", child=inside[role], **at)], bias)

    def pool(x: Tensor, when: str) -> Tensor:
        return F.max_pool3d(x, (1, 2, 2)) if project.pooled == when else x

    bare = project.function == "gaussian"
    keys = pool(x, "before")
    theta = (x if bare else conv("theta", x)).flatten(2)
    phi = pool(keys if bare else conv("phi", keys), "after").flatten(2)
    g = pool(conv("g", keys), "after").flatten(2)
    logits = theta.transpose(1, 2) @ phi
    if project.function == "concatenation":
        w = made[project.key("child", "weight", child=inside["concat"], **at)].flatten()
        pairs = (w[: len(w) // 2] @ theta)[:, :, None] + (w[len(w) // 2 :] @ phi)[:, None, :]
        rows = pairs.relu() / phi.shape[2]
    elif project.function == "dot_product":
        rows = logits / phi.shape[2]
    else:
        scaled = project.scaled and project.function == "embedded_gaussian"
        rows = (logits / theta.shape[1] ** 0.5 if scaled else logits).softmax(-1)
    y = (g @ rows.transpose(1, 2)).view(len(x), -1, *x.shape[2:])
    return x + norm("child", conv("out", y), child=inside["norm"], **at)


def _shifted(x: Tensor) -> Tensor:
    """An eighth of the channels from the next frame, an eighth from the one before."""
    fold = x.shape[1] // 8
    nothing = torch.zeros_like(x[:, :fold, :1])
    later = torch.cat([x[:, :fold, 1:], nothing], 2)
    earlier = torch.cat([nothing, x[:, fold : 2 * fold, :-1]], 2)
    return torch.cat([later, earlier, x[:, 2 * fold :]], 1)
