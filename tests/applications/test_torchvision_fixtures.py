"""torchvision's VGG and Inception v3 in builders that other publishers' files share.

The inputs lie beside a checkout, not in it.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_pretrained import applications
from keras_pretrained.checkpoints import open_checkpoint
from keras_pretrained.checkpoints.writing import write_checkpoint

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"
SLOW = pytest.mark.exhaustive
NETWORKS = [
    pytest.param("inception_v3", "InceptionV3", {}, marks=SLOW),
    pytest.param("vgg16", "VGG16", {}, marks=SLOW),
    pytest.param("vgg11_bn", "VGG11", {"batch_norm": True}, marks=SLOW),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "builder", "options"), NETWORKS)
def test_logits_equal_the_original(
    name: str, builder: str, options: dict[str, Any], tmp_path: Path
) -> None:
    folder = FIXTURES / "torchvision" / name
    if not folder.exists():
        pytest.skip(f"absent: torchvision/{name}")
    value = runpy.run_path(str(folder.parent / "values.py"))["value"]
    images = runpy.run_path(str(FIXTURES / "slim" / "values.py"))["make_input"]
    scales = json.loads((folder / "scalars.json").read_text())
    shapes = json.loads((folder / "vars.json").read_text())
    state = {key: value(key, tuple(shape), scales.get(key, 1.0)) for key, shape in shapes}
    path = write_checkpoint(tmp_path / "weights.pth", state, "torch")
    model = getattr(applications, builder)(
        weights=path,
        dialect="torchvision",
        preprocessing=False,
        classifier_activation=None,
        **options,
    )
    expected = np.load(folder / "outputs.npz")["logits"]
    found = model.predict(images(model.input_shape[1]), verbose=0)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
    written = open_checkpoint(model.save_weights_as(tmp_path / "written.safetensors"))
    for key, array in written.items():
        np.testing.assert_array_equal(array.read(), state[key], err_msg=key)
    left_out = set(state) - set(written)
    assert all(key.startswith("AuxLogits.") or key.endswith("_tracked") for key in left_out)
