"""The families of docs/models.md and `nlviz models --by-name`: ``python -m tools.named_families``.

Of each family of timm and transformers the smallest member is loaded with random weights, of
transformers with few layers, and a clip runs through it at its own size and, where it takes others,
at a second one. A family in which no attention runs at all is left out, and counted. ``--only
WORD,…`` runs the families whose name has one of these words; ``--kept FILE`` takes from a file what
an earlier run put there. What was run is written into the page and into assets/families.json.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

import nlviz
from nlviz.clip import Clip
from nlviz.inference.by_name import extras
from tests.support import make
from tests.support.vision import timm

ROOT = Path(__file__).resolve().parents[1]
PAGE, FILE = ROOT / "docs" / "models.md", ROOT / "assets" / "families.json"
_LONGEST = 240  # seconds for one family
_SMALL_NAMES = (
    *("test_", "atto", "femto", "pico", "nano", "xxs", "zepto", "_xs", "tiny", "_t0", "_m0", "_b0"),
    *("_s0", "_t_", "128s", "lite", "_s1", "mini", "_s12", "small", "_s_", "_s24", "base", "_b_"),
)
_LAYERS = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_layers", "depth")
_PROCESSOR: dict[str, Any] = {
    "do_resize": True, "do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255,
    "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3,
}  # fmt: skip


class Seen(NamedTuple):
    """What was seen of a family.

    Args:
        library, family: whose, and what it is called there.
        network: which member ran.
        sizes: of the inputs, as T×H×W or H×W.
        captured, refused: blocks, of all sizes together.
        error: the largest relative error of a captured block.
        places: how their places were proven.
        why: the reason of a refusal, or why nothing ran; empty where all went well.
        attention: whether any attention was found, captured or refused.
        failed: whether it could not be loaded or run at all.
    """

    library: str
    family: str
    network: str
    sizes: tuple[str, ...]
    captured: int
    refused: int
    error: float
    places: tuple[str, ...]
    why: str
    attention: bool
    failed: bool = False


def timm_families() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Module of timm → specs of its smallest member, and of others where it may lack attention."""
    for family in timm.list_modules():
        names = sorted(timm.list_models(module=family), key=_bulk)
        code = inspect.getsource(sys.modules[f"timm.models.{family}"])
        attends = re.search(r"softmax|scaled_dot_product_attention|Attention", code)
        if names:
            others = names[1 :: max(len(names) // 3, 1)] if attends else []
            yield family, tuple(f"timm:{name}" for name in (names[0], *others))


def _bulk(name: str) -> tuple[int, int, str]:
    """How large a member is, by what its name says."""
    rank = next((i for i, word in enumerate(_SMALL_NAMES) if word in name), len(_SMALL_NAMES))
    side = max((int(each) for each in re.findall(r"_(\d{3})", name)), default=224)
    return rank, side, name


def transformers_families(root: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Model type of transformers → specs of folders with a small configuration, and its usual one.

    The second is for types whose parts do not fit together once some are smaller.
    """
    from nlviz.inference.by_name.hugging_face import _takes_pictures

    with extras.transformers() as transformers:
        auto = transformers.models.auto
        for kind in sorted(auto.modeling_auto.MODEL_MAPPING_NAMES):
            try:
                usual = transformers.AutoConfig.for_model(kind)
                model = auto.modeling_auto.MODEL_MAPPING[type(usual)]
                model = model[0] if isinstance(model, tuple) else model
                if not _takes_pictures(model):
                    continue
            except Exception as error:  # noqa: BLE001 - a configuration that cannot stand alone
                sys.stderr.write(f"{kind}: no configuration of its own ({error!r:.80})\n")
                continue
            specs = []
            for how, more in (("small", _small(usual)), ("usual", {})):
                with suppress(Exception):
                    config = transformers.AutoConfig.for_model(kind, **more)
                    config.architectures = [model.__name__]
                    specs.append(_saved(config, root / how / kind))
            yield kind, tuple(specs)


def _saved(config: Any, folder: Path) -> str:
    config.save_pretrained(folder)
    width, height = _size_of(config)
    said = {**_PROCESSOR, "size": {"height": height, "width": width}}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return f"hf:{folder}"


def _size_of(config: Any) -> tuple[int, int]:
    """(width, height) that it says, or one of its parts: a vision tower, the backbone of that."""
    said = next(_sizes_in(config), 224)
    return (said, said) if isinstance(said, int) else (int(said[-1]), int(said[-2]))


def _sizes_in(config: Any) -> Iterator[Any]:
    for name in ("image_size", "crop_size"):
        if said := getattr(config, name, None):
            yield said
    for name in ("vision_config", "backbone_config"):
        if (part := getattr(config, name, None)) is not None:
            yield from _sizes_in(part)


def _small(config: Any) -> dict[str, Any]:
    """Two layers, or two in each stage: the family's code is the same."""
    layers = {name: getattr(config, name, None) for name in _LAYERS}
    few: dict[str, Any] = {n: min(count, 2) for n, count in layers.items() if type(count) is int}
    depths = getattr(config, "depths", None)
    if isinstance(depths, list) and all(isinstance(n, int) for n in depths):
        few["depths"] = [min(n, 2) for n in depths]
    part = getattr(config, "vision_config", None)
    if part is not None:
        few["vision_config"] = _small(part)
    return few


def seen_of(library: str, family: str, spec: str) -> Seen:
    """Load it and run it; whatever goes wrong is a reason in the table."""
    captured, refused, error, why, sizes, places = 0, 0, 0.0, "", [], {}
    attention = failed = False
    try:
        with _at_most(_LONGEST):
            network = nlviz.load(spec, device="cpu", weights="none")
            for size in _sizes(network):
                clip = _clip(network)
                try:
                    analysis = _analysed(clip, network, size)
                except nlviz.CaptureError as told:
                    why = why or str(told)
                    attention |= "no self-attention was seen" not in str(told)
                    break
                attention = True
                sizes.append("×".join(map(str, reversed(analysis.view.input))))
                captured += len(analysis.affinities)
                refused += len(analysis.refused)
                error = max([error, *filter(None, analysis.fidelity.values())])
                places |= dict.fromkeys(analysis.places.values())
                why = why or next(iter(analysis.refused.values()), "")
    except TimeoutError:
        why, attention, failed = why or f"not done in {_LONGEST} s on this machine", True, True
    except nlviz.NlvizError as told:
        late = isinstance(told.__cause__, TimeoutError)
        why = f"not done in {_LONGEST} s on this machine" if late else str(told)
        attention, failed = True, True
    except Exception as told:  # noqa: BLE001 - the table says it
        why, attention, failed = f"{type(told).__name__}: {told}", True, True
    name = spec.partition(":")[2] if library == "timm" else family
    return Seen(
        library,
        family,
        name,
        tuple(sizes),
        captured,
        refused,
        error,
        tuple(places),
        why,
        attention,
        failed,
    )


def _analysed(clip: Clip, network: Any, size: int | None) -> nlviz.Analysis:
    """Once more with weights at He's scale where a library's own make a block put out nothing."""
    try:
        return nlviz.analyse(clip, network, size=size)
    except nlviz.CaptureError as told:
        if "puts out 0 " not in str(told):
            raise
    for parameter in network.module.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return nlviz.analyse(clip, network, size=size)


def _sizes(network: Any) -> tuple[int | None, ...]:
    made = network.input
    if not isinstance(made.size, int):
        return (None,)
    usual = min(made.size, max(224 // made.multiple, 1) * made.multiple)
    return usual, max(usual // 2 // made.multiple, 2) * made.multiple


def _clip(network: Any) -> Clip:
    made = network.input
    few = made.frames_step * 2 if made.frames_step else made.frames
    return make.clip(frames=few or 1, width=160, height=120)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def table(seen: list[Seen], total: int) -> str:
    """As Markdown, after a line that counts; ``total`` is how many families there are."""
    of = [each for each in seen if each.attention]
    whole = [each for each in of if each.captured]
    idle = [each for each in of if each.failed and not each.captured]
    without = [each.family for each in seen if not each.attention]
    lines = [
        f"{len(seen)} of {total} families were tried. Attention runs in {len(of) - len(idle)}: "
        f"{len(whole)} are captured, {sum(not each.refused for each in whole)} of these whole. "
        f"{len(idle)} did not run here, as their library builds them; the last column says why.",
        "",
        "| family | network | inputs | blocks captured | largest error | places | refused |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in of:
        why = _short(each.why)
        refused = "none" if not why else f"{each.refused}: {why}" if each.refused else why
        lines.append(
            f"| {each.family} | {each.network} | {', '.join(each.sizes)} | {each.captured} | "
            + (f"{each.error:.1e}" if each.captured else "")
            + f" | {'; '.join(_places(word) for word in each.places)} | {refused} |"
        )
    lines += ["", f"No attention runs in {len(without)}: {', '.join(without)}."]
    return "\n".join(lines) + "\n"


def _places(how: str) -> str:
    return "followed" if how.startswith("followed") else how


def _short(why: str) -> str:
    first = why.splitlines()[0] if why else ""
    first = first.removeprefix("No block was understood: ").split(". Block ")[0]
    first = first.split("; build() may return")[0]
    words = re.sub(r"^[^']*'[^']*' ", "", re.sub(r"^hf:\S+ \(random weights\) ", "", first))
    words = words.replace("|", "/").rstrip(".")
    return words if len(words) <= 140 else words[:139] + "…"


def main() -> None:
    """Run them and write the tables into the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--library", choices=("timm", "transformers"))
    parser.add_argument("--kept", type=Path, help="goes on with what an earlier run put there")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        families = {
            "timm": timm_families,
            "transformers": lambda: transformers_families(Path(folder)),
        }
        for library, found in families.items():
            if options.library in (None, library):
                every = list(found())
                seen = _run(library, every, options.only, options.kept)
                _write(library, table(seen, len(every)))
                _keep(library, [each for each in seen if each.attention])


def _run(
    library: str, families: list[tuple[str, tuple[str, ...]]], only: str, kept: Path | None
) -> list[Seen]:
    """Run the families; those that ``kept`` has are taken from it, and the others put there."""
    lines = kept.read_text(encoding="utf-8").splitlines() if kept and kept.is_file() else []
    known = {(each.library, each.family): each for each in map(_read, lines)}
    seen = []
    for family, specs in families:
        if (library, family) in known:
            seen.append(known[library, family])
        elif any(word in family for word in only.split(",")):
            found = [seen_of(library, family, specs[0])]
            for spec in specs[1:]:  # the first in which attention ran tells
                if not found[-1].sizes:
                    found.append(seen_of(library, family, spec))
            seen.append(max(found, key=lambda each: (bool(each.sizes), not each.failed)))
            sys.stderr.write(" | ".join(map(str, seen[-1])) + "\n")
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(seen[-1]) + "\n")
            gc.collect()
    return seen


def _read(line: str) -> Seen:
    fields = json.loads(line)
    return Seen(*(tuple(each) if isinstance(each, list) else each for each in fields))


def _write(library: str, made: str) -> None:
    start, end = f"<!-- {library} -->\n", f"<!-- end of {library} -->\n"
    page = PAGE.read_text(encoding="utf-8")
    whole = f"{start}\n{made}\n{end}"
    pattern = f"{re.escape(start)}.*?{re.escape(end)}"
    PAGE.write_text(re.sub(pattern, lambda _: whole, page, flags=re.DOTALL), encoding="utf-8")


def _keep(library: str, seen: list[Seen]) -> None:
    """Into the file that ``nlviz models --by-name`` reads."""
    there = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    there[library] = [
        {
            "family": each.family,
            "network": each.network,
            "inputs": list(each.sizes),
            "captured": each.captured,
            "refused": each.refused,
            "error": float(f"{each.error:.1e}"),
            "places": [_places(word) for word in each.places],
            "why": _short(each.why),
        }
        for each in seen
    ]
    FILE.write_text(json.dumps(there, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
