"""Word vectors as they are published: one text of an archive of several, or one file in a `.gz`."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import replace

from keras_pretrained.layers import WordEmbedding
from keras_pretrained.presets import Preset, Source, fetch, preset_info
from tests.presets.fetching.server import Server

TEXT = b"the 0.5 0.25\ndog 1 2\n"


def small(name: str, *sources: Source) -> Preset:
    preset = preset_info(name)
    sizes = {"num_words": 2, "hidden_size": 2}
    return replace(preset, name="small", architecture=sizes, sources=sources)


def test_one_text_of_an_archive(server: Server) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for width in (2, 3):
            archive.writestr(f"glove.{width}d.txt", TEXT)
    address = server.serve("/glove.zip", buffer.getvalue())
    preset = small("glove-6b-50d", Source(address, "glove", {"weights": "glove.2d.txt"}))
    assert fetch(preset, progress=False).weights.name == "glove.2d.txt"
    layer = WordEmbedding(preset)
    assert layer.vocabulary == ["", "[UNK]", "the", "dog"]
    assert layer.vectors(["The"]).tolist() == [[0.5, 0.25]]
    # Another width of the same archive is there already.
    other = small("glove-6b-50d", Source(address, "glove", {"weights": "glove.3d.txt"}))
    assert WordEmbedding(other).vocabulary == layer.vocabulary
    assert len(server.requests) == 1


def test_one_packed_file(server: Server) -> None:
    binary = b"2 2\nthe " + bytes(8) + b"dog " + bytes(8)
    address = server.serve("/news.gz", gzip.compress(binary))
    source = Source(address, "word2vec", {"weights": "news"})
    layer = WordEmbedding(small("word2vec-google-news-300d", source))
    assert layer.vocabulary[2:] == ["the", "dog"]
    assert not layer.tokenizer.lowercase
    assert WordEmbedding(address).vocabulary == layer.vocabulary
    address = server.serve("/cc.vec.gz", gzip.compress(b"2 2\n" + TEXT))
    assert WordEmbedding(address, vocabulary=["dog"]).vectors(["dog"]).tolist() == [[1, 2]]
