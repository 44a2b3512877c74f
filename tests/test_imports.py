"""Importing the package is cheap: it loads no backend."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
import keras_pretrained
{use}
heavy = {{"keras", "tensorflow", "jax", "torch", "h5py", "numpy"}} & set(sys.modules)
print(",".join(sorted(heavy)))
"""


@pytest.mark.parametrize(
    ("use", "allowed"),
    [
        ("", set()),
        ("keras_pretrained.list_presets(); keras_pretrained.preset_info('bert-base')", set()),
        ("import keras_pretrained.checkpoints, keras_pretrained.weights", {"numpy", "h5py"}),
    ],
)
def test_no_backend_is_loaded(use: str, allowed: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(use=use)], capture_output=True, text=True, check=True
    )
    assert set(filter(None, done.stdout.strip().split(","))) <= allowed


def test_every_public_name_exists() -> None:
    import keras_pretrained

    for name in keras_pretrained.__all__:
        assert getattr(keras_pretrained, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = keras_pretrained.nothing_of_the_kind
