"""Golden data of ALBERT, made by Google's own code and by transformers.

Programs: google-research/albert as packaged in albert-tensorflow 1.1 (`albert.modeling`,
`albert.run_pretraining`, unchanged). It was written for TensorFlow 1, so `import tensorflow` is
answered inside these modules by `tf.compat.v1`, and `tf.contrib.layers.layer_norm` by
`tf_slim.layers.layer_norm`: the same code, which moved to tf_slim when TensorFlow 2 dropped
`contrib`. And `transformers.AlbertForPreTraining` / `AlbertModel` in PyTorch, eager attention, eval
mode.
Versions: Python 3.11, albert-tensorflow 1.1, tensorflow 2.15.1, tf_slim 1.1.0; transformers 5.23.0,
torch 2.13.0, safetensors 0.8.0 (and, as found when they ran, in `golden.json`).
Commands, from the root of the repository, each in an environment with the versions of its row, and
after `make_sentencepiece.py`:

    python tests/goldens/make_albert.py google
    python tests/goldens/make_albert.py hf

    albert_google/          model.ckpt-best.{index,data-...} by `tf.train.Saver`, with a head, the
                            step and the slots of some variables; albert_config.json,
                            30k-clean.model
    albert_hf/pretraining/  model.safetensors from AlbertForPreTraining (prefix `albert.`, heads),
                            one group of layers, spiece.model
    albert_hf/groups/       other weights, AlbertModel without prefix: two groups of layers, exact
                            GELU, embeddings as wide as hidden states
"""

from __future__ import annotations

import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bert

CONFIG: dict[str, Any] = {
    "attention_probs_dropout_prob": 0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0,
    "embedding_size": 8,
    "hidden_size": 16,
    "initializer_range": 0.02,
    "intermediate_size": 24,
    "max_position_embeddings": 14,
    "num_attention_heads": 2,
    "num_hidden_layers": 4,
    "num_hidden_groups": 1,
    "net_structure_type": 0,
    "gap_size": 0,
    "num_memory_blocks": 0,
    "inner_group_num": 1,
    "down_scale_factor": 1,
    "type_vocab_size": 2,
    "vocab_size": 900,
}
MODEL = tiny_bert.HERE / "sentencepiece" / "albert.model"
MEANING = {
    "hidden_states": "(layers + 1, batch, seq, hidden): projected embeddings, then each layer",
    "attentions": "(2, batch, heads, seq, seq): first and last layer, after softmax",
    "pooled": "tanh(dense(first token))",
    "mlm_logits, mlm_log_probs": "of the masked language model, every position of the short batch",
}
WITH_SLOTS = (
    "bert/embeddings/word_embeddings",
    "bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel",
)


def google() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow
    import tf_slim

    tf = tensorflow.compat.v1

    class TensorFlow1(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(tf, name)

    contrib = types.ModuleType("tensorflow.contrib")
    contrib.layers = types.SimpleNamespace(layer_norm=tf_slim.layers.layer_norm)  # type: ignore
    # Imported by name and not used here.
    contrib.cluster_resolver = contrib.data = contrib.tpu = None  # type: ignore[attr-defined]
    sys.modules |= {"tensorflow": TensorFlow1("tensorflow"), "tensorflow.contrib": contrib}
    from albert import modeling, run_pretraining

    sys.modules["tensorflow"] = tensorflow
    folder = tiny_bert.HERE / "albert_google"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def build(batch: dict[str, np.ndarray]) -> dict[str, Any]:
        model = modeling.AlbertModel(
            modeling.AlbertConfig.from_dict(CONFIG),
            is_training=False,
            input_ids=tf.constant(batch["token_ids"]),
            input_mask=tf.constant(batch["padding_mask"]),
            token_type_ids=tf.constant(batch["segment_ids"]),
        )
        graph = tf.get_default_graph()
        # The softmax of each layer, in the order of the layers; the projected embeddings.
        scores = [op.outputs[0] for op in graph.get_operations() if op.type == "Softmax"]
        layers = model.get_all_encoder_layers()
        projected = graph.get_tensor_by_name("bert/encoder/embedding_hidden_mapping_in/add:0")
        outputs = {
            "hidden_states": tf.stack([tf.reshape(projected, tf.shape(layers[0])), *layers]),
            "attentions": tf.stack([scores[0], scores[-1]]),
            "pooled": model.get_pooled_output(),
        }
        rows, length = batch["token_ids"].shape
        if length < 10:
            _, _, words = run_pretraining.get_masked_lm_output(
                modeling.AlbertConfig.from_dict(CONFIG),
                model.get_sequence_output(),
                model.get_embedding_table(),
                tf.constant(np.tile(np.arange(length), (rows, 1)), tf.int32),
                tf.zeros([rows * length], tf.int32),
                tf.ones([rows * length]),
            )
            outputs["mlm_log_probs"] = tf.reshape(words, [rows, length, CONFIG["vocab_size"]])
        return outputs

    def fill(session: Any) -> None:
        for variable in tf.global_variables():
            if variable.dtype.base_dtype == tf.float32:
                shape = tuple(variable.shape.as_list())
                values = tiny_bert.random_weight(variable.op.name, shape, seed=5)
                variable.load(values, session)

    results = {}
    for name, batch in tiny_bert.inputs().items():
        with tf.Graph().as_default(), tf.Session() as session:
            outputs = build(batch)
            fill(session)
            results[name] = session.run(outputs)
    expected = tiny_bert.save_expected(folder / "expected.npz", results)
    with tf.Graph().as_default(), tf.Session() as session:
        build(tiny_bert.inputs()["short"])
        shapes = {v.op.name: v.shape for v in tf.global_variables()}
        for name in WITH_SLOTS:
            for slot in ("adam_m", "adam_v"):
                tf.get_variable(f"{name}/{slot}", shapes[name], tf.float32)
        step = tf.get_variable("global_step", [], tf.int64)
        fill(session)
        step.load(1000, session)
        tf.train.Saver().save(
            session, str(folder / "model.ckpt-best"), write_meta_graph=False, write_state=False
        )
        reader = tf.train.load_checkpoint(str(folder / "model.ckpt-best"))
    tiny_bert.write_json(folder / "albert_config.json", CONFIG)
    shutil.copy(MODEL, folder / "30k-clean.model")
    tiny_bert.write_note(
        folder,
        "google-research/albert (PyPI: albert-tensorflow), unchanged, over tf.compat.v1 with "
        "tf.contrib.layers.layer_norm from tf_slim; is_training=False, float32",
        ["albert-tensorflow", "tensorflow", "tf_slim", "numpy"],
        meaning=MEANING,
        expected=expected,
        tensors=tiny_bert.describe(
            {key: reader.get_tensor(key) for key in sorted(reader.get_variable_to_shape_map())}
        ),
    )


def hf() -> None:
    import torch
    from safetensors.numpy import load_file
    from transformers import AlbertConfig, AlbertForPreTraining, AlbertModel

    home = tiny_bert.HERE / "albert_hf"
    shutil.rmtree(home, ignore_errors=True)
    keys = {"hidden_act"} | {key for key in CONFIG if key.startswith(("num_", "type_", "vocab"))}
    keys |= {key for key in CONFIG if key.endswith(("_size", "_embeddings", "_prob"))}

    def build(architecture: Any, seed: int, **changes: Any) -> torch.nn.Module:
        config = AlbertConfig(**{key: CONFIG[key] for key in sorted(keys)} | changes)
        config._attn_implementation = "eager"
        model = architecture(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                values = tiny_bert.random_weight(name, tuple(parameter.shape), seed)
                parameter.copy_(torch.from_numpy(values))
        return model

    def run(model: Any) -> dict[str, dict[str, np.ndarray]]:
        encoder = getattr(model, "albert", model)
        results = {}
        for name, batch in tiny_bert.inputs().items():
            with torch.no_grad():
                output = encoder(
                    input_ids=torch.from_numpy(batch["token_ids"]).long(),
                    token_type_ids=torch.from_numpy(batch["segment_ids"]).long(),
                    attention_mask=torch.from_numpy(batch["padding_mask"]).long(),
                    output_hidden_states=True,
                    output_attentions=True,
                )
            scores = output.attentions
            results[name] = {
                "hidden_states": torch.stack(output.hidden_states).numpy(),
                "attentions": torch.stack([scores[0], scores[-1]]).numpy(),
                "pooled": output.pooler_output.numpy(),
            }
            if encoder is not model and name == "short":
                with torch.no_grad():
                    words = model.predictions(output.last_hidden_state)
                results[name]["mlm_logits"] = words.numpy()
        return results

    def save(name: str, model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        folder = Path(home / name)
        folder.mkdir(parents=True)
        model.save_pretrained(folder)
        # safetensors creates its file for the owner only.
        (folder / "model.safetensors").chmod(0o644)
        shutil.copy(MODEL, folder / "spiece.model")
        expected = tiny_bert.save_expected(folder / "expected.npz", run(model))
        return expected, tiny_bert.describe(load_file(folder / "model.safetensors"))

    model = build(AlbertForPreTraining, seed=6, hidden_act="gelu_new")
    pretraining = save("pretraining", model)
    model = build(AlbertModel, seed=7, hidden_act="gelu", num_hidden_groups=2, embedding_size=16)
    groups = save("groups", model)
    tiny_bert.write_note(
        home,
        "transformers.AlbertForPreTraining (pretraining), transformers.AlbertModel (groups); "
        "PyTorch, eager attention, eval mode, float32",
        ["transformers", "torch", "safetensors", "numpy"],
        meaning=MEANING,
        expected={"pretraining": pretraining[0], "groups": groups[0]},
        tensors={"pretraining": pretraining[1], "groups": groups[1]},
    )


if __name__ == "__main__":
    {"google": google, "hf": hf}[sys.argv[1]]()
