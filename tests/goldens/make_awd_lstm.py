"""Golden data of ULMFiT's network, made by fast.ai's own three programs.

Programs, in PyTorch, eval mode, float32:
- fastai 0.7.0: `lm_rnn` (language model, `PoolingLinearClassifier`), `text.Tokenizer`
- fastai 1.0.61: `text.models.awd_lstm`, `text.transform`
- fastai 2.8.2: `text.models` (language model, `SentenceEncoder`, `masked_concat_pool`),
  `text.core`

Of the first two, only these modules run. What they import beside is of the torch and the pandas of
their day: plain objects stand in its place, and three calls that torch has given up since are
written as torch has them now. Words are split by spaCy's English tokenizer.
Command, from the root of the repository:

    pip install torch==2.13.0 numpy 'fastcore<1.9' fastprogress==1.0.3 spacy matplotlib pandas
    pip install --no-deps fastai==2.8.2 fastdownload fasttransform plum-dispatch
    pip install --no-deps --target FOLDER/0.7 fastai==0.7.0
    pip install --no-deps --target FOLDER/1 fastai==1.0.61
    python tests/goldens/make_awd_lstm.py FOLDER

`awd_lstm/` holds, of tiny random networks of three LSTMs:

    fastai-0.7/   fwd_wt103.h5 and bwd_wt103.h5 (torch's old stream), itos_wt103.pkl
    fastai-1/     lstm_fwd.pth (old stream), whose second recurrent kernels are stale, and itos
    fastai-2/     lstm_fwd.pth (zip), and itos
    expected.npz  <network>_<batch>_token_ids (3, 7), _hidden_states_<0..3> and _logits; the batches
                  `first` and `second` follow each other, with the states of the first kept;
                  of the network `fastai-2` also, for texts of several chunks of 3, of which those
                  of the last 6 tokens are kept: `texts_token_ids`, `_outputs`, `_mask`, `_pooled`,
                  and `texts_gradient_<tensor>`, of the sum of `_pooled` times `_weights`;
                  of `fastai-0.7` `head_inputs`, `head_logits` and `head_<tensor>` of a classifier
    tokens.json   for each version and text: the text that spaCy was given, its words, all words
"""

from __future__ import annotations

import html
import importlib
import json
import pickle
import re
import shutil
import string
import sys
import types
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any, List, Optional, Tuple  # noqa: UP035

import numpy as np
import tiny_bert
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = Path(__file__).parent / "awd_lstm"
WORDS, WIDTH, UNITS, LAYERS = 40, 5, 7, 3
SIZES = (WORDS, WIDTH, UNITS, LAYERS)
BPTT, KEPT = 3, 6
TEXTS = [
    "A good film.",
    "It's SOOOO good!!!!! I'd say: GREAT, isn't it?",
    "no no no no no no, not again",
    "really really really really bad bad bad bad.",
    "Mr. O'Neil's U.S.-based e-mail: a/b #1 and/or c",
    "ha-ha-ha-ha-ha-ha! hmm... wait ... what",
    "The iPhone costs $1,000.50 (or 5 %) in N.Y.",
    "line one\nline two\n\nline  three\ttab",
    "ÀÉÎ Élan ÉCOLE straße I i A a XY Xy xY",
    "我爱北京 ☃☃☃☃ e\u0301e\u0301e\u0301e\u0301 ﬁ",
    "",
    "   ",
    "xxmaj xxbos xxunk t_up",
    "========== ---- a   b",
    "UPPER-CASE Title-Case iOS's DON'T Don't 3D 4TH",
]
# What ULMFiT's scripts repair before they call fastai 0.7.
HTML = [
    "<br />A film<br />&amp; more &lt;i&gt; quot;x#39; nbsp;y #36;5",
    'one @-@ two 3 @.@ 5 1 @,@ 000 <unk> &hellip; \\n \\" back\\slash',
]


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    torch.manual_seed(103)
    expected: dict[str, np.ndarray] = {}
    tokens: dict[str, list[Any]] = {}
    for version, run in (("0.7", run_old), ("1", run_first), ("2", run_second)):
        place = FOLDER / f"fastai-{version}"
        place.mkdir()
        tokens[version] = run(folder / version, place, expected)
    np.savez_compressed(FOLDER / "expected.npz", **expected)
    text = json.dumps(tokens, ensure_ascii=True, indent=0)
    (FOLDER / "tokens.json").write_text(text + "\n", encoding="utf-8")
    tiny_bert.write_note(
        FOLDER,
        "language models, classifiers and tokenizers of fastai 0.7.0, 1.0.61 and the version "
        "below; eval mode, float32",
        ["fastai", "torch", "numpy", "spacy"],
        expected=tiny_bert.describe(expected),
    )


# --- what all versions share ---------------------------------------------------------------------


def batches() -> dict[str, np.ndarray]:
    random = np.random.default_rng(103)
    # Id 1, padding, does not occur.
    return {name: random.integers(2, WORDS, (3, 7)).astype("int32") for name in ("first", "second")}


def fill(network: nn.Module, seed: int) -> None:
    """Random values for all that is trained, tied tensors once."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            values = np.random.default_rng([seed, *name.encode()]).normal(0, 0.5, parameter.shape)
            parameter.copy_(torch.from_numpy(values.astype("float32")))


def record(expected: dict[str, np.ndarray], name: str, values: Any) -> None:
    expected[name] = np.ascontiguousarray(values.detach().numpy())


def write_words(place: Path, first: tuple[str, ...]) -> None:
    words = [*first, "the", ".", "\n", *(f"word{index}" for index in range(WORDS))][:WORDS]
    with (place / "itos_wt103.pkl").open("wb") as file:
        pickle.dump(words, file)


class Recorded:
    """spaCy's English tokenizer, which remembers what it was asked."""

    def __init__(self) -> None:
        import spacy

        self.tokenizer = spacy.blank("en").tokenizer
        self.asked: list[tuple[str, list[str]]] = []

    def add_special_case(self, *case: Any) -> None:
        self.tokenizer.add_special_case(*case)

    def __call__(self, text: str) -> Any:
        found = self.tokenizer(text)
        self.asked.append((text, [token.text for token in found]))
        return found


def stand_in(name: str, **contents: Any) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(contents)


def package(name: str, path: Path) -> None:
    made = types.ModuleType(name)
    made.__path__ = [str(path)]  # type: ignore[attr-defined]
    sys.modules[name] = made


def forget_fastai() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "fastai"]:
        del sys.modules[name]


# --- fastai 0.7 ----------------------------------------------------------------------------------


def import_old(folder: Path, recorded: Recorded) -> tuple[Any, Any]:
    forget_fastai()
    package("fastai", folder / "fastai")
    stand_in("fastai.torch_imports", torch=torch, nn=nn, F=F)
    stand_in("fastai.imports", warnings=warnings, string=string, re=re, np=np)
    stand_in("fastai.core", noop=lambda *args, **kwargs: None)
    stand_in("fastai.model", Stepper=object)
    plain = ("Dataset", "BasicModel", "ModelData", "LanguageModel", "Learner")
    stand_in("fastai.learner", **dict.fromkeys(plain, object), string=string, re=re, np=np)
    network = importlib.import_module("fastai.lm_rnn")
    # Tensors are what variables were, and the backend of modules is a function now.
    vars(network)["Variable"] = lambda data, **options: data
    vars(network)["repackage_var"] = detached

    def embed(words: Any, weight: Any, padding: int, *rest: Any) -> Any:
        return F.embedding(words, weight, padding)

    function = types.SimpleNamespace(apply=embed)
    nn.Embedding._backend = types.SimpleNamespace(Embedding=function)  # type: ignore[assignment]
    import spacy

    loaded = spacy.load
    spacy.load = lambda lang: types.SimpleNamespace(tokenizer=recorded)  # type: ignore[assignment]
    text = importlib.import_module("fastai.text")
    tokenizer = text.Tokenizer("en")
    spacy.load = loaded
    return network, tokenizer


def detached(state: Any) -> Any:
    return state.detach() if isinstance(state, torch.Tensor) else tuple(map(detached, state))


def run_old(folder: Path, place: Path, expected: dict[str, np.ndarray]) -> list[Any]:
    recorded = Recorded()
    module, tokenizer = import_old(folder, recorded)
    for seed, direction in enumerate(("fwd", "bwd")):
        network = module.get_language_model(*SIZES, 1)
        fill(network, seed)
        network.eval().reset()
        stream = {"_use_new_zipfile_serialization": False}
        torch.save(network.state_dict(), place / f"{direction}_wt103.h5", **stream)
        for batch, ids in batches().items():
            name = f"fastai-0.7-{direction}_{batch}"
            expected[f"{name}_token_ids"] = ids
            given = ids if direction == "fwd" else ids[:, ::-1]
            tokens = torch.from_numpy(given.T.copy()).long()
            embeddings = network[0].encoder(tokens)
            logits, states, _ = network(tokens)
            logits = logits.view(*tokens.shape, WORDS)
            for key, value in (
                *((f"hidden_states_{i}", x) for i, x in enumerate([embeddings, *states])),
                ("logits", logits),
            ):
                value = value.transpose(0, 1)
                record(expected, f"{name}_{key}", value if direction == "fwd" else value.flip(1))

    head = module.PoolingLinearClassifier([3 * WIDTH, 4, 2], [0.4, 0.1])
    fill(head, 2)
    random = np.random.default_rng(8)
    with torch.no_grad():
        for buffer in head.buffers():
            if buffer.ndim:
                values = random.uniform(0.5, 1.5, buffer.shape).astype("float32")
                buffer.copy_(torch.from_numpy(values))
    inputs = torch.from_numpy(random.normal(size=(6, 3, WIDTH)).astype("float32"))
    logits, *_ = head.eval()(([inputs], [inputs]))
    record(expected, "head_inputs", inputs.transpose(0, 1))
    record(expected, "head_logits", logits)
    for name, tensor in head.state_dict().items():
        record(expected, f"head_{name}", tensor)

    write_words(place, ("_unk_", "_pad_"))
    found = []
    for text in TEXTS:
        recorded.asked.clear()
        words = tokenizer.proc_text(f"\nxbos xfld 1 {text}")
        found.append([text, *recorded.asked[0], words])
    return found


# --- fastai 1 ------------------------------------------------------------------------------------


class PreInit(type(nn.Module)):  # type: ignore[misc]
    """Initialises a module before its own `__init__`, as fastai's metaclass does."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.__init__(*args, **kwargs)
        return made


class Module(nn.Module, metaclass=PreInit):
    def __init__(self) -> None:
        pass


def import_first(folder: Path) -> tuple[Any, Any]:
    forget_fastai()
    root = folder / "fastai"
    package("fastai", root)
    package("fastai.text", root / "text")
    package("fastai.text.models", root / "text" / "models")
    typing = {
        "List": List,  # noqa: UP006
        "Tuple": Tuple,  # noqa: UP006
        "Optional": Optional,
        "Collection": Collection,
        "Callable": Callable,
    }
    hints = dict.fromkeys(("ListRules", "Tokens", "LongTensor", "Rank0Tensor"), Any)
    stand_in(
        "fastai.torch_core",
        **{**typing, **hints, "Tensor": torch.Tensor, "Module": Module},
        **{"nn": nn, "F": F, "torch": torch, "warnings": warnings, "re": re, "html": html},
        **{"partial": partial, "wraps": wraps, "Iterator": Iterator, "np": np},
        defaults=types.SimpleNamespace(cpus=1),
        ifnone=lambda value, other: other if value is None else value,
        one_param=lambda module: next(module.parameters()),
        to_detach=lambda states, cpu: [detached(state) for state in states],
    )
    for name in ("layers", "train", "basic_train", "basic_data"):
        stand_in(f"fastai.{name}", ClassificationInterpretation=object)
    stand_in("fastai.text.data", TextClasDataBunch=object)
    network = importlib.import_module("fastai.text.models.awd_lstm")
    return network, importlib.import_module("fastai.text.transform")


def run_first(folder: Path, place: Path, expected: dict[str, np.ndarray]) -> list[Any]:
    module, transform = import_first(folder)
    encoder = module.AWD_LSTM(*SIZES)
    decoder = module.LinearDecoder(WORDS, WIDTH, 0.1, tie_encoder=encoder.encoder, bias=True)
    network = module.SequentialRNN(encoder, decoder)
    fill(network, 3)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.eval().reset()
    # As training leaves them: with another choice of weights dropped.
    for name in [name for name in tensors if name.endswith("module.weight_hh_l0")]:
        raw = tensors[name.replace("module.weight_hh_l0", "weight_hh_l0_raw")]
        tensors[name] = F.dropout(raw, 0.5, training=True)
    torch.save(tensors, place / "lstm_fwd.pth", _use_new_zipfile_serialization=False)
    for batch, ids in batches().items():
        name = f"fastai-1_{batch}"
        expected[f"{name}_token_ids"] = ids
        tokens = torch.from_numpy(ids).long()
        embeddings = encoder.encoder(tokens)
        logits, states, _ = network(tokens)
        for index, state in enumerate([embeddings, *states]):
            record(expected, f"{name}_hidden_states_{index}", state)
        record(expected, f"{name}_logits", logits)
    write_words(place, tuple(transform.defaults.text_spec_tok))

    tokenizer = transform.Tokenizer(n_cpus=1)
    # Its `SpacyTokenizer` calls a spaCy of 2019.
    words, recorded = transform.BaseTokenizer("en"), Recorded()
    words.tokenizer = lambda text: [token.text for token in recorded(text)]
    for sign in tokenizer.special_cases:
        recorded.add_special_case(sign, [{"ORTH": sign}])
    found = []
    for text in TEXTS + HTML:
        recorded.asked.clear()
        made = tokenizer.process_text(f"xxbos {text}", words)
        found.append([text, *recorded.asked[0], made])
    return found


# --- fastai 2 ------------------------------------------------------------------------------------


def run_second(folder: Path, place: Path, expected: dict[str, np.ndarray]) -> list[Any]:
    forget_fastai()
    warnings.simplefilter("ignore")
    core = importlib.import_module("fastai.text.models.core")
    lstm = importlib.import_module("fastai.text.models.awdlstm")
    data = importlib.import_module("fastai.text.data")
    text_core = importlib.import_module("fastai.text.core")
    config = {**lstm.awd_lstm_lm_config, "emb_sz": WIDTH, "n_hid": UNITS}
    network = core.get_language_model(lstm.AWD_LSTM, WORDS, config)
    fill(network, 4)
    torch.save(network.state_dict(), place / "lstm_fwd.pth")
    network.eval().reset()
    states: list[Any] = []
    for rnn in network[0].rnns:
        rnn.register_forward_hook(lambda module, given, output: states.append(output[0]))
    for batch, ids in batches().items():
        name = f"fastai-2_{batch}"
        expected[f"{name}_token_ids"] = ids
        tokens = torch.from_numpy(ids).long()
        states[:] = [network[0].encoder(tokens)]
        logits, *_ = network(tokens)
        for index, state in enumerate(states):
            record(expected, f"{name}_hidden_states_{index}", state)
        record(expected, f"{name}_logits", logits)
    write_words(place, tuple(text_core.defaults.text_spec_tok))

    run_classifier(core, data, network[0], expected)
    recorded = Recorded()
    splitter = text_core.SpacyTokenizer()
    for sign in splitter.special_toks:
        recorded.add_special_case(sign, [{"ORTH": sign}])
    splitter.pipe = lambda texts, batch_size: map(recorded, texts)
    rules = text_core.TokenizeWithRules(splitter)
    found = []
    for text in TEXTS + HTML:
        recorded.asked.clear()
        (words,) = rules([text])
        found.append([text, *recorded.asked[0], list(words)])
    return found


def run_classifier(core: Any, data: Any, encoder: Any, expected: dict[str, np.ndarray]) -> None:
    """Texts of 8, 8 and 5 tokens in chunks; outputs, concat pooling, and gradients."""
    random = np.random.default_rng(5)
    texts = [torch.from_numpy(random.integers(2, WORDS, length)) for length in (9, 9, 6)]
    rows = data.pad_input_chunk([(text,) for text in texts], pad_idx=1, seq_len=BPTT)
    tokens = torch.stack([row for (row,) in rows])
    sentences = core.SentenceEncoder(BPTT, encoder, pad_idx=1, max_len=KEPT)
    outputs, mask = sentences(tokens)
    pooled = core.masked_concat_pool(outputs, mask, BPTT)
    weights = torch.from_numpy(random.normal(size=tuple(pooled.shape)).astype("float32"))
    encoder.zero_grad()
    (pooled * weights).sum().backward()
    for name, values in (
        *(("outputs", outputs), ("mask", mask), ("pooled", pooled), ("weights", weights)),
        *((f"gradient_{n}", p.grad) for n, p in encoder.named_parameters()),
    ):
        record(expected, f"texts_{name}", values)
    expected["texts_token_ids"] = tokens.numpy().astype("int32")


if __name__ == "__main__":
    main()
