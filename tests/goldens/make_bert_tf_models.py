"""Golden data of BERT in the layouts of tensorflow/models, made by its own tools.

Program: `official.nlp` of tf-models-official: the converter of Google's checkpoints
(`tools/tf2_bert_encoder_checkpoint_converter`), the exporter of the TF-Hub models
(`tools/export_tfhub_lib`) and the networks `BertEncoder` and `BertPretrainerV2`, unchanged.
The weights are those of `bert_google/bert_model.ckpt`, which went the way the published ones
went; run make_bert_google.py first.
Versions: Python 3.11, tf-models-official 2.15.0, tensorflow 2.15.1 (and, as found when it ran,
in `bert_tf_models/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_bert_tf_models.py

    saved_model/            as on TF-Hub (versions 3 and later): variables/, assets/vocab.txt and
                            saved_model.pb, which is reduced to the object graph down to its
                            variables: without functions 1.2 MB become kilobytes, but TensorFlow
                            can no longer run it
    encoder_checkpoint/     object-based bert_model.ckpt with the prefix `model/`
    pretrainer_checkpoint/  object-based bert_model.ckpt of encoder and masked language model: here
                            the word embeddings are called `masked_lm/embedding_table`
    expected.npz            of all three: the exported SavedModel was loaded and run before it was
                            reduced; embeddings and language model come from the networks
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
import tiny_bert
from official.legacy.bert import configs
from official.nlp.tools import export_tfhub_lib as exporter
from official.nlp.tools import tf2_bert_encoder_checkpoint_converter as converter
from tensorflow.core.protobuf import saved_model_pb2

FOLDER = tiny_bert.HERE / "bert_tf_models"
GOOGLE = tiny_bert.HERE / "bert_google" / "bert_model.ckpt"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def batches() -> dict[str, dict[str, Any]]:
    return {
        name: {
            "input_word_ids": tf.constant(batch["token_ids"]),
            "input_mask": tf.constant(batch["padding_mask"]),
            "input_type_ids": tf.constant(batch["segment_ids"]),
        }
        for name, batch in tiny_bert.inputs().items()
    }


def convert(config: Any, folder: Path, kind: str) -> dict[str, Any]:
    converter.convert_checkpoint(
        config, str(folder / "bert_model.ckpt"), str(GOOGLE), "model", converted_model=kind
    )
    # `Checkpoint.save` numbers its files; the published ones carry no number.
    for path in folder.glob("bert_model.ckpt-1.*"):
        path.rename(folder / path.name.replace("ckpt-1", "ckpt"))
    (folder / "checkpoint").unlink()
    tiny_bert.write_vocabulary(folder)
    tiny_bert.write_json(folder / "bert_config.json", tiny_bert.CONFIG)
    return described_checkpoint(folder / "bert_model.ckpt")


def described_checkpoint(path: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(path))
    names = sorted(reader.get_variable_to_shape_map())
    arrays = {name: reader.get_tensor(name) for name in names if name.endswith(VALUE)}
    return tiny_bert.describe(arrays)


def export(config: Any, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = os.path.join(temporary, "bert_model.ckpt")
        converter.convert_checkpoint(config, checkpoint, str(GOOGLE), "encoder")
        exporter.export_model(
            str(folder),
            bert_config=config,
            model_checkpoint_path=checkpoint + "-1",
            with_mlm=False,
            vocab_file=str(GOOGLE.parent / "vocab.txt"),
            do_lower_case=True,
        )


def run(config: Any) -> dict[str, dict[str, np.ndarray]]:
    published = tf.saved_model.load(str(FOLDER / "saved_model"))
    pretrainer = converter._create_bert_pretrainer_model(config)
    path = str(FOLDER / "pretrainer_checkpoint" / "bert_model.ckpt")
    checkpoint = tf.train.Checkpoint(model=pretrainer, **pretrainer.checkpoint_items)
    checkpoint.restore(path).assert_existing_objects_matched()
    encoder = pretrainer.encoder_network
    embeddings = tf.keras.Model(encoder.inputs, encoder.get_layer("embeddings/layer_norm").output)
    results = {}
    for name, batch in batches().items():
        output = published(batch)
        states = [embeddings(batch), *output["encoder_outputs"]]
        results[name] = {
            "hidden_states": np.stack([state.numpy() for state in states]),
            "pooled": output["pooled_output"].numpy(),
        }
    rows, length = batches()["short"]["input_mask"].shape
    everywhere = tf.constant(np.tile(np.arange(length, dtype="int32"), (rows, 1)))
    words = pretrainer({**batches()["short"], "masked_lm_positions": everywhere})["mlm_logits"]
    results["short"]["mlm_logits"] = words.numpy()
    return results


def reduce_saved_model(folder: Path) -> dict[str, Any]:
    """Keeps the object graph down to its last variable; returns key -> friendly name."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = model.meta_graphs[0]
    graph.graph_def.Clear()
    graph.object_graph_def.concrete_functions.clear()
    nodes = graph.object_graph_def.nodes
    kept = 1 + max(i for i, node in enumerate(nodes) if node.WhichOneof("kind") == "variable")
    del nodes[kept:]
    for node in nodes:
        children = [child for child in node.children if child.node_id < kept]
        del node.children[:]
        node.children.extend(children)
        if node.WhichOneof("kind") == "user_object":
            node.user_object.metadata = ""
        node.ClearField("registered_saver")
        node.saveable_objects.clear()
    path.write_bytes(model.SerializeToString(deterministic=True))
    for name in ("keras_metadata.pb", "fingerprint.pb"):
        (folder / name).unlink()

    root = {child.local_name: child.node_id for child in nodes[0].children}
    names = {
        f"variables/{child.local_name}": nodes[child.node_id].variable.name
        for child in nodes[root["variables"]].children
        # The list holds it too, but it is stored under its shorter path.
        if child.node_id != root["do_lower_case"]
    }
    return names | {"do_lower_case": nodes[root["do_lower_case"]].variable.name}


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    config = configs.BertConfig.from_json_file(str(GOOGLE.parent / "bert_config.json"))
    checkpoints = {
        f"{kind}_checkpoint/bert_model.ckpt": convert(config, FOLDER / f"{kind}_checkpoint", kind)
        for kind in ("encoder", "pretrainer")
    }
    export(config, FOLDER / "saved_model")
    arrays = tiny_bert.save_expected(FOLDER / "expected.npz", run(config))
    friendly = reduce_saved_model(FOLDER / "saved_model")
    stored = described_checkpoint(FOLDER / "saved_model" / "variables" / "variables")
    tiny_bert.write_note(
        FOLDER,
        "official.nlp of tensorflow/models (PyPI: tf-models-official): checkpoint converter, "
        "TF-Hub exporter, networks BertEncoder and BertPretrainerV2; float32",
        ["tf-models-official", "tensorflow", "numpy"],
        activation="gelu (tanh approximation)",
        weights="those of bert_google/bert_model.ckpt",
        meaning={
            "hidden_states": "(blocks + 1, batch, seq, hidden): embeddings, then encoder_outputs",
            "pooled": "pooled_output",
            "mlm_logits": "masked language model of pretrainer_checkpoint, every position",
        },
        keys=f"of the checkpoints, without the ending {VALUE}; the entry "
        "_CHECKPOINTABLE_OBJECT_GRAPH is not listed",
        expected=arrays,
        saved_model={key: [name, *stored[key + VALUE]] for key, name in friendly.items()},
        tensors={
            name: {key.removesuffix(VALUE): value for key, value in tensors.items()}
            for name, tensors in checkpoints.items()
        },
    )


if __name__ == "__main__":
    main()
