"""One file over HTTP, through every way in which a server or a connection fails."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from keras_pretrained.presets.fetching import network as network_module
from keras_pretrained.presets.fetching.downloads import Wanted, download
from keras_pretrained.presets.fetching.failure import FetchFailure, Unreachable
from keras_pretrained.presets.fetching.network import Network, redirected
from tests.presets.fetching.conftest import FAST
from tests.presets.fetching.material import WEIGHTS, sha256
from tests.presets.fetching.server import Server

HASH = sha256(WEIGHTS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "parts" / "file"


def get(url: str, path: Path, size: int | None = None, digest: str | None = HASH) -> bytes:
    """Downloads a file; checks what is said of it."""
    file, _ = download(Network(FAST), Wanted(url, "file", size, digest), path, show=False)
    data = file.path.read_bytes()
    assert (file.size, file.sha256) == (len(data), sha256(data))
    return data


def ranges(server: Server) -> list[str | None]:
    return [request.headers.get("Range") for request in server.requests]


def test_whole(server: Server, path: Path) -> None:
    assert get(server.serve("/file", WEIGHTS), path, size=len(WEIGHTS)) == WEIGHTS
    assert ranges(server) == [None]
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_cut_connections_are_resumed(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, cuts=[100_000, 0, 50_000])
    assert get(url, path) == WEIGHTS
    assert ranges(server) == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]
    assert server.requests[1].headers["If-Range"] == '"1"'


def test_ranges_that_are_ignored_start_again(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, cuts=[100_000], ranges=False)
    assert get(url, path) == WEIGHTS
    assert ranges(server) == [None, "bytes=100000-"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_version_nothing_is_resumed(server: Server, path: Path, etag: str) -> None:
    assert get(server.serve("/file", WEIGHTS, cuts=[100_000], etag=etag), path) == WEIGHTS
    assert ranges(server) == [None, None]


def test_a_date_is_a_version(server: Server, path: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    url = server.serve("/file", WEIGHTS, cuts=[100_000], etag=None, headers={"Last-Modified": date})
    # This server knows no dates in If-Range, so it sends all; what counts is what it was asked.
    assert get(url, path) == WEIGHTS
    assert server.requests[-1].headers["If-Range"] == date


def test_a_file_that_changed_starts_again(server: Server, path: Path) -> None:
    with pytest.raises(FetchFailure, match=r"cut after 1,000 of 307,200 bytes \(4 att"):
        get(server.serve("/file", b"old" * 102_400, cuts=[1000, 0, 0, 0]), path, digest=None)
    url = server.serve("/file", WEIGHTS, etag='"2"')
    assert get(url, path) == WEIGHTS
    assert server.requests[-1].headers["If-Range"] == '"1"'


def test_a_beginning_of_another_version_under_the_same_name(server: Server, path: Path) -> None:
    old = bytes(len(WEIGHTS))
    with pytest.raises(FetchFailure):
        get(server.serve("/file", old, cuts=[1000, 0, 0, 0]), path)
    assert get(server.serve("/file", WEIGHTS), path) == WEIGHTS
    assert ranges(server)[-2:] == ["bytes=1000-", None]


def test_a_whole_part_is_not_fetched_again(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, etag='"1"')
    get(url, path)
    assert get(url, path) == WEIGHTS
    assert ranges(server) == [None, f"bytes={len(WEIGHTS)}-"]


def test_a_part_that_is_longer_than_the_file(server: Server, path: Path) -> None:
    get(server.serve("/file", WEIGHTS + b"more"), path, digest=None)
    assert get(server.serve("/file", WEIGHTS), path) == WEIGHTS


def test_the_wrong_range(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, cuts=[1000, 0, 0, 0])
    wrong = {"Content-Range": f"bytes 0-99/{len(WEIGHTS)}", "Content-Length": "100"}
    with pytest.raises(FetchFailure):
        get(url, path)
    server.files["/file"].failures = [(206, wrong)]
    assert get(url, path) == WEIGHTS
    assert ranges(server)[-2:] == ["bytes=1000-", None]


def test_a_range_that_is_shorter_than_was_asked_for(server: Server, path: Path) -> None:
    """Nothing says that it was cut; only the size of the whole tells."""
    url = server.serve("/file", WEIGHTS, cuts=[1000, 0, 0, 0])
    with pytest.raises(FetchFailure):
        get(url, path)
    part = {"Content-Range": f"bytes 1000-1000/{len(WEIGHTS)}", "Content-Length": "0"}
    server.files["/file"].failures = [(206, part)]
    assert get(url, path, digest=None) == WEIGHTS
    assert ranges(server)[-2:] == ["bytes=1000-"] * 2


def test_a_server_that_cuts_for_ever(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, ranges=False, cuts=[1000] * 50)
    with pytest.raises(FetchFailure, match=r"cut after 1,000 of 307,200 bytes \(4 attempts\)"):
        get(url, path)
    assert len(server.requests) == 4


def test_progress_counts_only_where_there_is_some(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, cuts=[1] * 300)
    with pytest.raises(FetchFailure, match="cut 100 times"):
        get(url, path)
    assert len(server.requests) == 100


@pytest.mark.parametrize("length", [True, False])
def test_wrong_size(server: Server, path: Path, length: bool) -> None:
    url = server.serve("/file", WEIGHTS, length=length)
    with pytest.raises(
        FetchFailure, match=r"not the published file: .* bytes in place of the published 3"
    ):
        get(url, path, size=3)
    assert not path.exists() or path.stat().st_size == 0


def test_wrong_hash(server: Server, path: Path) -> None:
    with pytest.raises(FetchFailure, match=f"SHA-256 {HASH} in place of the published {'0' * 64}"):
        get(server.serve("/file", WEIGHTS), path, digest="0" * 64)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "401 Unauthorized: it wants a login, which ~/.netrc"),
        (403, "403 Forbidden: access is forbidden"),
        (404, "404 Not Found: it is not there"),
        (204, "204 No Content"),
    ],
)
def test_final_answers_are_not_repeated(
    server: Server, path: Path, status: int, reason: str
) -> None:
    url = server.serve("/file", WEIGHTS, failures=[(status, {})] * 5)
    with pytest.raises(FetchFailure, match=reason):
        get(url, path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 0])
def test_passing_failures_are_repeated(server: Server, path: Path, status: int) -> None:
    url = server.serve("/file", WEIGHTS, failures=[(status, {})] * 3)
    assert get(url, path) == WEIGHTS
    server.files["/file"].failures = [(status, {})] * 9
    with pytest.raises(FetchFailure, match=r"\(4 attempts\)"):
        get(url, path.with_name("other"))
    assert len(server.requests) == 8


def test_retry_after(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(network_module.time, "sleep", waits.append)
    url = server.serve(
        "/file", WEIGHTS, failures=[(429, {"Retry-After": "2"}), (503, {"Retry-After": "soon"})]
    )
    assert get(url, path) == WEIGHTS
    assert waits == [2.0, FAST.backoff * 2]
    server.files["/file"].failures = [(429, {"Retry-After": "86400"})]
    with pytest.raises(FetchFailure, match="429 Too Many Requests"):
        get(url, path.with_name("other"))
    assert len(waits) == 2


def test_silence(server: Server, path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(FetchFailure, match=r"no bytes came in for 0.4 s \(4 attempts\)"):
        get(server.serve("/file", WEIGHTS, stall=0), path)
    assert time.monotonic() - started < 10


def test_silence_after_a_while(server: Server, path: Path) -> None:
    assert get(server.serve("/file", WEIGHTS, stall=2 * 65536), path) == WEIGHTS
    assert ranges(server) == [None, "bytes=131072-", "bytes=262144-"]


def test_dripping(server: Server, path: Path) -> None:
    """Each byte comes before the time limit for the next; the file would take an hour."""
    started = time.monotonic()
    with pytest.raises(FetchFailure, match="fewer than 1,000 bytes a second"):
        get(server.serve("/file", WEIGHTS, piece=1, pace=0.05, etag=None), path)
    assert time.monotonic() - started < 10


def test_slow_but_steady(server: Server, path: Path) -> None:
    assert get(server.serve("/file", WEIGHTS, piece=20_000, pace=0.1), path) == WEIGHTS
    assert len(server.requests) == 1


def test_redirects(server: Server, path: Path) -> None:
    target = server.serve("/file", WEIGHTS)
    server.serve("/b", failures=[(307, {"Location": target})])
    url = server.serve("/a", failures=[(302, {"Location": "/b"})])
    assert get(url, path) == WEIGHTS
    assert server.paths() == ["/a", "/b", "/file"]


def test_redirects_in_a_circle(server: Server, path: Path) -> None:
    url = server.serve("/a", failures=[(302, {"Location": "/a"})] * 50)
    with pytest.raises(FetchFailure, match="more than 10 redirects"):
        get(url, path)
    assert len(server.requests) == 11


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_that_leave_the_web(server: Server, path: Path, target: str) -> None:
    url = server.serve("/a", failures=[(302, {"Location": target})])
    with pytest.raises(FetchFailure, match="which is not a web address"):
        get(url, path)


def test_redirects_from_secure_to_not() -> None:
    assert redirected("https://a/x", "/y") == "https://a/y"
    assert redirected("http://a/x", "https://b/y") == "https://b/y"
    with pytest.raises(FetchFailure, match="redirects from https to http://b"):
        redirected("https://a/x", "http://b/y?secret")
    with pytest.raises(FetchFailure, match="redirects from https to http://a"):
        redirected("https://a/x", "http://a/y")


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that this process trusts."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "keyUsage=digitalSignature,keyCertSign"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return context


def test_a_secure_server_that_redirects_to_another(
    server: Server, path: Path, secure: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = server.serve("/file", WEIGHTS)
    with Server(lambda each: secure.wrap_socket(each, server_side=True)) as safe:
        assert get(safe.serve("/file", WEIGHTS), path) == WEIGHTS
        url = safe.serve("/a", failures=[(302, {"Location": plain})] * 2)
        with pytest.raises(FetchFailure, match="redirects from https to http"):
            get(url, path.with_name("b"))
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(FetchFailure, match=r"no secure connection to 127\.0\.0\.1"):
            get(url, path.with_name("c"))
    assert server.requests == []


def test_credentials_stay_with_their_host(
    server: Server, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Server() as other:
        target = other.serve("/file", WEIGHTS).replace("127.0.0.1", "localhost")
        url = server.serve("/a", failures=[(302, {"Location": target})])
        assert get(url, path) == WEIGHTS
        assert "Authorization" in server.requests[0].headers
        assert "Authorization" not in other.requests[0].headers


def test_tokens_stay_with_their_host(server: Server, path: Path) -> None:
    def token(request):  # type: ignore[no-untyped-def]
        request.headers["Authorization"] = "Bearer secret"
        return request

    with Server() as other:
        target = other.serve("/file", WEIGHTS).replace("127.0.0.1", "localhost")
        server.serve("/b", failures=[(302, {"Location": target})])
        url = server.serve("/a", failures=[(302, {"Location": "/b"})])
        download(Network(FAST), Wanted(url, "file", auth=token), path, show=False)
        assert [r.headers.get("Authorization") for r in server.requests] == ["Bearer secret"] * 2
        assert "Authorization" not in other.requests[0].headers


def test_no_server(path: Path) -> None:
    network = Network(FAST)
    with pytest.raises(FetchFailure, match=r"no connection to 127.0.0.1: refused \(2 attempts\)"):
        download(network, Wanted("http://127.0.0.1:9/x", "x"), path, show=False)


def test_a_name_that_does_not_exist(path: Path) -> None:
    with pytest.raises(FetchFailure, match=r"name nowhere.invalid cannot be resolved"):
        get("http://nowhere.invalid/x", path)


def test_time_without_a_network_is_limited(path: Path) -> None:
    network = Network(FAST)
    network.lost = FAST.unreachable
    with pytest.raises(FetchFailure, match="not tried, after 14 s without reaching any host"):
        download(network, Wanted("http://127.0.0.1:9/x", "x"), path, show=False)
    network.lost = FAST.connect
    assert not network.may_retry(0, Unreachable("slow"))


def test_an_encoded_transfer_is_refused(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, headers={"Content-Encoding": "gzip"})
    with pytest.raises(FetchFailure, match="encoded as 'gzip'"):
        get(url, path)


def test_too_little_room(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(path.parent.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(FetchFailure, match=r"307,200 bytes do not fit .*, which has 1,000 left"):
        get(server.serve("/file", WEIGHTS), path)


def test_a_spoiled_note_starts_again(server: Server, path: Path) -> None:
    url = server.serve("/file", WEIGHTS, cuts=[1000, 0, 0, 0])
    with pytest.raises(FetchFailure):
        get(url, path)
    for note in ("", "{", "[]", '{"validator": 3}', "\xff"):
        path.with_name("file.json").write_text(note)
        server.files["/file"].cuts = []
        assert get(url, path) == WEIGHTS
        assert ranges(server)[-1] is None
        path.write_bytes(b"wrong")
