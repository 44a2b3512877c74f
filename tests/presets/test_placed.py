"""Presets whose files a user placed, wholly or in part, and what is said when some are absent."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from keras_pretrained.presets import (
    Preset,
    PresetError,
    Source,
    SourceError,
    find_file,
    list_presets,
    locate_file,
    preset_folder,
    preset_info,
    resolve,
    verify_files,
)
from tests.presets.test_local import GOOGLE, HF, fill


def small(**changes: object) -> Preset:
    """A preset with one source of known sizes and hashes."""
    contents = {"weights": b"weights", "vocabulary": b"[PAD]"}
    source = Source(
        address="https://example.org/small.zip",
        dialect="hf",
        files={"weights": "model.safetensors", "vocabulary": "vocab.txt", "config": "config.json"},
        sizes={role: len(data) for role, data in contents.items()},
        sha256={role: hashlib.sha256(data).hexdigest() for role, data in contents.items()},
    )
    return replace(preset_info("bert-tiny"), name="small", sources=(source,), **changes)


def place(home: Path, weights: bytes = b"weights", vocabulary: bytes = b"[PAD]") -> Path:
    folder = home / "small"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "vocab.txt").write_bytes(vocabulary)
    return folder


def test_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    preset = preset_info("bert-base")
    assert preset_folder(preset) == home / "bert-base"
    monkeypatch.delenv("KERAS_PRETRAINED_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert preset_folder(preset) == Path("/somewhere/cache/keras_pretrained/bert-base")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/someone")
    assert preset_folder(preset) == Path("/home/someone/.cache/keras_pretrained/bert-base")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert preset_folder(preset) == Path("/home/someone/.cache/keras_pretrained/bert-base")
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", "~/models")
    assert preset_folder(preset) == Path("/home/someone/models/bert-base")
    monkeypatch.setenv("KERAS_PRETRAINED_HOME", "relative")
    assert preset_folder(preset) == Path.cwd() / "relative" / "bert-base"


def test_google_files(home: Path) -> None:
    folder = fill(home / "bert-base", *GOOGLE)
    for name in ("bert-base", "bert-base-uncased", preset_info("bert-base")):
        located = resolve(name, family="bert")
        assert located.weights == folder / "bert_model.ckpt"
        assert located.config == folder / "bert_config.json"
        assert located.vocabulary == folder / "vocab.txt"
        assert located.dialect == "google"
        assert located.preset is preset_info("bert-base")


def test_google_archive_with_its_own_folder(home: Path) -> None:
    inner = fill(home / "bert-base" / "uncased_L-12_H-768_A-12", *GOOGLE)
    fill(home / "bert-base", "uncased_L-12_H-768_A-12.zip")
    assert resolve("bert-base").weights == inner / "bert_model.ckpt"
    fill(home / "bert-base" / "again", *GOOGLE)
    with pytest.raises(SourceError, match=r"several sub-folders of .*: again, uncased_L-12"):
        resolve("bert-base")
    fill(home / "bert-base", *GOOGLE)
    assert resolve("bert-base").folder == home / "bert-base"


def test_other_sources_have_their_own_dialect(home: Path) -> None:
    folder = fill(home / "bert-base", *HF)
    assert resolve("bert-base").dialect == "hf"
    assert resolve("bert-base").weights == folder / "model.safetensors"
    saved = fill(
        home / "bert-large",
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets/vocab.txt",
    )
    located = resolve("bert-large")
    assert located.dialect == "tf-models"
    assert located.weights == saved
    assert located.vocabulary == saved / "assets" / "vocab.txt"


def test_the_first_complete_source_wins(home: Path) -> None:
    fill(home / "bert-base", *HF)
    assert resolve("bert-base").dialect == "hf"
    fill(home / "bert-base", *GOOGLE)
    assert resolve("bert-base").dialect == "google"


def test_config_is_optional_for_presets(home: Path) -> None:
    place(home)
    located = resolve(small())
    assert located.config is None
    assert set(located.files) == {"weights", "vocabulary"}


@pytest.mark.parametrize("name", list_presets("bert-*"))
def test_absent_files_are_all_named(name: str, home: Path) -> None:
    preset = preset_info(name)
    with pytest.raises(SourceError) as caught:
        resolve(name)
    text = str(caught.value)
    assert repr(name) in text
    assert str(home / name) in text
    assert "KERAS_PRETRAINED_OFFLINE=1" in text
    assert "KERAS_PRETRAINED_HOME" in text
    for source in preset.sources:
        assert source.address.removeprefix("hf://") in text
        for file in source.files.values():
            assert file in text
    assert f"https://huggingface.co/{preset.sources[1].address[5:]}/resolve/main/vocab.txt" in text


def test_half_placed_files_are_named(home: Path) -> None:
    folder = fill(home / "bert-base", "bert_model.ckpt.index", "vocab.txt")
    with pytest.raises(SourceError) as caught:
        resolve("bert-base")
    lines = str(caught.value).splitlines()
    (google,) = [line for line in lines if "still missing" in line and "bert_models" in line]
    assert google.startswith(f"{folder} holds bert_model.ckpt.index, vocab.txt of https://storage")
    assert google.endswith("still missing: bert_model.ckpt.data-00000-of-00001")
    (hub,) = [line for line in lines if "still missing" in line and "hf://" in line]
    assert hub.endswith("still missing: model.safetensors")


def test_sizes_are_checked(home: Path) -> None:
    folder = place(home, weights=b"weight")
    with pytest.raises(SourceError, match=r"model\.safetensors is not the file .* Expected 7 by"):
        resolve(small())
    assert find_file(small(), "vocabulary") == folder / "vocab.txt"
    with pytest.raises(SourceError, match="found 6 bytes"):
        find_file(small(), "weights")


def test_hashes_are_checked_on_demand(home: Path) -> None:
    folder = place(home, weights=b"wEights")
    assert resolve(small()).weights == folder / "model.safetensors"
    with pytest.raises(SourceError, match=r"Expected SHA-256 \w{64}, found \w{64}. Get it again"):
        verify_files(small())
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_bytes(b"{}")
    checks = {check.role: check for check in verify_files(small())}
    assert checks["weights"].sha256 == checks["weights"].published
    assert checks["weights"].sha256 == hashlib.sha256(b"weights").hexdigest()
    assert checks["config"].published is None
    assert checks["config"].sha256 == hashlib.sha256(b"{}").hexdigest()
    with pytest.raises(SourceError, match="cannot be found"):
        verify_files("bert-base")


def test_one_file_alone(home: Path) -> None:
    assert find_file("bert-base", "vocabulary") is None
    with pytest.raises(SourceError, match=r"file 'vocabulary' of preset 'bert-base'") as caught:
        locate_file("bert-base", "vocabulary")
    assert "vocab.txt" in str(caught.value)
    assert "bert_model.ckpt" not in str(caught.value)
    fill(home / "bert-base", "vocab.txt")
    assert locate_file("bert-base", "vocabulary") == home / "bert-base" / "vocab.txt"
    assert find_file("bert-base-uncased", "vocabulary") == home / "bert-base" / "vocab.txt"
    with pytest.raises(PresetError, match=r"no file 'merges'. Expected one of: config, voc"):
        find_file("bert-base", "merges")


def test_family_is_checked(home: Path) -> None:
    other = replace(small(), family="resnet")
    with pytest.raises(PresetError, match=r"is of family 'resnet'.*Expected family 'bert'"):
        resolve(other, family="bert")


def test_addresses_that_need_a_download() -> None:
    with pytest.raises(SourceError, match=r"The files of preset 'bert-base' cannot") as caught:
        resolve("hf://google-bert/bert-base-uncased")
    assert "storage.googleapis.com" not in str(caught.value)
    for address in ("https://example.org/x.zip", "kaggle://google/bert/keras/base/1"):
        with pytest.raises(SourceError, match="OFFLINE=1 is set: nothing is downloaded"):
            resolve(address)
