"""A wrong table is an error that names the file, the preset and the entry."""

from __future__ import annotations

import pytest

from keras_pretrained.presets import PresetError
from keras_pretrained.presets.table import parse_table

TABLE = """
family = "bert"
builder = "keras_pretrained.layers.transformers.bert:BertEncoder"

[defaults]
licence = "MIT"
[defaults.tokenizer]
kind = "wordpiece"
[defaults.architecture]
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

[parts.uncased]
tokenizer = { lowercase = true }
architecture = { vocabulary_size = 10 }
[parts.deep]
architecture = { num_layers = 3 }

[sources.web]
base = "https://example.org/"
dialect = "hf"
[sources.web.files]
weights = "model.safetensors"
config = "config.json"
[sources.web.sizes]
weights = 5
[sources.web.sha256]
weights = "0000000000000000000000000000000000000000000000000000000000000000"

[presets.tiny]
parts = ["uncased", "deep"]
aliases = ["small-one"]
description = "{num_layers} layers"
released = 2020-01-02
languages = ["en"]
sources = [{ from = "web", path = "L-{num_layers}.zip" }]
architecture = { dropout = 0.5 }
"""


def test_overlays_in_order() -> None:
    (preset,) = parse_table(TABLE, "t.toml")
    assert preset.name == "tiny"
    assert preset.licence == "MIT"
    assert preset.description == "3 layers"
    assert preset.tokenizer == {"kind": "wordpiece", "lowercase": True}
    assert preset.architecture["num_layers"] == 3
    assert preset.architecture["dropout"] == 0.5
    assert preset.architecture["attention_dropout"] == 0.1
    (source,) = preset.sources
    assert source.address == "https://example.org/L-3.zip"
    assert source.kind == "archive"
    assert source.required == {"weights": "model.safetensors"}
    assert source.sizes == {"weights": 5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('family = "bert"', "", r"t\.toml: missing family"),
        ('family = "bert"', 'family = "brt"', "preset 'tiny', family: .*'brt'. Expected: bert"),
        ("[parts.deep]", "[party.deep]", r"t\.toml, entry: unknown value 'party'"),
        ("[defaults]", "[defaults", "t.toml is not valid TOML"),
        ("[parts.deep]", "[parts.uncased]", "t.toml is not valid TOML"),
        ("bert:BertEncoder", "bert.BertEncoder", "wrong builder"),
        ("keras_pretrained.layers", "os", "wrong builder 'os.transformers.bert:BertEncoder'"),
        ("licence", "license", "t.toml, defaults, entry: unknown value 'license'"),
        ("num_layers = 3", "layers = 3", "architecture, entry: unknown value 'layers'"),
        ("num_layers = 3", "num_layers = true", "'num_layers' must be of type int, not bool"),
        ("num_layers = 3", "num_layers = 0", "num_layers must be at least 1, not 0"),
        ("num_heads = 2", "num_heads = 3", "num_heads=3 does not divide hidden_size=4"),
        ("num_heads = 2", "", "'tiny', architecture: missing num_heads"),
        ("dropout = 0.5", "dropout = 0", "'dropout' must be of type float, not int"),
        ("dropout = 0.5", "dropout = 1.5", "dropout must lie in"),
        ("dropout = 0.5", "dropout = nan", "dropout must lie in"),
        ('"gelu"', '"glu"', "activation must be one of gelu, gelu_tanh, relu, not 'glu'"),
        ("lowercase = true", 'lowercase = "yes"', "'lowercase' must be of type bool, not str"),
        ("lowercase = true", "", "'tiny', tokenizer: missing lowercase"),
        ('"wordpiece"', '"words"', "tokenizer kind: unknown value 'words'. Expected: wordpiece"),
        ('"uncased", "deep"', '"nope"', "'tiny', part: unknown value 'nope'. Expected: uncased"),
        ('"uncased", "deep"', "7", "parts must be strings, not 7"),
        ('"small-one"', '"Small One"', "wrong name 'Small One'"),
        ("[presets.tiny]", '[presets."../x"]', r"wrong name '\.\./x'"),
        ('description = "{num_layers} layers"', "", "description missing"),
        ("{num_layers} layers", "{layers}", "refers to 'layers', not in the architecture"),
        ("released = 2020-01-02", 'released = "2020"', "'released' must be of type date"),
        ("released = 2020-01-02", "released = 2020-01-02T10:00:00", "type date, not datetime"),
        ("released = 2020-01-02", "realeased = 2020-01-02", "unknown value 'realeased'"),
        ('"en"', "1", "languages must be strings"),
        ('from = "web"', 'from = "net"', "source 1, from: unknown value 'net'. Expected: web"),
        (', path = "L-{num_layers}.zip"', "", "source 1: missing path"),
        ('[{ from = "web", path = "L-{num_layers}.zip" }]', "[]", "`sources` is empty"),
        ('[{ from = "web", path = "L-{num_layers}.zip" }]', '["x"]', "must be of type dict"),
        ("L-{num_layers}.zip", "../x.zip", "wrong address 'https://example.org/../x.zip'"),
        ("https://", "http://", "wrong address 'http://"),
        ("https://example.org/", "pkg://", "wrong address 'pkg://L-3.zip'"),
        ("https://example.org/", "pkg://some_package/", "needs a `requirement`"),
        ('dialect = "hf"', 'dialect = "torch"', "dialect: unknown value 'torch'"),
        ('dialect = "hf"', "", "source 1: missing dialect"),
        ('"config.json"', '"../config.json"', r"wrong file name '\.\./config\.json'"),
        ('"config.json"', '"/etc/passwd"', "wrong file name '/etc/passwd'"),
        ('config = "config', 'configuration = "config', "files, entry: unknown value 'config"),
        ('weights = "model.safetensors"', "", "files: missing weights"),
        ("weights = 5", "vocabulary = 5", "sizes, entry: unknown value 'vocabulary'"),
        ("weights = 5", "weights = -5", "sizes must be positive, not -5"),
        ('"0000', '"00x0', "wrong sha256"),
        ("[sources.web.sizes]", "[sources.web.size]", "unknown value 'size'"),
    ],
)
def test_wrong_tables(old: str, new: str, message: str) -> None:
    assert old in TABLE
    with pytest.raises(PresetError, match=message) as caught:
        parse_table(TABLE.replace(old, new), "t.toml")
    assert "t.toml" in str(caught.value)


def test_facts_of_one_preset() -> None:
    """Sizes and hashes may stand with a preset, and may be those of an archive."""
    own = '{ from = "web", path = "L.zip", sizes = { archive = 7 }, sha256 = { config = "A" } }'
    text = TABLE.replace(
        '{ from = "web", path = "L-{num_layers}.zip" }', own.replace("A", "1" * 64)
    )
    (source,) = parse_table(text, "t.toml")[0].sources
    assert source.sizes == {"weights": 5, "archive": 7}
    assert source.sha256 == {"weights": "0" * 64, "config": "1" * 64}
    with pytest.raises(PresetError, match="sizes, entry: unknown value 'archives'"):
        parse_table(text.replace("archive = 7", "archives = 7"), "t.toml")
    with pytest.raises(PresetError, match="sizes must be positive"):
        parse_table(text.replace("archive = 7", "archive = 0"), "t.toml")


@pytest.mark.parametrize(
    ("base", "path", "kind"),
    [
        ("https://example.org/", "x.tar.bz2", "archive"),
        ("https://example.org/", "x.vec.gz", "archive"),
        ("https://example.org/", "x/y", "file"),
        ("https://tfhub.dev/", "google/x/1", "tf-hub"),
        ("hf://some/", "name", "hf"),
        ("hf://some/", "name@v1.0", "hf"),
        ("kaggle://owner/", "model/keras/base/3", "kaggle"),
    ],
)
def test_kinds_of_addresses(base: str, path: str, kind: str) -> None:
    text = TABLE.replace("https://example.org/", base).replace("L-{num_layers}.zip", path)
    (source,) = parse_table(text, "t.toml")[0].sources
    assert (source.address, source.kind) == (base + path, kind)


def test_kaggle_models_have_a_version() -> None:
    text = TABLE.replace("https://example.org/", "kaggle://owner/")
    for path in ("model/keras/base", "model/keras/base/latest", "model"):
        with pytest.raises(PresetError, match="wrong address"):
            parse_table(text.replace("L-{num_layers}.zip", path), "t.toml")
