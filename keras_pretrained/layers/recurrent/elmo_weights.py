"""The names of ELMo's variables in every dialect that it was published in."""

from __future__ import annotations

from keras_pretrained.weights import Rule, WeightMap
from keras_pretrained.weights.transforms import IDENTITY, Slice, Split, Squeeze, Transform

DIRECTIONS = ("forward", "backward")


def _word_rules(table: Transform) -> tuple[Rule, ...]:
    """The character convolutions, which all dialects name alike."""
    return (
        Rule("words/characters/table", "char_embed", table),
        Rule("words/characters/kernel_{i}", "CNN/W_cnn_{i}", Squeeze((0,))),
        Rule("words/characters/bias_{i}", "CNN/b_cnn_{i}"),
        Rule("words/highway_{i}/carry/kernel", "CNN_high_{i}/W_carry"),
        Rule("words/highway_{i}/carry/bias", "CNN_high_{i}/b_carry"),
        Rule("words/highway_{i}/transform/kernel", "CNN_high_{i}/W_transform"),
        Rule("words/highway_{i}/transform/bias", "CNN_high_{i}/b_transform"),
        Rule("words/projection/kernel", "CNN_proj/W_proj"),
        Rule("words/projection/bias", "CNN_proj/b_proj"),
    )


def _recurrent_rules(pattern: str, kernel: str, bias: str, projection: str) -> tuple[Rule, ...]:
    """Both stacks of LSTMs; one matrix on file has the rows of the input, then of the state."""
    rules: list[Rule] = []
    for number, direction in enumerate(DIRECTIONS):
        ours, theirs = f"layer_{{i}}_{direction}", pattern.replace("DIRECTION", str(number))
        rules += [
            Rule((f"{ours}/kernel", f"{ours}/recurrent_kernel"), theirs + kernel, Split(0, 2)),
            Rule(f"{ours}/bias", theirs + bias),
            Rule(f"{ours}/projection_kernel", theirs + projection),
        ]
    return tuple(rules)


BILM = WeightMap(
    "bilm",
    (
        *_word_rules(IDENTITY),
        *_recurrent_rules("RNN_DIRECTION/RNN/MultiRNNCell/Cell{i}/LSTMCell/", "W_0", "B", "W_P_0"),
    ),
    container="hdf5",
    file_name="weights.hdf5",
)

# bilm's own graph for users, which TF-Hub's module is made of. Its table of characters begins with
# the row of zeros that stands for no character.
_FIRST_ROW = Slice(0, before=1)
HUB = WeightMap(
    "tf-hub",
    (
        *_word_rules(_FIRST_ROW),
        *_recurrent_rules(
            "RNN_DIRECTION/RNN/MultiRNNCell/Cell{i}/rnn/lstm_cell/",
            "kernel",
            "bias",
            "projection/kernel",
        ),
    ),
    ignore={
        r"(module/)?aggregation/(weights|scaling)|\w*_ELMo_(W|gamma)": "the mix of a task",
        r"global_step|save_counter": "the state of a training run",
    },
    prefixes=("bilm/", "module/bilm/"),
    container="tf-bundle",
    file_name="model.ckpt",
)

# The checkpoints of bilm's training program.
TRAINING = WeightMap(
    "bilm-training",
    (
        *_word_rules(IDENTITY),
        *_recurrent_rules(
            "RNN_DIRECTION/rnn/multi_rnn_cell/cell_{i}/lstm_cell/",
            "kernel",
            "bias",
            "projection/kernel",
        ),
    ),
    ignore={
        r".*/Adagrad(_\d+)?": "an optimizer slot",
        r"lm/softmax/.*": "the output layer of pre-training",
        r"(lm/)?global_step|train_perplexity": "the state of a training run",
    },
    prefixes=("lm/",),
    container="tf-bundle",
    file_name="model.ckpt",
)

WEIGHT_MAPS = (BILM, HUB, TRAINING)
