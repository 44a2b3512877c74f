"""Golden data of image networks, made by TensorFlow-Slim itself.

Program: `tf_slim.nets`, unchanged, in inference mode, with the weights and images of
`slim_values.py`.
Versions: Python 3.11, tf_slim 1.1.0, tensorflow 2.15.1, tf_keras 2.15.1 (and, as found when it ran,
in `slim/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_slim.py

`slim/NETWORK.npz` has `variables`, names and shapes as the program made them; the `size` of the
images; the `logits`; `ends`, names and shapes of the end points; and `samples`, 24 values of each
of them, at even steps.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import slim_values
import tensorflow
import tf_slim
from tf_slim.nets import inception_v1, inception_v2, inception_v3, resnet_v1, resnet_v2

tf = tensorflow.compat.v1
FOLDER = Path(__file__).parent / "slim"

# Network -> its scope of arguments, its graph, and the height and width of the images.
NETWORKS: dict[str, tuple[Callable[..., Any], Callable[..., Any], int]] = {
    # Its last pool has the size of the feature map of its own images.
    "inception_v1": (inception_v1.inception_v1_arg_scope, inception_v1.inception_v1, 224),
    "inception_v2": (inception_v2.inception_v2_arg_scope, inception_v2.inception_v2, 64),
    "inception_v3": (inception_v3.inception_v3_arg_scope, inception_v3.inception_v3, 139),
    "resnet_v1_50": (resnet_v1.resnet_arg_scope, resnet_v1.resnet_v1_50, 65),
    "resnet_v2_50": (resnet_v2.resnet_arg_scope, resnet_v2.resnet_v2_50, 65),
}


def run(network: str) -> dict[str, np.ndarray]:
    """What one network makes of its images."""
    scope, build, size = NETWORKS[network]
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder("float32", (2, size, size, 3))
        with tf_slim.arg_scope(scope()):
            logits, ends = build(images, slim_values.CLASSES, is_training=False)
        found = {each.op.name: each for each in tf.global_variables()}
        for name, variable in found.items():
            variable.load(slim_values.value(name, tuple(variable.shape.as_list())), session)
        results, top = session.run([ends, logits], {images: slim_values.images(size)})
    shapes = [[name, variable.shape.as_list()] for name, variable in found.items()]
    return {
        "size": np.array(size),
        "variables": np.array([json.dumps(each) for each in shapes]),
        "ends": np.array([json.dumps([name, end.shape]) for name, end in results.items()]),
        "samples": np.stack([slim_values.sample(end) for end in results.values()]),
        "logits": top.reshape(2, -1),
    }


def main() -> None:
    tf.disable_v2_behavior()
    # TensorFlow 2.15 looks for its batch normalisation where tf_keras no longer has it.
    for module in ("", ".normalization"):
        known = importlib.import_module(f"tf_keras.src.legacy_tf_layers{module}")
        sys.modules[f"tf_keras.legacy_tf_layers{module}"] = known
    FOLDER.mkdir(exist_ok=True)
    for network in NETWORKS:
        arrays = run(network)
        np.savez_compressed(FOLDER / f"{network}.npz", **arrays)
        spread = np.abs(arrays["samples"]).max(axis=1)
        print(network, len(arrays["variables"]), "variables", spread.min(), spread.max())
    packages = ("tf_slim", "tensorflow", "tf_keras", "numpy")
    content = {
        "program": "tf_slim.nets (PyPI: tf_slim), unchanged; is_training=False, float32",
        "versions": {
            "python": sys.version.split()[0],
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "command": "python tests/goldens/make_slim.py",
    }
    (FOLDER / "golden.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
