"""What an ELMo is made of, and how its published files say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keras_pretrained.checkpoints import Checkpoint
from keras_pretrained.layers.recurrent.elmo_weights import WEIGHT_MAPS
from keras_pretrained.layers.text.config_format import ConfigFormat, check_size
from keras_pretrained.layers.text.encoder_source import SourceReader, stored_shape
from keras_pretrained.weights import WeightMap, WeightsError
from keras_pretrained.weights.report import shortened

ACTIVATIONS = ("relu", "tanh")
NUM_CHARACTERS = 261
"""256 bytes, the begin and the end of a sentence and of a word, and what fills a word up."""


@dataclass(frozen=True)
class ElmoArchitecture:
    """The numbers that make an ELMo; the defaults are those of all published ones.

    Args:
        filters: width and number of the filters of each character convolution.
        units: size of the cell state of the LSTMs.
        projection_size: size of their hidden state; a hidden state of ELMo is twice as wide.
        num_layers: LSTM layers a direction.
        num_highways: highway layers behind the convolutions.
        character_size: width of the character table.
        max_characters: length of a word, its begin and end included.
        activation: of convolutions and highways, `"relu"` or `"tanh"`.
        cell_clip, projection_clip: bounds of the cell state and of the hidden state, or None.
        skip_connections: whether the input of all LSTM layers but the first is added to their
            output.
    """

    filters: Sequence[Sequence[int]]
    units: int
    projection_size: int
    num_layers: int = 2
    num_highways: int = 2
    character_size: int = 16
    max_characters: int = 50
    activation: str = "relu"
    cell_clip: float | None = 3.0
    projection_clip: float | None = 3.0
    skip_connections: bool = True

    def __post_init__(self) -> None:
        filters = [[int(width), int(count)] for width, count in self.filters]
        object.__setattr__(self, "filters", filters)
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}. Received: {self.activation!r}"
            )
        widths = [width for width, _ in filters]
        if not widths or min(widths) < 1 or max(widths) > self.max_characters:
            raise ValueError(
                f"filters must have widths from 1 to max_characters={self.max_characters}. "
                f"Received: {widths}"
            )
        if self.num_layers < 1:
            raise ValueError(f"num_layers must be at least 1. Received: {self.num_layers}")

    @property
    def vocabulary_size(self) -> int:
        """The number of character ids, 0 for no character included."""
        return NUM_CHARACTERS + 1


@dataclass(frozen=True)
class ElmoConfigFormat(ConfigFormat):
    """bilm's and AllenNLP's `options.json`, whose entries lie in two groups."""

    def read(self, config: Mapping[str, Any], origin: str, dialect: str) -> dict[str, Any]:
        flat = _flat(config, origin)
        missing = [key for key in self.required if key not in flat]
        if missing:
            raise ValueError(
                f"{origin} does not describe an ELMo. Expected the entries of bilm's options.json. "
                f"Missing: {', '.join(missing)}"
            )
        if flat.get("char_cnn.n_characters", 262) not in (261, 262):
            raise ValueError(
                f"{origin} has char_cnn.n_characters={flat['char_cnn.n_characters']!r}. Expected "
                "262 (or 261, in the options of the training program): bytes and signs."
            )
        # What bilm's program takes where an entry is absent.
        absent = {"num_highways": 0, "cell_clip": None, "projection_clip": None}
        sizes: dict[str, Any] = {**absent, "skip_connections": False}
        sizes |= {ours: flat[theirs] for theirs, ours in self.sizes.items() if theirs in flat}
        for name, value in sizes.items():
            if name in ("filters", "activation"):
                continue
            if name == "skip_connections":
                _check(type(value) is bool, origin, name, value, "true or false")
            elif value is not None or name not in absent:
                check_size(name, value, origin)
        _check(_is_filters(sizes["filters"]), origin, "filters", sizes["filters"], "pairs of ints")
        sizes["num_highways"] = sizes["num_highways"] or 0
        return sizes

    def write(self, architecture: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        # The training program counts the characters without "no word".
        characters = NUM_CHARACTERS if dialect == "bilm-training" else NUM_CHARACTERS + 1
        written: dict[str, Any] = {"lstm": {}, "char_cnn": {"n_characters": characters}}
        for theirs, ours in self.sizes.items():
            *groups, key = theirs.split(".")
            place = written
            for group in groups:
                place = place.setdefault(group, {})
            place[key] = architecture[ours]
        return written


def _flat(config: Mapping[str, Any], origin: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for group in ("lstm", "char_cnn"):
        entries = config.get(group, {})
        _check(isinstance(entries, dict), origin, group, entries, "an object")
        flat |= {f"{group}.{key}": value for key, value in entries.items()}
    embedding = flat.get("char_cnn.embedding", {})
    _check(isinstance(embedding, dict), origin, "char_cnn.embedding", embedding, "an object")
    return flat | {f"char_cnn.embedding.{key}": value for key, value in embedding.items()}


def _check(fits: bool, origin: str, name: str, value: Any, expected: str) -> None:
    if not fits:
        raise ValueError(f"{origin} gives {name} as {str(value)[:80]!r}. Expected {expected}.")


def _is_filters(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= 100
        and all(
            isinstance(pair, list)
            and len(pair) == 2
            and all(type(number) is int and 0 < number < 2**24 for number in pair)
            for pair in value
        )
    )


CONFIG = ElmoConfigFormat(
    model_type="elmo",
    sizes={
        "char_cnn.filters": "filters",
        "lstm.dim": "units",
        "lstm.projection_dim": "projection_size",
        "lstm.n_layers": "num_layers",
        "char_cnn.n_highway": "num_highways",
        "char_cnn.embedding.dim": "character_size",
        "char_cnn.max_characters_per_token": "max_characters",
        "char_cnn.activation": "activation",
        "lstm.cell_clip": "cell_clip",
        "lstm.proj_clip": "projection_clip",
        "lstm.use_skip_connections": "skip_connections",
    },
    required=("char_cnn.filters", "char_cnn.embedding.dim", "lstm.dim", "lstm.projection_dim"),
)


@dataclass(frozen=True)
class ElmoReader(SourceReader):
    """How ELMo's published files are read."""

    def architecture_from_tensors(
        self, checkpoint: Checkpoint, weight_map: WeightMap
    ) -> dict[str, Any]:
        if weight_map.dialect != "tf-hub":
            raise WeightsError(
                f"The checkpoint {str(checkpoint.path)!r} has no options beside it: expected "
                "options.json, or x_options.json beside x_weights.hdf5. They say whether states "
                "are clipped and layers have skip connections, which the tensors do not. Place "
                "them there, or load the weights into a known architecture with "
                "`ElmoEmbedding(preset_or_folder, weights=path)`."
            )
        # TF-Hub has one ELMo, whose module holds no options: the original.
        shapes = [
            stored_shape(checkpoint, weight_map, f"words/characters/kernel_{index}")
            for index in range(_count(checkpoint, weight_map, "words/characters/bias_{}"))
        ]
        table = stored_shape(checkpoint, weight_map, "words/characters/table")
        projection = stored_shape(checkpoint, weight_map, "layer_0_forward/projection_kernel")
        if len(table) != 2 or len(projection) != 2 or any(len(shape) != 4 for shape in shapes):
            raise WeightsError(
                f"The checkpoint {str(checkpoint.path)!r} lacks tensors of bilm's that tell the "
                f"sizes of an ELMo. It holds: {shortened(sorted(checkpoint))}"
            )
        made = ElmoArchitecture(
            filters=[(shape[1], shape[3]) for shape in shapes],
            units=projection[0],
            projection_size=projection[1],
            num_layers=_count(checkpoint, weight_map, "layer_{}_forward/bias"),
            num_highways=_count(checkpoint, weight_map, "words/highway_{}/carry/bias"),
            character_size=table[1],
        )
        return asdict(made)


def _count(checkpoint: Checkpoint, weight_map: WeightMap, target: str) -> int:
    """How many variables of a numbered name the checkpoint has."""
    count = 0
    while stored_shape(checkpoint, weight_map, target.format(count)):
        count += 1
    return count


READER = ElmoReader("elmo", CONFIG, WEIGHT_MAPS, tokenizer_files=())
