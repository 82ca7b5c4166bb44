"""The checkpoints that other projects have published, in the order of docs/dialects.md."""

from __future__ import annotations

from dataclasses import replace

from nlviz.models.pairwise import Function
from nlviz.models.published.record import Published
from nlviz.models.resnet_plan import C2D_KERNELS, R50, R101, SLOW_KERNELS, Plan, spread

_CAFFE2 = ((114.75,) * 3, (57.375,) * 3)
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_EVERY_SECOND = ((), (0, 2), (0, 2, 4), ())

_I3D = Plan()
_C2D = replace(_I3D, kernels=C2D_KERNELS)
_SPARSE = replace(_I3D, stem_stride=1, pool1=(1, 1))  # 8×8 for 32×2: no stride in time before res3
_MM_I3D = replace(_I3D, pool1=(1, 2), pool1_padding=1, pool_first=False, scaled=False)
_MM_SLOW = replace(
    _MM_I3D,
    kernels=SLOW_KERNELS,
    stem_stride=1,
    pool1=(1, 1),
    pool2=1,
    places=_EVERY_SECOND,
    scaled=True,
)
_TSM = replace(_MM_SLOW, kernels=C2D_KERNELS, shift=True, scaled=False)
_GLUON = replace(_MM_I3D, sub_sample=False, scaled=True)

_FACEBOOK = "https://dl.fbaipublicfiles.com"
_OPENMMLAB = "https://download.openmmlab.com/mmaction/v1.0/recognition"
_GLUON_URL = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/torch/models"


def _caffe2(
    file: str, plan: Plan, frames: int, every: int, top1: float, without: float
) -> Published:
    kind = file[:3]
    long = plan.group is not None
    return Published(
        name=f"{kind}-nl-{frames}x{every}",
        family=f"{kind.upper()} ResNet-50" + (" (batch norms frozen)" if long else ""),
        dialect="video-nonlocal-net",
        plan=plan,
        frames=frames,
        every=every,
        mean=_CAFFE2[0],
        deviation=_CAFFE2[1],
        url=f"{_FACEBOOK}/video-nonlocal/{file}.pkl",
        digest="",
        licence="CC-BY-NC-4.0",
        top1=top1,
        top1_without=without,
    )


def _mmaction(
    name: str, family: str, plan: Plan, clip: tuple[int, int | None], path: str, top1: float
) -> Published:
    """``path`` is folder/config/date-digits, as mmaction2's model index has it."""
    folder, config, version = path.split("/")
    return Published(
        name=f"mmaction2-{name}",
        family=family,
        dialect="mmaction2",
        plan=plan,
        frames=clip[0],
        every=clip[1],
        mean=_IMAGENET[0],
        deviation=_IMAGENET[1],
        url=f"{_OPENMMLAB}/{folder}/{config}/{config}_{version}.pth",
        digest=f"sha256:{version[-8:]}",
        licence="Apache-2.0",
        top1=top1,
    )


def _gluon(blocks: int, depth: int, sha1: str, top1: float) -> Published:
    stages = R50 if depth == 50 else R101
    return Published(
        name=f"gluoncv-i3d-nl{blocks}-r{depth}",
        family=f"I3D ResNet-{depth}",
        dialect="GluonCV",
        plan=replace(_GLUON, blocks=stages, places=spread(stages, blocks)),
        frames=32,
        every=2,
        mean=_IMAGENET[0],
        deviation=_IMAGENET[1],
        url=f"{_GLUON_URL}/i3d_nl{blocks}_resnet{depth}_v1_kinetics400-{sha1[:8]}.pth",
        digest=f"sha1:{sha1}",
        licence="Apache-2.0",
        top1=top1,
    )


_KINETICS = "kinetics400-rgb"
_MM = {
    "I3D ResNet-50": (
        "i3d-nl",
        _MM_I3D,
        (32, 2),
        "i3d/i3d_imagenet-pretrained-r50-nl-{}_8xb8-32x2x1-100e_" + _KINETICS,
    ),
    "TSM ResNet-50": (
        "tsm-nl",
        _TSM,
        (8, None),
        "tsm/tsm_imagenet-pretrained-r50-nl-{}_8xb16-1x1x8-50e_" + _KINETICS,
    ),
}
_SLOW = "slowonly/slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-{}x1-steplr-150e_" + _KINETICS


def _by_function(family: str, function: Function, version: str, top1: float) -> Published:
    name, plan, clip, path = _MM[family]
    words = function.replace("_", "-")
    return _mmaction(
        f"{name}-{words}",
        family,
        replace(plan, function=function),
        clip,
        f"{path.format(words)}/{version}",
        top1,
    )


RECORDS = (
    _caffe2("c2d_nonlocal_32x2_IN_pretrain_400k", _C2D, 32, 2, 73.9, 72.0),
    _caffe2("i3d_nonlocal_32x2_IN_pretrain_400k", _I3D, 32, 2, 74.9, 73.6),
    _caffe2(
        "c2d_nonlocal_8x8_IN_pretrain_400k", replace(_SPARSE, kernels=C2D_KERNELS), 8, 8, 74.4, 71.9
    ),
    _caffe2("i3d_nonlocal_8x8_IN_pretrain_400k", _SPARSE, 8, 8, 74.7, 73.4),
    _caffe2("i3d_nonlocal_32x4_I3D_pretrain_400k", replace(_SPARSE, group=4), 32, 4, 76.5, 75.5),
    _caffe2("i3d_nonlocal_128x1_I3D_pretrain_400k", replace(_I3D, group=4), 128, 1, 76.5, 75.2),
    Published(
        name="slowfast-i3d-nl-8x8",
        family="I3D ResNet-50",
        dialect="SlowFast",
        plan=replace(_SPARSE, pool1_padding=1),
        frames=8,
        every=8,
        mean=_CAFFE2[0],
        deviation=_CAFFE2[1],
        url=f"{_FACEBOOK}/pyslowfast/model_zoo/kinetics400/I3D_NLN_8x8_R50.pkl",
        digest="",
        licence="Apache-2.0",
        top1=74.0,
        top1_without=73.5,
    ),
    _by_function("I3D ResNet-50", "dot_product", "20220812-8e1f2148", 74.80),
    _by_function("I3D ResNet-50", "embedded_gaussian", "20220812-afd8f562", 74.73),
    _by_function("I3D ResNet-50", "gaussian", "20220812-0c5cbf5a", 73.97),
    _mmaction(
        "slowonly-nl-4x16",
        "SlowOnly ResNet-50",
        _MM_SLOW,
        (4, 16),
        f"{_SLOW.format('4x16')}/20220901-cf739c75",
        74.84,
    ),
    _mmaction(
        "slowonly-nl-8x8",
        "SlowOnly ResNet-50",
        _MM_SLOW,
        (8, 8),
        f"{_SLOW.format('8x8')}/20220901-df42dc84",
        76.35,
    ),
    _by_function("TSM ResNet-50", "dot_product", "20220831-108bfde5", 74.49),
    _by_function("TSM ResNet-50", "embedded_gaussian", "20220831-35eddb57", 74.34),
    _by_function("TSM ResNet-50", "gaussian", "20220831-7e54dacf", 73.66),
    Published(
        name="tsm-nl-8x8",
        family="TSM ResNet-50",
        dialect="TSM",
        plan=_TSM,
        frames=8,
        every=8,
        mean=_IMAGENET[0],
        deviation=_IMAGENET[1],
        url=(
            "https://hanlab18.mit.edu/projects/tsm/models/"
            "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth"
        ),
        digest="",
        licence="MIT",
        top1=75.6,
        top1_without=74.1,
    ),
    _gluon(5, 50, "9df1e103d54bc1227da58d19347e1371cf98a9fb", 75.17),
    _gluon(10, 50, "281e1e8a8ef78ada7e095b43caf0cd3f75e7a6a4", 75.93),
    _gluon(5, 101, "2cea8edd07e5565b9c1eb66ca862ade3127ce523", 75.81),
    _gluon(10, 101, "526a2ed07cffeab6d827ab28c979b537100cd2b3", 75.93),
)
