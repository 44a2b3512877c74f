"""Golden data of ELMo, made by AllenNLP itself.

Program: `allennlp.modules.elmo` (`_ElmoBiLm`, `ELMoCharacterMapper`) and `ScalarMix` in PyTorch,
eval mode, float32. Only these modules of AllenNLP run. What they import beside torch is for its
configuration files and data sets, and needs a torch of 2022: plain classes stand in its place.
Versions: Python 3.11, allennlp 2.10.1, torch 2.13.0, h5py (and, as found when it ran, in
`elmo/golden.json`).
Command, from the root of the repository:

    pip install torch==2.13.0 h5py numpy
    pip install --no-deps allennlp==2.10.1
    python tests/goldens/make_elmo.py

`elmo/` holds `options.json` and `weights.hdf5` as they are published, of a tiny random network with
skip connections whose states are clipped often, and `expected.npz`:

    words                      what ELMoCharacterMapper was given, UTF-8 in bytes, and
    words_character_ids        (words, 50) its rows
    <batch>_character_ids      (4, words, 50), batches `first`, `second` and `third`
    <batch>_hidden_states      (3, 4, words, 12), every sentence from zero states, 0 behind its end
    <batch>_stateful           the same, every batch from the states of the one before
    mix_parameters             what the three layers of `first` are mixed with, and
    mixed, mixed_normalized    their sum, without and with layer normalisation
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tiny_bert
import torch

FOLDER = Path(__file__).parent / "elmo"
OPTIONS: dict[str, Any] = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 6,
        "cell_clip": 0.6,
        "proj_clip": 0.3,
        "dim": 10,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 4], [2, 4], [3, 8], [7, 8]],
        "n_highway": 2,
        "embedding": {"dim": 3},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}
BATCHES = {
    "first": ["I ate an apple .", "Yes", "the naïve fox 😀 runs", "a"],
    "second": ["And ? <S> </S>", "he said that it was not so", "x " * 3 + "y" * 60, "No , no"],
    "third": ["one", "two three", "我爱北京 天安门", "and the end of it all ."],
}
WORDS = [
    "The",
    "",
    *("x" * length for length in (47, 48, 49, 70)),
    "é" * 25,
    "我爱北京" * 5,
    "<S>",
    "</S>",
    "<s>",
    "a\0b",
    "Ā",
    "\u2022",
    "lone\ud800surrogate",
]


def import_allennlp() -> tuple[Any, Any, Any]:
    """AllenNLP's ELMo, its mix and its mapper of characters, without the rest of it."""
    root = Path(str(importlib.metadata.distribution("allennlp").locate_file("allennlp")))

    def package(name: str) -> None:
        made = types.ModuleType(name)
        made.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = made

    def stand_in(name: str, **contents: Any) -> None:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(contents)

    class Plain:
        @classmethod
        def register(cls, name: str) -> Any:
            return lambda registered: registered

    for name in ("allennlp", "allennlp.modules", "allennlp.nn", "allennlp.data"):
        package(name)
    package("allennlp.data.token_indexers")
    stand_in("allennlp.common", FromParams=Plain, Registrable=Plain)
    stand_in("allennlp.common.checks", ConfigurationError=ValueError)
    stand_in("allennlp.common.file_utils", cached_path=lambda path: path)
    helpers = ("lazy_groups_of", "int_to_device", "is_distributed", "is_global_primary")
    stand_in("allennlp.common.util", pad_sequence_to_length=None, **dict.fromkeys(helpers))
    for name, contents in {
        "instance": "Instance",
        "vocabulary": "Vocabulary",
        "batch": "Batch",
        "fields": "TextField",
        "tokenizers": "Token",
        "tokenizers.token_class": "Token",
    }.items():
        stand_in(f"allennlp.data.{name}", **{contents: Plain})
    stand_in(
        "allennlp.data.token_indexers.token_indexer", TokenIndexer=Plain, IndexedTokenList=dict
    )
    modules = ("modules.elmo", "modules.scalar_mix", "data.token_indexers.elmo_indexer")
    found = [importlib.import_module(f"allennlp.{name}") for name in modules]
    return found[0], found[1].ScalarMix, found[2].ELMoCharacterMapper()


def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    lstm, cnn = OPTIONS["lstm"], OPTIONS["char_cnn"]
    width, units, size = lstm["projection_dim"], lstm["dim"], cnn["embedding"]["dim"]
    count = sum(number for _, number in cnn["filters"])

    def draw(*shape: int, scale: float = 0.5) -> np.ndarray:
        return random.normal(0, scale, shape).astype("float32")

    made = {"char_embed": draw(261, size, scale=1.0)}
    for index, (length, number) in enumerate(cnn["filters"]):
        made[f"CNN/W_cnn_{index}"] = draw(1, length, size, number)
        made[f"CNN/b_cnn_{index}"] = draw(number)
    for index in range(cnn["n_highway"]):
        for gate in ("carry", "transform"):
            made[f"CNN_high_{index}/W_{gate}"] = draw(count, count, scale=0.3)
            made[f"CNN_high_{index}/b_{gate}"] = draw(count)
    made["CNN_proj/W_proj"], made["CNN_proj/b_proj"] = draw(count, width, scale=0.3), draw(width)
    for direction in (0, 1):
        for layer in range(lstm["n_layers"]):
            name = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
            made[f"{name}W_0"] = draw(2 * width, 4 * units, scale=0.6)
            made[f"{name}B"] = draw(4 * units)
            made[f"{name}W_P_0"] = draw(units, width, scale=0.6)
    return made


def main() -> None:
    elmo, scalar_mix, mapper = import_allennlp()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    options, stored = FOLDER / "options.json", FOLDER / "weights.hdf5"
    options.write_text(json.dumps(OPTIONS), encoding="utf-8")
    tensors = weights()
    with h5py.File(stored, "w", track_order=False) as file:
        for name, array in tensors.items():
            file.create_dataset(name, data=array, track_times=False)

    rows = {word: mapper.convert_word_to_char_ids(word) for word in WORDS}
    expected: dict[str, np.ndarray] = {
        "words": np.array([word.encode("utf-8", "surrogatepass").hex() for word in rows]),
        "words_character_ids": np.array(list(rows.values()), "int32"),
    }
    network = elmo._ElmoBiLm(str(options), str(stored)).eval()
    for name, texts in BATCHES.items():
        sentences = [text.split() for text in texts]
        ids = np.zeros((len(texts), max(map(len, sentences)), 50), "int32")
        for row, sentence in enumerate(sentences):
            for place, word in enumerate(sentence):
                ids[row, place] = mapper.convert_word_to_char_ids(word)
        expected[f"{name}_character_ids"] = ids
    for stateful in (False, True):
        network._elmo_lstm.reset_states()
        network._elmo_lstm.stateful = stateful
        for name in BATCHES:
            with torch.no_grad():
                output = network(torch.from_numpy(expected[f"{name}_character_ids"]).long())
                layers = [
                    elmo.remove_sentence_boundaries(each, output["mask"])[0]
                    for each in output["activations"]
                ]
            key = f"{name}_{'stateful' if stateful else 'hidden_states'}"
            expected[key] = torch.stack(layers).numpy()

    parameters = [0.3, -0.8, 1.1]
    layers = [torch.from_numpy(each) for each in expected["first_hidden_states"]]
    mask = torch.from_numpy((expected["first_character_ids"] > 0).any(-1))
    for key, normalize in (("mixed", False), ("mixed_normalized", True)):
        mix = scalar_mix(3, normalize, parameters)
        with torch.no_grad():
            mix.gamma.fill_(1.7)
            expected[key] = (mix(layers, mask) * mask.unsqueeze(-1)).numpy()
    expected["mix_parameters"] = np.array([*parameters, 1.7], "float32")
    np.savez_compressed(FOLDER / "expected.npz", **expected)

    tiny_bert.write_note(
        FOLDER,
        "allennlp.modules.elmo._ElmoBiLm, ScalarMix, ELMoCharacterMapper; eval mode, float32",
        ["allennlp", "torch", "numpy", "h5py"],
        expected=tiny_bert.describe(expected),
        tensors=tiny_bert.describe(tensors),
    )


if __name__ == "__main__":
    main()
