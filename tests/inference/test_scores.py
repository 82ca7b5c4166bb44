"""Where class scores are found in what a network puts out, and what is said where they are not."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import nlviz
from nlviz.cli import main
from nlviz.inference.scores import class_scores, top_classes, why_no_class
from tests.support import make
from tests.support.plain_block import PlainNetwork

CLASSES = ("dog", "cat", "cow")
SCORES = torch.tensor([[0.0, 2.0, 1.0], [0.0, 2.0, 1.0]])
MAPS = torch.randn(2, 8, 4)


@dataclass
class Answer:
    maps: torch.Tensor
    scores: torch.Tensor


@dataclass(slots=True)
class Slim:
    scores: torch.Tensor


class Bare:
    def __init__(self):
        self.maps, self.scores = MAPS, SCORES


class Own:
    @property
    def logits(self):
        return SCORES


WRAPPED = {
    "tensor": SCORES,
    "one more axis": SCORES[:, None],
    "frames in front": SCORES[None],
    "a dict": {"logits": SCORES},
    "a dict of another name": {"maps": MAPS, "pred": SCORES},
    "logits before a tensor that fits": {"maps": torch.randn(1, 3), "logits": SCORES},
    "logits that do not fit": {"logits": MAPS, "pred": SCORES},
    "a tuple of one": (SCORES,),
    "a tuple": (MAPS, SCORES),
    "a list": [SCORES],
    "indices first": (torch.zeros(2, 3, dtype=torch.int64), SCORES),
    "nested": {"heads": [MAPS, ({"out": SCORES}, None)], "loss": 3.0, "name": "x"},
    "a dataclass": Answer(MAPS, SCORES),
    "a dataclass with slots": Slim(SCORES),
    "a named tuple": namedtuple("Out", "maps logits")(MAPS, SCORES),
    "a namespace": SimpleNamespace(logits=SCORES),
    "an object": Bare(),
    "a property": Own(),
    "half precision": (SCORES.bfloat16(),),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_scores_are_found_however_they_are_wrapped(how):
    torch.testing.assert_close(class_scores(WRAPPED[how], CLASSES), SCORES[0].softmax(0))
    assert [each.label for each in top_classes(WRAPPED[how], CLASSES)] == ["cat", "cow", "dog"]
    assert why_no_class(WRAPPED[how], CLASSES) is None


def test_what_contains_itself_is_looked_through_once():
    around: list = [MAPS]
    around.append(around)
    assert class_scores(around, CLASSES) is None
    around.append({"deep": SCORES})
    assert class_scores(around, CLASSES) is not None


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"a": MAPS, "b": [torch.zeros(5)]}, r"3 classes .* of shape \(2, 8, 4\), \(5,\), none"),
        (None, "puts out NoneType, none of which ends in 3"),
    ],
)
def test_classes_that_fit_nothing_are_told(output, words):
    assert top_classes(output, CLASSES) == ()
    assert class_scores(output, ()) is None
    assert why_no_class(output, ()) is None
    with pytest.raises(ValueError, match=words):
        raise ValueError(why_no_class(output, CLASSES))


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.inner = nn.Conv2d(3, 1, 1), PlainNetwork()

    def forward(self, x):
        return {"maps": [self.inner(self.first(x))], "pred": x.mean((2, 3))}


def test_an_analysis_says_that_its_classes_do_not_fit():
    def seen(*classes):
        given = {"size": 32, "multiple": 8, "classes": classes}
        return nlviz.analyse(make.clip(), nlviz.UserNetwork(Wrapped(), given))

    assert {each.label for each in seen(*CLASSES).prediction} == set(CLASSES)
    assert seen(*CLASSES).clip.notes == make.clip().notes
    odd = seen(*"abcdefghijk")
    assert odd.prediction == ()
    assert "11 classes are named, but the network puts out numbers of shape" in odd.clip.notes[-1]


NET = """
import torch
from nlviz.models.nonlocal_block import NonLocalBlock


def build():
    torch.manual_seed(0)
    block = NonLocalBlock(4)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.Unflatten(1, (4, 1)), block), {
        "size": 64, "classes": ("cat", "dog")}
"""


def test_the_command_line_says_it_too(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NET)
    picture = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture)
    model = ["--model", f"{tmp_path}/net.py:build", "--device", "cpu"]
    assert main(["links", str(picture), "--at", "0,20,20", *model]) == 0
    assert "note: No class is shown: 2 classes are named" in capsys.readouterr().err
