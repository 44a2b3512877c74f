"""Patterns for the members of archives."""

from __future__ import annotations

import pytest

from keras_pretrained.presets.member_names import find_name, is_pattern, matching, spelled_out

EITHER = "*.ckpt{,.index}"


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        (EITHER, ["inception_v1.ckpt"], "inception_v1.ckpt"),
        (EITHER, ["eval.graph", "resnet_v2_50.ckpt", "train.graph"], "resnet_v2_50.ckpt"),
        (EITHER, ["x.ckpt.index", "x.ckpt.data-00000-of-00001", "x.ckpt.meta"], "x.ckpt.index"),
        (EITHER, ["x.ckpt", "x.ckpt.index"], None),
        (EITHER, ["x.ckpts"], None),
        (EITHER, ["folder/x.ckpt"], None),
        ("*.data-?", ["x.data-1"], None),
        ("a+b*", ["a+bc", "aab"], "a+bc"),
        ("model.ckpt.index", ["model.ckpt.index", "modelXckptXindex"], "model.ckpt.index"),
        ("model.ckpt.index", [], None),
    ],
)
def test_the_only_name(name: str, names: list[str], found: str | None) -> None:
    assert find_name(name, names) == found


def test_several_are_told() -> None:
    assert matching("*.ckpt", ["b.ckpt", "a.ckpt", "c"]) == ["a.ckpt", "b.ckpt"]
    assert matching("a.ckpt", ["b.ckpt", "a.ckpt"]) == ["a.ckpt"]


def test_patterns_for_people() -> None:
    assert spelled_out(EITHER) == "*.ckpt or *.ckpt.index"
    assert spelled_out("model.ckpt.index") == "model.ckpt.index"
    assert [is_pattern(each) for each in (EITHER, "a{b,c}", "model.ckpt")] == [True, True, False]
