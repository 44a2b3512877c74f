"""The word vectors of the registry: what their publishers have, and how it is found and fetched."""

from __future__ import annotations

import re

import pytest

from keras_pretrained.presets import PresetError, list_presets, preset_info
from keras_pretrained.presets.registry import build_registry

NAMES = list_presets(family="word-vectors")
# README.md of stanfordnlp/GloVe: archive, rounded size of the vocabulary, casing, widths.
GLOVE = {
    "glove-6b": ("glove.6B.zip", 400_000, True, (50, 100, 200, 300)),
    "glove-42b": ("glove.42B.300d.zip", 1_900_000, True, (300,)),
    "glove-840b": ("glove.840B.300d.zip", 2_200_000, False, (300,)),
    "glove-twitter": ("glove.twitter.27B.zip", 1_200_000, True, (25, 50, 100, 200)),
}
LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru", "zh")
# docs/english-vectors.md of facebookresearch/fastText.
ENGLISH = {
    "fasttext-wiki-news-300d": ("wiki-news-300d-1M.vec", 1_000_000),
    "fasttext-wiki-news-subword-300d": ("wiki-news-300d-1M-subword.vec", 1_000_000),
    "fasttext-crawl-300d": ("crawl-300d-2M.vec", 2_000_000),
    "fasttext-crawl-subword-300d": ("crawl-300d-2M-subword.bin", 2_000_000),
}


def test_every_release_is_there() -> None:
    glove = {f"{name}-{width}d" for name, (_, _, _, widths) in GLOVE.items() for width in widths}
    crawl = {f"fasttext-cc-{language}-300d" for language in LANGUAGES}
    assert set(NAMES) == {*glove, *ENGLISH, *crawl, "word2vec-google-news-300d"}


@pytest.mark.parametrize("name", GLOVE)
def test_glove(name: str) -> None:
    archive, words, lowercase, widths = GLOVE[name]
    for width in widths:
        preset = preset_info(f"{name}-{width}d")
        assert preset.architecture == {"num_words": words, "hidden_size": width}
        assert preset.parameters == words * width
        assert preset.tokenizer == {"kind": "whitespace", "lowercase": lowercase}
        assert preset.licence == "PDDL-1.0"
        assert [source.address for source in preset.sources] == [
            f"https://huggingface.co/stanfordnlp/glove/resolve/main/{archive}",
            f"https://nlp.stanford.edu/data/wordvecs/{archive}",
        ]
        for source in preset.sources:
            file = f"{'.'.join(archive.split('.')[:-1]).removesuffix('.300d')}.{width}d.txt"
            assert (source.kind, source.dialect) == ("archive", "glove")
            assert source.files == {"weights": file}


def test_fasttext_and_word2vec() -> None:
    for name, (file, words) in ENGLISH.items():
        preset = preset_info(name)
        (source,) = preset.sources
        archive = file.removesuffix(".bin") + ".zip"
        assert source.address.endswith(f"/vectors-english/{archive}")
        assert source.files == {"weights": file}
        assert source.dialect == ("fasttext" if file.endswith(".bin") else "word2vec-text")
        assert preset.architecture == {"num_words": words, "hidden_size": 300}
        assert preset.licence == "CC-BY-SA-3.0"
    for language in LANGUAGES:
        (source,) = preset_info(f"fasttext-cc-{language}-300d").sources
        assert source.address.endswith(f"/vectors-crawl/cc.{language}.300.bin.gz")
        assert source.files == {"weights": f"cc.{language}.300.bin"}
    news = preset_info("word2vec-google-news-300d")
    assert news.architecture == {"num_words": 3_000_000, "hidden_size": 300}
    assert news.licence is None


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_complete(name: str) -> None:
    preset = preset_info(name)
    assert preset.builder == "keras_pretrained.layers.words.word_embedding:WordEmbedding"
    assert preset.paper is not None
    assert preset.languages
    assert "{" not in preset.description
    assert f"{preset.architecture['hidden_size']} values" in preset.description
    assert f"-{preset.architecture['hidden_size']}d" in name
    assert str(preset)
    for source in preset.sources:
        assert re.fullmatch(r"https://[\w./-]+\.(zip|gz)", source.address)
        assert not source.sizes
        assert not source.sha256


def test_wrong_sizes() -> None:
    table = """
        family = "word-vectors"
        builder = "keras_pretrained.layers.words.word_embedding:WordEmbedding"
        [sources.here]
        base = "https://example.org/"
        dialect = "glove"
        files = { weights = "a.txt" }
        [presets.a]
        description = "None"
        architecture = { num_words = 0, hidden_size = 3 }
        tokenizer = { kind = "whitespace", lowercase = true }
        sources = [{ from = "here", path = "a.zip" }]
    """
    with pytest.raises(PresetError, match="num_words must be at least 1, not 0"):
        build_registry([("a.toml", table)])
