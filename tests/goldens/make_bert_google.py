"""Golden data of BERT in Google's own layout, made by Google's own code of 2019.

Program: google-research/bert as packaged in bert-tensorflow 1.0.1 (`bert.modeling`,
`bert.run_pretraining`, `bert.optimization`, unchanged). It was written for TensorFlow 1, so
`import tensorflow` is answered inside these modules by `tf.compat.v1`, and
`tf.contrib.layers.layer_norm` by `tf_slim.layers.layer_norm`: the same code, which moved to
tf_slim when TensorFlow 2 dropped `contrib`.
Versions: Python 3.11, bert-tensorflow 1.0.1, tensorflow 2.15.1, tf_slim 1.1.0 (and, as found
when it ran, in `bert_google/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_bert_google.py

    bert_model.ckpt.{index,data-...}  by `tf.train.Saver`: encoder, heads `cls/*`, `global_step` and
                                      the slots adam_m / adam_v of some variables, as a fine-tuned
                                      checkpoint has them (the `.meta` graph is left out)
    v1/bert_model.ckpt                encoder and heads in the one-file V1 table format
    bert_config.json, vocab.txt       as published
    expected.npz                      with the package's GELU: the tanh approximation
    expected_erf.npz                  with `bert.modeling.gelu` replaced by the formula that the
                                      repository had until February 2019,
                                      x * 0.5 * (1 + erf(x / sqrt(2)))
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import types
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow
import tf_slim
import tiny_bert

tf = tensorflow.compat.v1
FOLDER = tiny_bert.HERE / "bert_google"
WITH_ADAM_SLOTS = (
    "bert/embeddings/word_embeddings",
    "bert/encoder/layer_0/attention/self/query/kernel",
    "bert/encoder/layer_2/output/LayerNorm/gamma",
    "cls/predictions/output_bias",
)


class TensorFlow1(types.ModuleType):
    """`import tensorflow` as the modules of 2019 expect it."""

    contrib = types.SimpleNamespace(
        layers=types.SimpleNamespace(layer_norm=tf_slim.layers.layer_norm)
    )

    def __getattr__(self, name: str) -> Any:
        return getattr(tf, name)


def original(name: str) -> Any:
    sys.modules["tensorflow"] = TensorFlow1("tensorflow")
    try:
        return importlib.import_module(name)
    finally:
        sys.modules["tensorflow"] = tensorflow


modeling, pretraining, optimization = (
    original(f"bert.{module}") for module in ("modeling", "run_pretraining", "optimization")
)


def gelu_of_2018(x: Any) -> Any:
    return x * (0.5 * (1.0 + tf.erf(x / tf.sqrt(2.0))))


def build(batch: dict[str, np.ndarray]) -> tuple[dict[str, Any], Any]:
    config = modeling.BertConfig.from_dict(tiny_bert.CONFIG)
    model = modeling.BertModel(
        config,
        is_training=False,
        input_ids=tf.constant(batch["token_ids"]),
        input_mask=tf.constant(batch["padding_mask"]),
        token_type_ids=tf.constant(batch["segment_ids"]),
    )
    rows, length = batch["token_ids"].shape
    everywhere = tf.constant(np.tile(np.arange(length), (rows, 1)), tf.int32)
    labels = tf.zeros([rows * length], tf.int32)
    masked_loss, _, words = pretraining.get_masked_lm_output(
        config,
        model.get_sequence_output(),
        model.get_embedding_table(),
        everywhere,
        labels,
        tf.ones([rows * length]),
    )
    next_loss, _, next_sentence = pretraining.get_next_sentence_output(
        config, model.get_pooled_output(), tf.zeros([rows], tf.int32)
    )
    attention = "bert/encoder/layer_{}/attention/self/Softmax:0"
    last = config.num_hidden_layers - 1
    graph = tf.get_default_graph()
    outputs = {
        "hidden_states": tf.stack([model.get_embedding_output(), *model.get_all_encoder_layers()]),
        "attentions": tf.stack(
            [graph.get_tensor_by_name(attention.format(layer)) for layer in (0, last)]
        ),
        "pooled": model.get_pooled_output(),
        "nsp_log_probs": next_sentence,
    }
    if length < 10:
        outputs["mlm_log_probs"] = tf.reshape(words, [rows, length, config.vocab_size])
    return outputs, masked_loss + next_loss


def run(session: Any, outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    for variable in tf.global_variables():
        name = variable.op.name
        if name == "global_step":
            variable.load(1000, session)
        else:
            values = tiny_bert.random_weight(name, tuple(variable.shape.as_list()), seed=3)
            variable.load(values, session)
    return session.run(outputs)


def evaluate() -> dict[str, dict[str, np.ndarray]]:
    results = {}
    for name, batch in tiny_bert.inputs().items():
        with tf.Graph().as_default(), tf.Session() as session:
            results[name] = run(session, build(batch)[0])
    return results


def save_checkpoints() -> dict[str, Any]:
    (FOLDER / "v1").mkdir(parents=True)
    with tf.Graph().as_default(), tf.Session() as session:
        outputs, loss = build(tiny_bert.inputs()["short"])
        network = list(tf.global_variables())
        optimization.create_optimizer(loss, 1e-4, 10000, 100, use_tpu=False)
        run(session, outputs)
        slots = tuple(f"{name}/{slot}" for name in WITH_ADAM_SLOTS for slot in ("adam_m", "adam_v"))
        published = [
            variable
            for variable in tf.global_variables()
            if variable in network or variable.op.name in (*slots, "global_step")
        ]
        for folder, variables, write_version in (
            (FOLDER, published, tf.train.SaverDef.V2),
            (FOLDER / "v1", network, tf.train.SaverDef.V1),
        ):
            tf.train.Saver(variables, write_version=write_version).save(
                session,
                str(folder / "bert_model.ckpt"),
                write_meta_graph=False,
                write_state=False,
            )
            tiny_bert.write_vocabulary(folder)
            tiny_bert.write_json(folder / "bert_config.json", tiny_bert.CONFIG)
    return {
        name: tiny_bert.describe(
            {key: reader.get_tensor(key) for key in sorted(reader.get_variable_to_shape_map())}
        )
        for name in ("bert_model.ckpt", "v1/bert_model.ckpt")
        for reader in [tf.train.load_checkpoint(str(FOLDER / name))]
    }


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    tensors = save_checkpoints()
    arrays = {"expected": tiny_bert.save_expected(FOLDER / "expected.npz", evaluate())}
    modeling.gelu = gelu_of_2018
    results = evaluate()
    arrays["expected_erf"] = tiny_bert.save_expected(FOLDER / "expected_erf.npz", results)
    tiny_bert.write_note(
        FOLDER,
        "google-research/bert (PyPI: bert-tensorflow), unchanged, over tf.compat.v1 with "
        "tf.contrib.layers.layer_norm from tf_slim; is_training=False, float32",
        ["bert-tensorflow", "tensorflow", "tf_slim", "numpy"],
        activation={
            "expected": "gelu as in the package (tanh approximation)",
            "expected_erf": "bert.modeling.gelu replaced by the formula of the repository until "
            "February 2019, x * 0.5 * (1 + erf(x / sqrt(2))); all else is the package's",
        },
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): get_embedding_output(), then "
            "get_all_encoder_layers()",
            "attentions": "(2, batch, heads, seq, seq): first and last block, after softmax",
            "pooled": "get_pooled_output()",
            "mlm_log_probs, nsp_log_probs": "log softmax of the pretraining heads, of the short "
            "batch (every position) and of both",
        },
        expected=arrays,
        tensors=tensors,
    )


if __name__ == "__main__":
    main()
