"""Local folders, files and prefixes, in the forms in which authors publish them."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_pretrained.presets import PresetError, SourceError, resolve

GOOGLE = (
    "bert_model.ckpt.index",
    "bert_model.ckpt.data-00000-of-00001",
    "bert_model.ckpt.meta",
    "bert_config.json",
    "vocab.txt",
)
HF = ("model.safetensors", "config.json", "vocab.txt", "tokenizer.json")
SAVED_MODEL = ("saved_model.pb", "variables/variables.index", "assets/vocab.txt")


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("names", "config", "vocabulary"),
    [
        (GOOGLE, "bert_config.json", "vocab.txt"),
        (HF, "config.json", "vocab.txt"),
        (SAVED_MODEL, None, "assets/vocab.txt"),
        (("pytorch_model.bin",), None, None),
        (("something.unheard-of",), None, None),
    ],
)
def test_folders(
    tmp_path: Path, names: tuple[str, ...], config: str | None, vocabulary: str | None
) -> None:
    folder = fill(tmp_path / "model", *names)
    for given in (folder, str(folder), f"{folder}/"):
        located = resolve(given)
        assert located.folder == located.weights == folder
        assert located.config == (folder / config if config else None)
        assert located.vocabulary == (folder / vocabulary if vocabulary else None)
        assert located.preset is located.source is located.dialect is None


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ("bert_model.ckpt", "bert_model.ckpt"),
        ("bert_model.ckpt.index", "bert_model.ckpt"),
        ("bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt"),
    ],
)
def test_checkpoint_prefixes(tmp_path: Path, given: str, weights: str) -> None:
    folder = fill(tmp_path / "google", *GOOGLE)
    located = resolve(folder / given)
    assert located.weights == folder / weights
    assert located.config == folder / "bert_config.json"
    assert located.vocabulary == folder / "vocab.txt"
    assert located.folder == folder


def test_single_files(tmp_path: Path) -> None:
    folder = fill(tmp_path / "hf", *HF)
    located = resolve(str(folder / "model.safetensors"))
    assert located.weights == folder / "model.safetensors"
    assert located.config == folder / "config.json"
    assert located.vocabulary == folder / "vocab.txt"
    saved = fill(tmp_path / "saved", *SAVED_MODEL)
    assert resolve(saved / "saved_model.pb").weights == saved


def test_archives_unpack_with_their_own_folder(tmp_path: Path) -> None:
    inner = fill(tmp_path / "download" / "uncased_L-12_H-768_A-12", *GOOGLE)
    fill(tmp_path / "download", "uncased_L-12_H-768_A-12.zip", ".DS_Store")
    fill(tmp_path / "download" / "__MACOSX", "._vocab.txt", "vocab.txt")
    located = resolve(tmp_path / "download")
    assert located.folder == located.weights == inner
    # Exactly one level.
    with pytest.raises(SourceError, match="holds no checkpoint"):
        resolve(fill(tmp_path / "deep", "a/b/vocab.txt"))


def test_several_sub_folders_are_ambiguous(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fill(tmp_path / "all" / name, *GOOGLE)
    with pytest.raises(SourceError, match=r"several checkpoints: one, two. Give the path"):
        resolve(tmp_path / "all")


def test_files_in_the_folder_itself_win(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", *HF)
    fill(folder / "1_Pooling", "config.json")
    assert resolve(folder).folder == folder


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"holds no checkpoint.*config\.json.*Found: nothing"):
        resolve(tmp_path / "empty")
    with pytest.raises(SourceError, match="holds: empty"):
        resolve(tmp_path / "absent")
    with pytest.raises(SourceError, match="does not exist either"):
        resolve(tmp_path / "absent" / "deeper")


def test_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain name that is a preset is the preset; anything that looks like a path is a path."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "bert-base", *GOOGLE)
    fill(tmp_path / "my-bert", *GOOGLE)
    with pytest.raises(SourceError, match="preset 'bert-base' cannot be found"):
        resolve("bert-base")
    for path in ("./bert-base", "bert-base/", str(tmp_path / "bert-base"), Path("bert-base")):
        assert resolve(path).preset is None
        assert resolve(path).weights.resolve() == tmp_path / "bert-base"
    assert resolve("my-bert").weights == Path("my-bert")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/my-bert").weights == tmp_path / "my-bert"
    fill(tmp_path, "loose.ckpt.index")
    assert resolve("loose.ckpt").weights == Path("loose.ckpt")


def test_unknown_plain_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PresetError, match=r"Did you mean 'bert-base'.* no file or folder"):
        resolve("bert-bas")
    with pytest.raises(PresetError, match="Unknown preset ''"):
        resolve("")


def test_hugging_face_names_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="is the preset 'bert-base-cased'"):
        resolve("google-bert/bert-base-cased")
    with pytest.raises(SourceError, match="No file or folder 'someone/else'"):
        resolve("someone/else")
