"""ELMo written out in NumPy, straight from the paper and bilm's names, in float64.

It shares no code with the library: it reads the tensors of a bilm file and its options, loops over
words, positions and layers, and is itself compared with the vectors of the original program
(test_elmo_parity.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Tensors = Mapping[str, np.ndarray]
States = dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]]
BEGIN, END = "<S>", "</S>"


def character_ids(word: str, length: int = 50) -> list[int]:
    """A word's row, as bilm's UnicodeCharsVocabulary and Batcher make it."""
    codes = {BEGIN: [256], END: [257]}.get(word)
    codes = list(word.encode("utf-8", "ignore")[: length - 2]) if codes is None else codes
    row = [258, *codes, 259]
    return [code + 1 for code in row + [260] * (length - len(row))]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Reference:
    """A network; `states` keeps the states of each row of the batch between calls.

    Args:
        tensors: by bilm's names.
        options: bilm's options.json.
        stateful: whether a sentence begins where the last one of its row ended.
    """

    def __init__(self, tensors: Tensors, options: Mapping[str, Any], stateful: bool = False):
        self.tensors = {name: np.asarray(array, "float64") for name, array in tensors.items()}
        self.options = options
        self.stateful = stateful
        self.states: States = {}
        self._words: dict[str, np.ndarray] = {}

    def __call__(self, batch: Sequence[Sequence[str]]) -> list[list[np.ndarray]]:
        """For each sentence its layers, each (words, 2 * projection): forward, then backward."""
        return [self._sentence(row, words) for row, words in enumerate(batch)]

    def tensors_as_stored(self) -> dict[str, np.ndarray]:
        """The tensors in float32."""
        return {name: array.astype("float32") for name, array in self.tensors.items()}

    def word(self, word: str) -> np.ndarray:
        """The vector of a word by itself."""
        if word not in self._words:
            self._words[word] = self._read(character_ids(word, self._length))
        return self._words[word]

    @property
    def _length(self) -> int:
        return self.options["char_cnn"].get("max_characters_per_token", 50)

    def _read(self, ids: Sequence[int]) -> np.ndarray:
        options, tensors = self.options["char_cnn"], self.tensors
        activation = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}[
            options.get("activation", "relu")
        ]
        table = np.concatenate([np.zeros((1, options["embedding"]["dim"])), tensors["char_embed"]])
        characters = table[np.array(ids)]
        found = []
        for index, (width, _) in enumerate(options["filters"]):
            kernel = tensors[f"CNN/W_cnn_{index}"][0]
            sums = [
                np.einsum("we,wen->n", characters[place : place + width], kernel)
                for place in range(len(ids) - width + 1)
            ]
            found.append(activation(np.max(sums, axis=0) + tensors[f"CNN/b_cnn_{index}"]))
        x = np.concatenate(found)
        for index in range(options.get("n_highway") or 0):
            name = f"CNN_high_{index}/"
            gate = sigmoid(x @ tensors[f"{name}W_carry"] + tensors[f"{name}b_carry"])
            new = activation(x @ tensors[f"{name}W_transform"] + tensors[f"{name}b_transform"])
            x = gate * new + (1 - gate) * x
        if "CNN_proj/W_proj" in tensors:
            x = x @ tensors["CNN_proj/W_proj"] + tensors["CNN_proj/b_proj"]
        return x

    def _sentence(self, row: int, words: Sequence[str]) -> list[np.ndarray]:
        sequence = np.stack([self.word(word) for word in (BEGIN, *words, END)])
        sides = []
        for direction in (0, 1):
            x = sequence[::-1] if direction else sequence
            layers = [x]
            for layer in range(self.options["lstm"]["n_layers"]):
                outputs = self._lstm(row, direction, layer, x)
                if layer and self.options["lstm"].get("use_skip_connections"):
                    outputs = outputs + x
                layers.append(x := outputs)
            sides.append([each[::-1] if direction else each for each in layers])
        return [np.concatenate(both, axis=-1)[1:-1] for both in zip(*sides, strict=True)]

    def _lstm(self, row: int, direction: int, layer: int, x: np.ndarray) -> np.ndarray:
        options = self.options["lstm"]
        name = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
        kernel, bias = self.tensors[f"{name}W_0"], self.tensors[f"{name}B"]
        projection = self.tensors[f"{name}W_P_0"]
        place = (row, direction, layer)
        cell, hidden = np.zeros(options["dim"]), np.zeros(options["projection_dim"])
        if self.stateful:
            cell, hidden = self.states.get(place, (cell, hidden))
        cell_clip, clip = options.get("cell_clip"), options.get("proj_clip")
        outputs = []
        for position in x:
            i, j, f, o = np.split(np.concatenate([position, hidden]) @ kernel + bias, 4)
            cell = sigmoid(f + 1) * cell + sigmoid(i) * np.tanh(j)
            cell = cell if cell_clip is None else np.clip(cell, -cell_clip, cell_clip)
            hidden = (sigmoid(o) * np.tanh(cell)) @ projection
            hidden = hidden if clip is None else np.clip(hidden, -clip, clip)
            outputs.append(hidden)
        self.states[place] = (cell, hidden)
        return np.stack(outputs)


def random_tensors(options: Mapping[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Weights of the sizes in the options, by bilm's names, float32."""
    random = np.random.default_rng(seed)
    lstm, cnn = options["lstm"], options["char_cnn"]
    count = sum(number for _, number in cnn["filters"])
    width, units, size = lstm["projection_dim"], lstm["dim"], cnn["embedding"]["dim"]

    def draw(*shape: int, scale: float | None = None) -> np.ndarray:
        scale = (shape[-2] if len(shape) > 1 else 30) ** -0.5 if scale is None else scale
        return (random.standard_normal(shape, "float32") * np.float32(scale)).astype("float32")

    tensors = {"char_embed": draw(261, size, scale=1.0)}
    for index, (length, number) in enumerate(cnn["filters"]):
        tensors[f"CNN/W_cnn_{index}"] = draw(1, length, size, number)
        tensors[f"CNN/b_cnn_{index}"] = draw(number)
    for index in range(cnn.get("n_highway") or 0):
        for gate in ("carry", "transform"):
            tensors[f"CNN_high_{index}/W_{gate}"] = draw(count, count)
            tensors[f"CNN_high_{index}/b_{gate}"] = draw(count)
    if count != width:
        tensors["CNN_proj/W_proj"] = draw(count, width)
        tensors["CNN_proj/b_proj"] = draw(width)
    for direction in (0, 1):
        for layer in range(lstm["n_layers"]):
            name = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
            tensors[f"{name}W_0"] = draw(2 * width, 4 * units, scale=1.5 * (2 * width) ** -0.5)
            tensors[f"{name}B"] = draw(4 * units)
            tensors[f"{name}W_P_0"] = draw(units, width, scale=3 * units**-0.5)
    return tensors


def hub_names(tensors: Tensors, prefix: str = "") -> dict[str, np.ndarray]:
    """The same weights as TF-Hub's module has them."""
    renamed = _with_tensorflow_names(tensors, "MultiRNNCell/Cell", "/rnn/lstm_cell/")
    table = renamed["char_embed"]
    renamed["char_embed"] = np.concatenate([np.zeros_like(table[:1]), table])
    made = {f"{prefix}bilm/{name}": array for name, array in renamed.items()}
    made[f"{prefix}aggregation/weights"] = np.zeros(3, "float32")
    made[f"{prefix}aggregation/scaling"] = np.array(1.0, "float32")
    return made


def training_names(tensors: Tensors) -> dict[str, np.ndarray]:
    """The same weights as bilm's training program saves them, with what else it saves."""
    renamed = _with_tensorflow_names(tensors, "multi_rnn_cell/cell_", "/lstm_cell/", "rnn")
    made = {f"lm/{name}": array for name, array in renamed.items()}
    made |= {f"{name}/Adagrad": np.ones_like(array) for name, array in list(made.items())[:3]}
    made["lm/softmax/W"] = np.zeros((7, 3), "float32")
    made["lm/softmax/b"] = np.zeros(7, "float32")
    made["global_step"] = np.array(9, "int64")
    return made


def _with_tensorflow_names(
    tensors: Tensors, cells: str, cell: str, scope: str = "RNN"
) -> dict[str, np.ndarray]:
    ends = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}
    renamed = {}
    for name, array in tensors.items():
        parts = name.split("/")
        if parts[0].startswith("RNN_"):
            number = parts[3].removeprefix("Cell")
            name = f"{parts[0]}/{scope}/{cells}{number}{cell}{ends[parts[-1]]}"
        renamed[name] = array
    return renamed
