"""What a session file says of an analysis, and the analysis again: every value is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis, Prediction
from nlviz.clip import Clip
from nlviz.display import printable
from nlviz.export.arrays import affinity_header
from nlviz.geometry import MOST_INPUT, Grid, Point, Region, View
from nlviz.groups import Groups, LinkBits, Links
from nlviz.models.input_size import LARGEST
from nlviz.models.score_windows import ScoreWindows
from nlviz.provenance import Provenance
from nlviz.query import Query, asked

Text = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]

LONGEST_NAME = 300
"""Signs of a name that a session file holds, at most."""

LONGEST = 8000
"""Signs of a sentence or a command that a session file holds, at most."""

_TIED = "theta"  # what a block's φ is where it equals θ
_MOST = 2**31
_MOST_CORNERS = 100_000  # of one region: each is compared with every line of the frame
_MOST_STEPS = 256  # for each frame: networks repeat a photo to the frames that they need
_FARTHEST = 1e6  # of a grid, in pixels of the network's input


def told(analysis: Analysis, queries: Sequence[Query]) -> dict[str, Any]:
    """All of an analysis but its arrays, ready for JSON."""
    clip, view = analysis.clip, analysis.view
    return {
        "clip": {
            "name": clip.name,
            "indices": [int(i) for i in clip.indices],
            "timestamps": [float(seconds) for seconds in clip.timestamps],
            "total": int(clip.total),
            "notes": list(clip.notes),
        },
        "view": {"source": list(view.source), "input": list(view.input)},
        "network": analysis.network,
        "blocks": {
            block: {
                **affinity_header(affinity),
                "fidelity": analysis.fidelity[block],
                "kind": analysis.kinds.get(block),
                "places": analysis.places.get(block),
                **({"phi": _TIED} if is_tied(affinity) else {}),
            }
            for block, affinity in analysis.affinities.items()
        },
        "prediction": [asdict(each) for each in analysis.prediction],
        "score_windows": None if analysis.score_windows is None else asdict(analysis.score_windows),
        "refused": dict(analysis.refused),
        "queries": [asked(query) for query in queries],
    }


def is_tied(affinity: Affinity) -> bool:
    """Whether θ and φ are the same numbers, so that one of them says it all."""
    return np.array_equal(affinity.theta, affinity.phi)


def is_name(block: str) -> bool:
    """Whether a block's name is one that a session takes."""
    return block == printable(block, LONGEST_NAME)


def analysis(text: Text, clip: Clip, arrays: Arrays) -> Analysis:
    """The analysis again; ValueError, TypeError, KeyError or NlvizError where that cannot be."""
    frames = clip.frames
    source, size = (_whole_numbers(text["view"][name], 2, 1) for name in ("source", "input"))
    if source != (clip.width, clip.height):
        raise ValueError("the frames have another size than the view")
    if len(frames) * size[0] * size[1] > MOST_INPUT:
        raise ValueError("the network's input is larger than any that is run")
    blocks, refused = whole_object(text["blocks"]), whole_object(text["refused"])
    if not all(map(is_name, blocks)):
        raise ValueError("a block's name is too long or has signs that do not show")
    if not blocks:
        raise ValueError("it has no block")
    affinities = {
        block: _affinity(block, whole_object(each), arrays) for block, each in blocks.items()
    }
    grids = [grid for each in affinities.values() for grid in (each.query_grid, each.key_grid)]
    if max(grid.t for grid in grids) > _MOST_STEPS * len(frames):
        raise ValueError("a block has far more time steps than the clip has frames")
    return Analysis(
        clip=clip,
        view=View((clip.width, clip.height), (size[0], size[1]), clip.indices),
        network=_name(text["network"]),
        affinities=MappingProxyType(affinities),
        fidelity=MappingProxyType(
            {
                block: None if each["fidelity"] is None else _number(each["fidelity"])
                for block, each in blocks.items()
            }
        ),
        prediction=tuple(
            Prediction(_name(each["label"]), _number(each["score"])) for each in text["prediction"]
        ),
        score_windows=_score_windows(text.get("score_windows")),  # older sessions have none
        refused={_name(block): _name(why, LONGEST) for block, why in refused.items()},
        kinds={
            block: _name(each["kind"]) for block, each in blocks.items() if each["kind"] is not None
        },
        places={
            block: _words(each["places"])
            for block, each in blocks.items()
            if each.get("places") is not None  # older sessions do not say
        },
        sizes={
            block: _array(arrays, f"{block}/sizes", np.float32, 1, affinity.key_grid.size)
            for block, affinity in affinities.items()
            if f"{block}/sizes" in arrays
        },
    )


def query(text: Text, analysis: Analysis) -> Query:
    """A query that the analysis can answer."""
    point: Point | Region | str
    if "token" in text:
        point = _name(text["token"])
    elif "region" in text:
        if len(text["region"]["outline"]) > _MOST_CORNERS:
            raise ValueError(f"a region has more than {_MOST_CORNERS} corners")
        outline = tuple((_number(x), _number(y)) for x, y in text["region"]["outline"])
        point = Region(_whole(text["region"]["frame"], 0), outline)
    else:
        at = text["at"]
        point = Point(_whole(at["frame"], 0), _number(at["x"]), _number(at["y"]))
    if not isinstance(point, str):
        analysis.view.check(point)
    affinity = analysis.affinity(text["block"])
    head = None if "head" not in text else _whole(text["head"], 0)
    if head is not None:
        affinity.head(head)
    return Query(
        point=point,
        block=text["block"],
        k=_whole(text["k"]),
        exclude=text["exclude"],
        head=head,
        reverse=text.get("reverse", False) is True,
        rank_by=text.get("rank_by", "affinity"),
    )


def provenance(text: Text) -> Provenance:
    """A provenance, its texts and numbers as they were written."""
    names = {each.name for each in fields(Provenance)}
    text = {"scores": None, **text}  # older sessions do not say what class scores come from
    if set(text) != names:
        raise ValueError("the provenance is not whole")
    whole = {name: _name(text[name]) for name in ("version", "model", "clip", "checksum")}
    weights, scores, command = (
        None if text[name] is None else _name(text[name], LONGEST)
        for name in ("weights", "scores", "command")
    )
    source, size = (_whole_numbers(text[name], 2) for name in ("source", "input"))
    return Provenance(
        **whole,
        weights=weights,
        scores=scores,
        command=command,
        frames=_whole_numbers(text["frames"]),
        total=_whole(text["total"]),
        source=(source[0], source[1]),
        input=(size[0], size[1]),
        queries=tuple(whole_object(each) for each in text["queries"]),
    )


def whole_object(value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r:.40}")
    return value


def no_number(value: str) -> float:
    """For JSON's parser: NaN and the infinities are not allowed."""
    raise ValueError(f"{value} is not a number")


def clip(text: Text, frames: NDArray[Any]) -> Clip:
    """The clip again, of its frames (T, H, W, 3); errors as ``analysis``."""
    indices = _whole_numbers(text["indices"], least=0)
    if list(indices) != sorted(set(indices)):
        raise ValueError("the frames are not in order")
    return Clip(
        frames=frames,
        indices=indices,
        timestamps=tuple(map(_number, text["timestamps"])),
        name=_name(text["name"]),
        total=_whole(text["total"]),
        notes=tuple(_name(note, LONGEST) for note in text["notes"]),
    )


def _score_windows(text: Any) -> ScoreWindows | None:
    """The windows that class scores come from; None where they come from the pass that is drawn."""
    if text is None:
        return None
    said = whole_object(text)
    size, count = _whole(said["size"]), _whole(said["count"])
    if size > LARGEST or count > LARGEST:
        raise ValueError("class scores come from windows larger or more than any that are run")
    return ScoreWindows(size, count)


def _affinity(block: str, text: Text, arrays: Arrays) -> Affinity:
    count = _whole(text["reach"], 0)
    theta = _channels(arrays, f"{block}/theta")
    phi = theta if text.get("phi") == _TIED else _channels(arrays, f"{block}/phi")
    reach = tuple(_links(f"{block}/reach/{i}", arrays, phi.shape[1]) for i in range(count))
    return Affinity(
        function=_words(text["function"]),
        theta=theta,
        phi=phi,
        query_grid=_grid(text["query_grid"]),
        key_grid=_grid(text["key_grid"]),
        scale=_number(text["scale"]),
        heads=_whole(text["heads"]),
        reach=reach,
        tokens=tuple(map(_name, text["tokens"])),
    )


def _links(name: str, arrays: Arrays, keys: int) -> Links:
    if f"{name}/bits" in arrays:
        return LinkBits(_array(arrays, f"{name}/bits", np.uint8, 2), keys)
    until = f"{name}/until"
    query, key = (_array(arrays, f"{name}/{of}", np.int32, 1) for of in ("query", "key"))
    return Groups(query, key, _array(arrays, until, np.int32, 1) if until in arrays else None)


def _grid(text: Text) -> Grid:
    stride, first = (
        None if text[name] is None else tuple(map(_number, text[name]))
        for name in ("stride", "first")
    )
    for three in (stride, first):
        if three is not None and len(three) != 3:
            raise ValueError("a grid's stride and first cell have three numbers")
    if stride is not None and not 1 / _FARTHEST <= min(stride) <= max(stride) <= _FARTHEST:
        raise ValueError("a grid's stride must be positive and lie within the frames")
    if first is not None and max(map(abs, first)) > _FARTHEST:
        raise ValueError("a grid's first cell must lie near the frames")
    t, rows, cols = (_whole(text[name]) for name in ("t", "rows", "cols"))
    return Grid(t, rows, cols, stride, first)  # type: ignore[arg-type]  # three, checked above


def _channels(arrays: Arrays, name: str) -> NDArray[np.float32]:
    """θ or φ; of a slim session they are at half precision."""
    half = arrays[name].dtype == np.float16
    array = _array(arrays, name, np.float16 if half else np.float32, 2)
    return array.astype(np.float32, copy=False)


def _array(
    arrays: Arrays, name: str, kind: type, axes: int, length: int | None = None
) -> NDArray[Any]:
    array = arrays[name]
    wrong = array.dtype != kind or array.ndim != axes or not np.isfinite(array).all()
    if wrong or (length is not None and len(array) != length):
        raise ValueError(f"{name:.60} is not what it should be")
    return array


def _name(value: Any, most: int = LONGEST_NAME) -> str:
    """What a stranger may have written: not longer than a name, and all of it shows."""
    return printable(_words(value), most)


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r:.40}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"expected a number, got {value!r:.40}")
    return float(value)


def _whole(value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _MOST:
        raise TypeError(f"expected a whole number from {least}, got {value!r:.40}")
    return value


def _whole_numbers(values: Any, count: int | None = None, least: int = 0) -> tuple[int, ...]:
    if not isinstance(values, list) or len(values) != (len(values) if count is None else count):
        raise TypeError(f"expected whole numbers, got {values!r:.40}")
    return tuple(_whole(value, least) for value in values)
