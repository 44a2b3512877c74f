"""What an AWD-LSTM is made of, and how fast.ai's files say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from keras_pretrained.checkpoints import Checkpoint, LazyArray
from keras_pretrained.layers.recurrent.awd_lstm_weights import WEIGHT_MAPS
from keras_pretrained.layers.text.config_format import ConfigFormat, check_size
from keras_pretrained.layers.text.encoder_source import SourceReader, stored_shape
from keras_pretrained.weights import WeightMap, WeightsError
from keras_pretrained.weights.report import shortened

# What the authors train classifiers with, in place of the rates of language models.
CLASSIFIER_DROPOUTS: Mapping[str, float] = {
    "embedding_dropout": 0.05,
    "input_dropout": 0.4,
    "weight_dropout": 0.5,
    "hidden_dropout": 0.3,
}


@dataclass(frozen=True)
class AWDLSTMArchitecture:
    """The numbers that make an AWD-LSTM; the rates are those of fast.ai's language models.

    Args:
        vocabulary_size: rows of the token table.
        embedding_size: width of the token table, and of the last LSTM's state.
        units: size of the state of all other LSTMs.
        num_layers: LSTMs.
        decoder_bias: whether the logits of tokens have a bias.
        backward: whether texts are read from their end.
        embedding_dropout: share of the tokens that are dropped wherever they stand in a batch.
        input_dropout: share of the embeddings' features that are dropped all over a text.
        weight_dropout: share of the recurrent weights that are dropped.
        hidden_dropout: as `input_dropout`, between the LSTMs.
        output_dropout: as `input_dropout`, before the logits.
        pad_id: the id of padding.
    """

    vocabulary_size: int
    embedding_size: int = 400
    units: int = 1152
    num_layers: int = 3
    decoder_bias: bool = True
    backward: bool = False
    embedding_dropout: float = 0.02
    input_dropout: float = 0.25
    weight_dropout: float = 0.2
    hidden_dropout: float = 0.15
    output_dropout: float = 0.1
    pad_id: int = 1

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "embedding_size", "units", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {getattr(self, name)}")
        for name in RATES:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1). Received: {getattr(self, name)}")

    @property
    def max_positions(self) -> int:
        """The longest text: a recurrent network knows no limit."""
        return 2**31 - 1

    @property
    def widths(self) -> list[int]:
        """Of the embeddings, and of the output of each LSTM."""
        inner = [self.units] * (self.num_layers - 1)
        return [self.embedding_size, *inner, self.embedding_size]


RATES = (
    *("embedding_dropout", "input_dropout", "weight_dropout", "hidden_dropout"),
    "output_dropout",
)
FLAGS = {"decoder_bias": True, "backward": False}


@dataclass(frozen=True)
class AWDLSTMConfigFormat(ConfigFormat):
    """A `config.json` of the entries of fastai's `awd_lstm_lm_config`, and two of its arguments."""

    def read(self, config: Mapping[str, Any], origin: str, dialect: str) -> dict[str, Any]:
        missing = [key for key in self.required if key not in config]
        if missing:
            raise ValueError(
                f"{origin} does not describe an AWD-LSTM. Expected the entries of fastai's "
                f"awd_lstm_lm_config and vocab_sz. Missing: {', '.join(missing)}"
            )
        for key, value in self.fixed.items():
            if config.get(key, value) != value:
                raise ValueError(
                    f"{origin} has {key}={config[key]!r}. Expected {value!r}: this layer computes "
                    "nothing else."
                )
        found = {ours: config[theirs] for theirs, ours in self.sizes.items() if theirs in config}
        for name, value in found.items():
            if name not in FLAGS:
                check_size(name, value, origin)
            elif type(value) is not bool:
                raise ValueError(
                    f"{origin} gives {name} as {str(value)[:80]!r}. Expected true or false."
                )
        return found

    def write(self, architecture: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        config = {theirs: architecture[ours] for theirs, ours in self.sizes.items()}
        return {**config, **self.fixed}


CONFIG = AWDLSTMConfigFormat(
    model_type="awd_lstm",
    sizes={
        "vocab_sz": "vocabulary_size",
        "emb_sz": "embedding_size",
        "n_hid": "units",
        "n_layers": "num_layers",
        "pad_token": "pad_id",
        "output_p": "output_dropout",
        "hidden_p": "hidden_dropout",
        "input_p": "input_dropout",
        "embed_p": "embedding_dropout",
        "weight_p": "weight_dropout",
        "out_bias": "decoder_bias",
        "backwards": "backward",
    },
    required=("vocab_sz", "emb_sz", "n_hid", "n_layers"),
    fixed={"bidir": False, "tie_weights": True},
)


@dataclass(frozen=True)
class AWDLSTMReader(SourceReader):
    """How fast.ai's published files are read: their tensors tell all sizes."""

    def architecture_from_tensors(
        self, checkpoint: Checkpoint, weight_map: WeightMap
    ) -> dict[str, Any]:
        table = stored_shape(checkpoint, weight_map, "table/embeddings")
        recurrent = stored_shape(checkpoint, weight_map, "layer_0/recurrent_kernel")
        if len(table) != 2 or len(recurrent) != 2:
            raise WeightsError(
                f"The checkpoint {str(checkpoint.path)!r} lacks the tensors of fast.ai's that tell "
                "the sizes of an AWD-LSTM: encoder.weight (words, width) and "
                "rnns.0....weight_hh_l0_raw (4 units, units), with 0. before their names or "
                f"without. It holds: {shortened(sorted(checkpoint))}"
            )
        count = 0
        while stored_shape(checkpoint, weight_map, f"layer_{count}/bias"):
            count += 1
        made = AWDLSTMArchitecture(
            vocabulary_size=table[0],
            embedding_size=table[1],
            units=recurrent[1],
            num_layers=count,
            backward="bwd" in checkpoint.path.name,
        )
        return asdict(made)

    def held_architecture(
        self, checkpoint: Checkpoint, weight_map: WeightMap, architecture: Mapping[str, Any]
    ) -> dict[str, Any]:
        check_tied(checkpoint)
        bias = stored_shape(checkpoint, weight_map, "decoder/bias")
        held: dict[str, Any] = {"decoder_bias": bool(bias)}
        table = stored_shape(checkpoint, weight_map, "table/embeddings")
        # The publishers do not state the number of words.
        return {**held, "vocabulary_size": table[0]} if table else held


def decoder_of(checkpoint: Checkpoint) -> LazyArray | None:
    """The decoder's matrix; an encoder alone has none."""
    names = [name for name in ("1.decoder.weight", "model.1.decoder.weight") if name in checkpoint]
    return checkpoint[names[0]] if names else None


def check_tied(checkpoint: Checkpoint) -> None:
    """Raises WeightsError when the decoder has another matrix than the token table."""
    decoder = decoder_of(checkpoint)
    if decoder is None:
        return
    name = decoder.name.replace("1.decoder.weight", "0.encoder.weight")
    if name not in checkpoint:
        return
    if not checkpoint[name].equals(decoder):
        raise WeightsError(
            f"In the checkpoint {str(checkpoint.path)!r} the decoder's matrix {decoder.name} is "
            f"not the token table {name}: it was trained with tie_weights=False. Expected equal "
            "values: this layer computes nothing else."
        )


READER = AWDLSTMReader("ulmfit", CONFIG, WEIGHT_MAPS)
