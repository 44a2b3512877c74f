"""`hf://` against a local server that answers as the Hugging Face Hub does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import huggingface_hub.constants
import pytest

from keras_pretrained.presets import SourceError, fetch, locate_file, resolve
from keras_pretrained.presets.fetching.entries import entry_of
from keras_pretrained.presets.fetching.failure import FetchFailure
from keras_pretrained.presets.fetching.hub import _Listed, select
from tests.presets.fetching.material import (
    FILES,
    HASHES,
    SIZES,
    WEIGHTS,
    contents,
    preset,
    sha256,
    source,
    zipped,
)
from tests.presets.fetching.server import Server

FIRST, SECOND = "a" * 40, "b" * 40
ADDRESS = "hf://some/network"


class Hub:
    """A repository on a server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def publish(
        self,
        files: Mapping[str, bytes] = FILES,
        commit: str = FIRST,
        revisions: tuple[str, ...] = ("main",),
        large: tuple[str, ...] = ("model.safetensors",),
        repository: str = "some/network",
    ) -> None:
        siblings = []
        for name, data in files.items():
            self.server.serve(f"/{repository}/resolve/{commit}/{name}", data)
            lfs = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            entry = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
            siblings.append({**entry, "lfs": lfs} if name in large else entry)
        record = {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings}
        for revision in (*revisions, commit):
            middle = "" if revision == "main" else f"/revision/{revision}"
            self.server.serve(
                f"/api/models/{repository}{middle}?blobs=true",
                json.dumps(record).encode(),
                headers={"Content-Type": "application/json"},
            )

    def asked(self) -> list[str]:
        """The files that were asked for."""
        return [path.split("/")[-1] for path in self.server.paths() if "/resolve/" in path]


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        server.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    return Hub(server)


def test_presets(hub: Hub) -> None:
    hub.publish({**FILES, "pytorch_model.bin": b"x", "README.md": b"x"})
    small = preset(source(ADDRESS, SIZES, HASHES))
    located = resolve(small)
    assert contents(located.folder) == FILES
    assert located.source is small.sources[0]
    asked = len(hub.server.requests)
    assert resolve(small) == located
    assert len(hub.server.requests) == asked
    manifest = entry_of(ADDRESS).read()
    assert manifest is not None
    assert manifest.revision == FIRST


def test_addresses(hub: Hub) -> None:
    beside = {"tokenizer.json": b"{}", "tokenizer_config.json": b"{}"}
    hub.publish({**FILES, **beside, "pytorch_model.bin": b"x", "onnx/model.onnx": b"x"})
    located = resolve(ADDRESS)
    assert contents(located.folder) == {**FILES, **beside}
    assert located.config is not None
    assert located.vocabulary is not None
    asked = len(hub.server.requests)
    assert fetch(ADDRESS) == located
    assert len(hub.server.requests) == asked


def test_the_vocabulary_alone_and_the_rest_of_the_same_commit(hub: Hub) -> None:
    hub.publish()
    small = preset(source(ADDRESS))
    locate_file(small, "vocabulary")
    assert hub.asked() == ["vocab.txt"]
    # The repository goes on; what joins the vocabulary is of its commit.
    hub.publish({**FILES, "model.safetensors": b"new", "vocab.txt": b"new"}, commit=SECOND)
    assert contents(resolve(small).folder) == FILES
    assert hub.asked().count("vocab.txt") == 1
    newer = fetch(small, force=True)
    assert newer.weights.read_bytes() == b"new"
    assert contents(newer.folder)["vocab.txt"] == b"new"


def test_a_preset_and_then_its_address(hub: Hub) -> None:
    """Both share one entry; the address asks for more files."""
    hub.publish({**FILES, "tokenizer.json": b"{}"})
    assert contents(resolve(preset(source(ADDRESS))).folder) == FILES
    assert set(contents(resolve(ADDRESS).folder)) == {*FILES, "tokenizer.json"}


def test_revisions(hub: Hub) -> None:
    hub.publish(commit=FIRST, revisions=("v1.0",))
    hub.publish({"model.safetensors": b"other"}, commit=SECOND)
    assert contents(resolve(f"{ADDRESS}@v1.0").folder) == FILES
    assert contents(resolve(ADDRESS).folder) == {"model.safetensors": b"other"}


def test_the_hubs_own_hashes_are_checked(hub: Hub) -> None:
    hub.publish()
    hub.server.serve(f"/some/network/resolve/{FIRST}/model.safetensors", b"x" * len(WEIGHTS))
    with pytest.raises(SourceError, match=r"model\.safetensors is not the published file: SHA-256"):
        resolve(ADDRESS)
    with pytest.raises(SourceError, match=r"the Hub states SHA-256 \w+ in place of"):
        resolve(preset(source(ADDRESS, hashes={"weights": "0" * 64})))
    assert hub.asked().count("model.safetensors") == 1


def test_cut_connections(hub: Hub) -> None:
    hub.publish()
    served = hub.server.files[f"/some/network/resolve/{FIRST}/model.safetensors"]
    served.cuts = [100_000, None]
    assert contents(resolve(ADDRESS).folder) == FILES
    ranges = [request.headers.get("Range") for request in hub.server.requests]
    assert "bytes=100000-" in ranges


def test_tokens(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.publish()
    path = f"/some/network/resolve/{FIRST}/model.safetensors"
    with Server() as storage:
        target = storage.serve("/blob?signed", WEIGHTS).replace("127.0.0.1", "localhost")
        hub.server.files[path].failures = [(302, {"Location": target})]
        assert contents(resolve(ADDRESS).folder) == FILES
        assert "Authorization" not in storage.requests[0].headers
    for request in hub.server.requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["authorization"] == "Bearer hf_secret"


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (401, {"X-Error-Code": "RepoNotFound"}, "no repository some/network, or it is private"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no repository some/network, or it is private"),
        (403, {"X-Error-Code": "GatedRepo"}, "asks for consent: give it on its page, then set"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "has no revision"),
        (403, {}, "the Hugging Face Hub answers 403"),
        (503, {}, "the Hugging Face Hub answers 503"),
    ],
)
def test_refusals(hub: Hub, status: int, headers: dict[str, str], message: str) -> None:
    hub.server.serve("/api/models/some/network?blobs=true", failures=[(status, headers)] * 20)
    with pytest.raises(SourceError, match=message):
        resolve(ADDRESS)


def test_passing_failures(hub: Hub) -> None:
    hub.publish()
    failures = [(429, {"Retry-After": "0"}), (503, {})]
    hub.server.files["/api/models/some/network?blobs=true"].failures = failures
    assert contents(resolve(ADDRESS).folder) == FILES


def test_a_repository_without_the_file(hub: Hub) -> None:
    hub.publish({"vocab.txt": b"x"})
    fallback = source(hub.server.serve("/small.zip", zipped()))
    with pytest.raises(SourceError, match=r"the repository has no file 'model\.safetensors'"):
        resolve(preset(source(ADDRESS)))
    assert resolve(preset(source(ADDRESS), fallback)).source is fallback


def test_hostile_names(hub: Hub) -> None:
    hub.publish({"../../escaped.json": b"x", "model.safetensors": b"x"})
    with pytest.raises(SourceError, match=r"the file name '../../escaped.json' is refused"):
        resolve(ADDRESS)


def test_what_other_programs_downloaded_is_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--some--network"
    snapshot = repository / "snapshots" / FIRST
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(FIRST)
    snapshot.mkdir(parents=True)
    for name, data in FILES.items():
        (snapshot / name).write_bytes(data)
    monkeypatch.setenv("KERAS_PRETRAINED_OFFLINE", "1")
    small = preset(source(ADDRESS, SIZES, HASHES))
    assert resolve(small).weights == snapshot / "model.safetensors"
    assert locate_file(small, "vocabulary") == snapshot / "vocab.txt"
    (snapshot / "model.safetensors").write_bytes(b"short")
    with pytest.raises(SourceError, match="cannot be found"):
        resolve(small)
    assert hub.server.requests == []


def test_which_files_of_a_repository() -> None:
    def chosen(*names: str) -> list[str]:
        return select({name: _Listed(1, None) for name in names}, "some/network")

    beside = ("config.json", "vocab.txt", "spiece.model")
    every = (*beside, "model.safetensors", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")
    assert chosen(*every) == sorted((*beside, "model.safetensors"))
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    index = "model.safetensors.index.json"
    assert chosen(*shards, index, "pytorch_model.bin.index.json") == sorted((*shards, index))
    assert chosen("pytorch_model.bin", "tf_model.h5") == ["pytorch_model.bin"]
    google = ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001")
    assert chosen(*google, "bert_config.json") == sorted((*google, "bert_config.json"))
    saved = ("saved_model.pb", "variables/variables.index", "assets/vocab.txt")
    assert chosen(*saved, "README.md") == sorted(saved)
    assert chosen("net.pth", "onnx/x.onnx") == ["net.pth"]
    with pytest.raises(FetchFailure, match=r"holds no weights of a known kind: README\.md"):
        chosen("README.md")
    large = {"model.safetensors": _Listed(1, None), "corpus.txt": _Listed(10**9, None)}
    assert select(large, "x/y") == ["model.safetensors"]


def test_the_endpoint_of_the_environment(server: Server, home: Path) -> None:
    hub = Hub(server)
    hub.publish()
    code = (
        "import sys; from keras_pretrained import presets; print(presets.fetch(sys.argv[1]).folder)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ADDRESS],
        env={**os.environ, "HF_ENDPOINT": server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert contents(Path(done.stdout.strip())) == FILES
    # No bar, no warning: the stream is no terminal.
    assert done.stderr == ""
