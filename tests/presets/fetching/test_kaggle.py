"""`kaggle://` against a local server that answers as Kaggle does."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import pytest

from keras_pretrained.presets import SourceError, find_file, locate_file, resolve
from tests.presets.fetching.material import FILES, HASHES, SIZES, contents, preset, source, zipped
from tests.presets.fetching.server import Request, Server

ADDRESS = "kaggle://owner/model/keras/base/3"
SERVICE = "/api/v1/models.ModelApiService/"


class Model:
    """A model on a server. The library asks with POST, and names the file in the body."""

    def __init__(self, server: Server) -> None:
        self.server = server
        server.route = self._route

    def publish(self, files: Mapping[str, bytes] = FILES) -> None:
        listing = {"files": [{"name": name} for name in files], "nextPageToken": ""}
        self.server.serve(
            f"{SERVICE}ListModelInstanceVersionFiles",
            json.dumps(listing).encode(),
            headers={"Content-Type": "application/json"},
        )
        for name, data in files.items():
            headers = {"Content-Type": "application/octet-stream"}
            self.server.serve(f"/model/{name}", data, headers=headers)

    def asked(self) -> list[str]:
        """The files that were asked for."""
        bodies = (json.loads(r.body) for r in self.server.requests if r.path.endswith("Version"))
        return sorted(body["path"] for body in bodies)

    def _route(self, request: Request) -> str:
        if not request.path.endswith("DownloadModelInstanceVersion"):
            return request.path
        body = json.loads(request.body)
        assert (body["ownerSlug"], body["modelSlug"]) == ("owner", "model")
        assert (body["instanceSlug"], body["versionNumber"]) == ("base", 3)
        return f"/model/{body['path']}"


@pytest.fixture
def model(server: Server, monkeypatch: pytest.MonkeyPatch) -> Model:
    pytest.importorskip("kagglehub")
    from kagglesdk import kaggle_env

    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, server.url)
    return Model(server)


def test_presets(model: Model, capfd: pytest.CaptureFixture[str]) -> None:
    model.publish({**FILES, "other.h5": b"x"})
    small = preset(source(ADDRESS, SIZES, HASHES))
    located = resolve(small)
    assert contents(located.folder) == FILES
    assert model.asked() == sorted(FILES)
    assert resolve(small) == located
    assert len(model.asked()) == len(FILES)
    assert capfd.readouterr().err == ""


def test_addresses(model: Model) -> None:
    model.publish()
    located = resolve(ADDRESS)
    assert contents(located.folder) == FILES
    assert located.vocabulary is not None
    assert resolve(ADDRESS) == located
    assert len(model.asked()) == len(FILES)


def test_the_vocabulary_alone(model: Model) -> None:
    model.publish()
    small = preset(source(ADDRESS))
    assert locate_file(small, "vocabulary").read_bytes() == FILES["vocab.txt"]
    assert model.asked() == ["vocab.txt"]
    assert find_file(small, "weights") is None
    assert contents(resolve(small).folder) == FILES
    assert model.asked() == sorted(FILES)


def test_a_config_may_be_absent(model: Model) -> None:
    model.publish({name: data for name, data in FILES.items() if name != "config.json"})
    assert resolve(preset(source(ADDRESS))).config is None


def test_wrong_hash_then_the_next_mirror(model: Model) -> None:
    model.publish({**FILES, "vocab.txt": b"[PAD]\n[XXX]\n"})
    web = source(model.server.serve("/small.zip", zipped()), SIZES, HASHES)
    assert resolve(preset(source(ADDRESS, SIZES, HASHES), web)).source is web


def test_a_model_that_is_not_there(model: Model) -> None:
    with pytest.raises(SourceError, match=f"{ADDRESS}: kagglehub: 404 Client Error"):
        resolve(preset(source(ADDRESS)))


def test_no_server(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglesdk import kaggle_env

    env = kaggle_env.KaggleEnv.LOCAL
    monkeypatch.setitem(kaggle_env._env_to_endpoint, env, "http://127.0.0.1:9")
    with pytest.raises(SourceError, match=r"kagglehub: .*(refused|Max retries)"):
        resolve(ADDRESS)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(SourceError, match=r"pip install 'keras-pretrained\[kaggle\]'"):
        resolve(ADDRESS)
