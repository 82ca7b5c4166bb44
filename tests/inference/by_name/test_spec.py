"""What names a network of a library, and what a misspelt name is told."""

from __future__ import annotations

import pytest

import nlviz
from nlviz.inference.by_name.spec import Spec, is_by_name
from nlviz.inference.loading import declares_its_input, is_user_network


def test_specs_are_read():
    assert Spec.of("timm:vit_tiny_patch16_224") == Spec("timm", "vit_tiny_patch16_224")
    assert Spec.of("hf:a/b") == Spec("hf", "a/b")
    assert Spec.of("hf:a/b@v1") == Spec("hf", "a/b", revision="v1")
    assert Spec.of("torchhub:a/b:main:entry") == Spec("torchhub", "a/b:main", "entry")


def test_a_folder_is_called_by_its_last_name(tmp_path):
    folder = tmp_path / "some@model"
    folder.mkdir()
    spec = Spec.of(f"hf:{folder}")
    assert spec.folder == folder
    assert spec.called == "hf:some@model"


@pytest.mark.parametrize("text", ["timm:", "hf:", "torchhub:a/b", "torchhub:x:"])
def test_half_a_spec_is_told_how_it_goes_on(text):
    with pytest.raises(nlviz.NetworkError, match=f"names no network; write {text.split(':')[0]}:"):
        nlviz.load(text, trust=("a/b", "x"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tim:vit_tiny", "is 'timm:vit_tiny' meant?"),
        ("huggingface:a/b", "is 'hf:a/b' meant?"),
        ("torch:a/b:c", "is 'torchhub:a/b:c' meant?"),
        ("facebook/dinov3-vits16", "is 'hf:facebook/dinov3-vits16' meant?"),
        ("vit_small_patch16_dinov3", "is 'timm:vit_small_patch16_dinov3' meant?"),
        ("nl-lite", "is 'nl-lite0'"),
    ],
)
def test_a_misspelt_model_gets_the_nearest(text, meant):
    with pytest.raises(nlviz.NetworkError) as told:
        nlviz.load(text)
    assert meant in str(told.value)


def test_a_name_is_a_librarys_a_file_or_of_the_zoo():
    assert [is_by_name(each) for each in ("hf:net.py", "net.py:f", "nl-lite0")] == [
        True,
        False,
        False,
    ]
    assert [is_user_network(each) for each in ("hf:net.py", "net.py:f")] == [False, True]
    assert [declares_its_input(each) for each in ("hf:a", "net.py:f", "nl-lite0")] == [
        True,
        True,
        False,
    ]


def test_what_only_a_network_by_name_takes_is_refused_elsewhere():
    for more in ({"input": {"size": 64}}, {"trust": ("a/b",)}):
        with pytest.raises(nlviz.NetworkError, match="is no network by name"):
            nlviz.load("nl-lite0", **more)
    with pytest.raises(nlviz.NetworkError, match="sets its weights itself"):
        nlviz.load("net.py:build", weights="none")
