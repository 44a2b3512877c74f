"""What a BERT checkpoint says of itself: the sizes, the activation, the casing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_pretrained.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from keras_pretrained.layers.bert_weights import WEIGHT_MAPS
from keras_pretrained.presets import (
    Located,
    Preset,
    PresetError,
    find_file,
    preset_info,
    read_json,
    resolve,
)
from keras_pretrained.weights import WeightMap, WeightsError, select_map

_SIZES = {
    "vocab_size": "vocabulary_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "num_segments",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "layer_norm_eps": "layer_norm_epsilon",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_id",
}
_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_exact": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "relu": "relu",
}


@dataclass(frozen=True)
class BertSource:
    """All that a source gives: what to build, what to load into it, and the vocabulary."""

    architecture: Mapping[str, Any]
    checkpoint: Checkpoint | None = None
    weight_map: WeightMap | None = None
    vocabulary: Path | None = None
    lowercase: bool | None = None
    preset: str | None = None


def find_bert(
    source: str | os.PathLike[str] | Preset | None,
    weights: str | os.PathLike[str] | None,
    dialect: str,
    changes: Mapping[str, Any],
) -> BertSource:
    """Finds out what a source is: a preset, a folder or file, or an architecture alone.

    Args:
        source: preset name, local path, or None for `changes` alone.
        weights: `"auto"`, None, or the path of another checkpoint.
        dialect: naming scheme of the weights, or `"auto"`.
        changes: entries that replace those of the source's own architecture.
    """
    if source is None:
        if weights not in ("auto", None):
            raise ValueError(
                "`weights` needs a `source` (a preset name or a path) that says which network they "
                f"belong to. Received: source=None, weights={str(weights)!r}"
            )
        return BertSource(changes)
    if isinstance(source, str) and _is_preset(source):
        source = preset_info(source)
    if isinstance(source, Preset):
        return _from_preset(source, weights, dialect, changes)
    return _from_path(source, weights, dialect, changes)


def _is_preset(name: str) -> bool:
    try:
        preset_info(name)
    except PresetError:
        return False
    return True


def _from_preset(
    preset: Preset, weights: Any, dialect: str, changes: Mapping[str, Any]
) -> BertSource:
    if preset.family != "bert":
        raise PresetError(
            f"Preset {preset.name!r} is of family {preset.family!r}, built by {preset.builder!r}. "
            "Expected family 'bert'."
        )
    checkpoint = weight_map = None
    if weights == "auto":
        located = resolve(preset)
        weights, vocabulary = located.weights, located.vocabulary
    else:
        vocabulary = find_file(preset, "vocabulary")
    architecture = dict(preset.architecture)
    if weights is not None:
        checkpoint = open_checkpoint(weights)
        weight_map = select_map(checkpoint, WEIGHT_MAPS, {}, dialect)
        architecture["pooler"] = has_pooler(checkpoint, weight_map, architecture["num_layers"])
    return BertSource(
        {**architecture, **changes},
        checkpoint,
        weight_map,
        vocabulary,
        preset.tokenizer.get("lowercase"),
        preset.name,
    )


def _from_path(
    source: str | os.PathLike[str], weights: Any, dialect: str, changes: Mapping[str, Any]
) -> BertSource:
    located = resolve(source, family="bert")
    origin = located.config or located.folder
    config = read_json(origin) if located.config else None
    if weights is None and config is not None:
        architecture = architecture_from_config(config, str(origin), _dialect_of(located))
        lowercase = _lowercase(located.folder, None)
        return BertSource({**architecture, **changes}, None, None, located.vocabulary, lowercase)
    checkpoint = open_checkpoint(located.weights if weights in ("auto", None) else weights)
    weight_map = select_map(checkpoint, WEIGHT_MAPS, {}, dialect)
    if config is not None:
        architecture = architecture_from_config(config, str(origin), _dialect_of(located))
    else:
        architecture = architecture_from_tensors(checkpoint, weight_map)
    layers = int(architecture["num_layers"])
    architecture["pooler"] = has_pooler(checkpoint, weight_map, layers)
    lowercase = _lowercase(located.folder, checkpoint)
    found = BertSource(
        {**architecture, **changes}, checkpoint, weight_map, located.vocabulary, lowercase
    )
    return found if weights is not None else replace(found, checkpoint=None, weight_map=None)


def _dialect_of(located: Located) -> str:
    """The dialect in which a source's configuration file is written."""
    if located.config is not None and located.config.name == "config.json":
        return "hf"
    # Google wrote bert_config.json, and so did the first PyTorch conversions of its checkpoints.
    try:
        return select_map(open_checkpoint(located.weights), WEIGHT_MAPS, {}).dialect
    except (CheckpointError, WeightsError, FileNotFoundError):
        return "google"


def architecture_from_config(
    config: Mapping[str, Any], origin: str, dialect: str
) -> dict[str, Any]:
    """The architecture in a `config.json` or `bert_config.json`.

    Args:
        config: the parsed file.
        origin: its name, for error messages.
        dialect: whose program wrote the file. `"gelu"` means the exact function to
            Hugging Face; google-research/bert has computed the tanh approximation for it since
            2019-02-07, and TensorFlow Model Garden always has.
    """
    missing = [key for key in _REQUIRED if key not in config]
    if missing or config.get("model_type", "bert") != "bert":
        kind = config.get("model_type", "unknown")
        raise ValueError(
            f"{origin} does not describe a BERT. Expected model_type 'bert' and the keys "
            f"{', '.join(_REQUIRED)}. Received: model_type {kind!r}, missing keys: "
            f"{', '.join(missing) or 'none'}"
        )
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute" or config.get("is_decoder"):
        raise ValueError(
            f"{origin} describes a BERT with position_embedding_type={positions!r} and is_decoder="
            f"{config.get('is_decoder', False)}. Expected 'absolute' positions in an encoder."
        )
    name = config.get("hidden_act", "gelu")
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"{origin} names the activation {name!r}. Expected one of {', '.join(_ACTIVATIONS)}."
        )
    activation = _ACTIVATIONS[name]
    if name == "gelu" and dialect != "hf":
        activation = "gelu_tanh"
    sizes = {ours: config[theirs] for theirs, ours in _SIZES.items() if theirs in config}
    # Some published files say null where they mean the default.
    sizes = {name: value for name, value in sizes.items() if value is not None}
    return {**sizes, "activation": activation}


def config_from_architecture(architecture: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """The configuration file of a dialect that `architecture_from_config` reads back equal."""
    config = {theirs: architecture[ours] for theirs, ours in _SIZES.items()}
    names = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
    if dialect != "hf":
        # To the programs of these dialects "gelu" is the approximation; they know no exact one.
        names = {"gelu": "gelu_exact", "gelu_tanh": "gelu", "relu": "relu"}
    config["hidden_act"] = names[architecture["activation"]]
    return {"model_type": "bert", **config} if dialect == "hf" else config


def architecture_from_tensors(checkpoint: Checkpoint, weight_map: WeightMap) -> dict[str, Any]:
    """The architecture of a tensorflow_models checkpoint, whose kernels show the heads.

    Raises:
        WeightsError: the shapes do not tell it.
    """

    def shape(target: str) -> tuple[int, ...]:
        for rule in weight_map.candidates(target, {}):
            if all(name in checkpoint for name in rule.sources):
                return checkpoint[rule.sources[0]].shape
        return ()

    table, query = shape("embeddings/word_embeddings"), shape("layer_0/attention/query/kernel")
    if len(table) != 2 or len(query) != 3:
        raise WeightsError(
            f"The checkpoint {str(checkpoint.path)!r} has no configuration file (config.json or "
            "bert_config.json), and its tensors do not tell the number of heads. Place the "
            "configuration file beside it, or load it into a known architecture with "
            "`BertEncoder(preset_or_folder, weights=path)`."
        )
    layers = 0
    while shape(f"layer_{layers}/attention/query/kernel"):
        layers += 1
    return {
        "vocabulary_size": table[0],
        "hidden_size": table[1],
        "num_layers": layers,
        "num_heads": query[1],
        "intermediate_size": shape("layer_0/intermediate/kernel")[-1],
        "max_positions": shape("embeddings/position_embeddings")[0],
        "num_segments": shape("embeddings/token_type_embeddings")[0],
        "activation": "gelu_tanh",
    }


def has_pooler(checkpoint: Checkpoint, weight_map: WeightMap, num_layers: int) -> bool:
    """Whether the checkpoint holds the original pooler; files of an encoder alone may not."""
    return any(
        source in checkpoint
        for rule in weight_map.candidates("pooler/kernel", {"num_layers": num_layers})
        for source in rule.sources
    )


def _lowercase(folder: Path, checkpoint: Checkpoint | None) -> bool | None:
    """What the source says of casing: TF-Hub among the variables, Hugging Face in a file."""
    if checkpoint is not None and "do_lower_case" in checkpoint:
        return bool(checkpoint["do_lower_case"].read())
    options = folder / "tokenizer_config.json"
    stored = read_json(options).get("do_lower_case") if options.is_file() else None
    return stored if isinstance(stored, bool) else None
