"""A web server whose failures are real: cut connections, changed files, silence, wrong answers."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Served:
    """What stands at one path.

    Attributes:
        data: the file.
        etag: its version, or None.
        ranges: whether ranges are honoured.
        cuts: for each request in turn, after how many bytes the connection is cut (None: not).
        failures: for each request in turn, an answer in place of the file: status and headers.
        headers: more headers of the file.
        length: whether the length is stated.
        pace: seconds between pieces of `piece` bytes.
        piece: bytes.
        stall: after how many bytes nothing more comes.
    """

    data: bytes = b""
    etag: str | None = '"1"'
    ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    length: bool = True
    pace: float = 0.0
    piece: int = 1 << 16
    stall: int | None = None


@dataclass
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class _Quiet(ThreadingHTTPServer):
    """Says nothing of clients that go away, as killed ones do."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Server:
    """Serves `files`, by path with query; `requests` are those that came.

    Attributes:
        route: where not the path alone says what is asked for, tells the path in `files`.
    """

    def __init__(self, wrap: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[Request] = []
        self.route: Callable[[Request], str] = lambda request: request.path
        self.closing = threading.Event()
        self._http = _Quiet(("127.0.0.1", 0), self._handler())
        self._scheme = "https" if wrap else "http"
        if wrap:
            self._http.socket = wrap(self._http.socket)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}"

    def serve(self, path: str, data: bytes = b"", **options: object) -> str:
        """Puts a file at a path and gives its address."""
        self.files[path] = Served(data, **options)  # type: ignore[arg-type]
        return self.url + path

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *arguments: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_POST(self) -> None:
                self._answer(body=True)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, body: bool) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                request = Request(self.command, self.path, dict(self.headers), sent)
                server.requests.append(request)
                served = server.files.get(server.route(request))
                if served is None:
                    self._plain(404, {})
                elif served.failures:
                    self._plain(*served.failures.pop(0))
                else:
                    try:
                        self._file(served, body)
                    except (BrokenPipeError, ConnectionResetError):
                        self.close_connection = True

            def _plain(self, status: int, headers: dict[str, str]) -> None:
                if status == 0:
                    # No answer at all.
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def _file(self, served: Served, body: bool) -> None:
                size = len(served.data)
                start = self._start(served)
                if start is not None and start >= size:
                    self._plain(416, {"Content-Range": f"bytes */{size}"})
                    return
                self.send_response(200 if start is None else 206)
                if start is not None:
                    self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                if served.etag:
                    self.send_header("ETag", served.etag)
                content = served.data[start or 0 :]
                if served.length:
                    self.send_header("Content-Length", str(len(content)))
                else:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                for name, value in served.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self._body(served, content)

            def _start(self, served: Served) -> int | None:
                asked = self.headers.get("Range", "")
                condition = self.headers.get("If-Range")
                if not (asked and served.ranges) or condition not in (None, served.etag):
                    return None
                return int(asked.removeprefix("bytes=").rstrip("-"))

            def _body(self, served: Served, content: bytes) -> None:
                cut = served.cuts.pop(0) if served.cuts else None
                if cut is not None:
                    content = content[:cut]
                    self.close_connection = True
                for start in range(0, len(content), served.piece):
                    if served.stall is not None and start >= served.stall:
                        server.closing.wait(30)
                        return
                    self.wfile.write(content[start : start + served.piece])
                    self.wfile.flush()
                    if served.pace:
                        time.sleep(served.pace)

        return Handler
