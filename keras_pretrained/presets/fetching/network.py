"""One HTTP request: connections, redirects, time limits, and what an answer means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from keras_pretrained.presets.fetching.failure import (
    Absent,
    FetchFailure,
    Transient,
    Unreachable,
)

if TYPE_CHECKING:
    import requests

    Credentials = Callable[[requests.PreparedRequest], requests.PreparedRequest]

_MOST_REDIRECTS = 10
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds.

    Attributes:
        connect: for a connection.
        read: for the next bytes.
        slowest: bytes a second; what stays slower than this for `read` seconds is given up.
        attempts: in a row, none of which brought anything.
        backoff: before the second attempt; doubled for each further one.
        longest_wait: what a server may ask for with Retry-After.
        unreachable: spent on hosts that do not answer at all, over all sources.
    """

    connect: float = 5.0
    read: float = 30.0
    slowest: int = 1024
    attempts: int = 4
    backoff: float = 0.5
    longest_wait: float = 60.0
    unreachable: float = 14.0


class Network:
    """The connections of one fetch, and the time it has lost on hosts that do not answer."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.lost = 0.0
        self._session: requests.Session | None = None

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    @contextmanager
    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        auth: Credentials | None = None,
    ) -> Iterator[requests.Response]:
        """Asks for an address and follows redirects; the body is not read.

        `auth` reaches the host of `url` alone.

        Raises:
            FetchFailure: no answer, or one that leads nowhere. `Transient` where it may later.
        """
        self.check_time()
        session = self._open()
        response = None
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._ask(session, url, headers, auth)
            target = session.get_redirect_target(response)
            if target is None:
                break
            # A redirect's own body is of no use and could be endless.
            response.close()
            target = redirected(url, target)
            if auth is not None and session.should_strip_auth(url, target):
                auth = None
            url = target
        else:
            raise FetchFailure(f"more than {_MOST_REDIRECTS} redirects")
        try:
            yield response
        finally:
            response.close()

    def check_time(self) -> None:
        """Fails when too much time went into hosts that do not answer."""
        if self.lost >= self.patience.unreachable:
            raise Unreachable(f"not tried, after {self.lost:.0f} s without reaching any host")

    def pause(self, attempt: int, failure: Transient) -> None:
        """Waits before the next attempt."""
        wait = self.patience.backoff * 2**attempt
        if failure.retry_after is not None:
            wait = max(wait, failure.retry_after)
        time.sleep(wait)

    def may_retry(self, attempt: int, failure: Transient) -> bool:
        """Whether another attempt makes sense after so many that brought nothing."""
        if failure.retry_after is not None and failure.retry_after > self.patience.longest_wait:
            return False
        if isinstance(failure, Unreachable):
            # Once more, for names that a resolver did not know at once.
            return attempt == 0 and self.lost < self.patience.connect / 2
        return attempt + 1 < self.patience.attempts

    def _open(self) -> requests.Session:
        if self._session is None:
            import requests

            self._session = requests.Session()
            self._session.headers["User-Agent"] = "keras-pretrained"
        return self._session

    def _ask(
        self,
        session: requests.Session,
        url: str,
        headers: Mapping[str, str],
        auth: Credentials | None,
    ) -> requests.Response:
        import requests

        started = time.monotonic()
        host = urlsplit(url).hostname
        try:
            return session.get(
                url,
                headers=dict(headers),
                auth=auth,
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect, self.patience.read),
            )
        except requests.exceptions.ReadTimeout as error:
            raise Transient(f"{host} did not answer in {self.patience.read:g} s") from error
        except requests.exceptions.SSLError as error:
            raise FetchFailure(f"no secure connection to {host}: {_first_line(error)}") from error
        except requests.exceptions.ConnectionError as error:
            text = str(error)
            if "RemoteDisconnected" in text or "ConnectionResetError" in text:
                raise Transient(f"{host} cut the connection") from error
            self.lost += time.monotonic() - started
            raise Unreachable(_unreachable(host, error)) from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise FetchFailure(f"not an address to fetch from: {_first_line(error)}") from error


def redirected(url: str, target: str) -> str:
    """Where a redirect leads.

    Raises:
        FetchFailure: from a secure address to one that is not, or to no web address.
    """
    target = urljoin(url, target)
    old, new = urlsplit(url), urlsplit(target)
    if new.scheme not in ("http", "https") or not new.hostname:
        raise FetchFailure(f"redirects to {new.scheme}:, which is not a web address")
    if old.scheme == "https" and new.scheme != "https":
        raise FetchFailure(f"redirects from https to http://{new.hostname}, which is not secure")
    return target


def failure_of(response: requests.Response) -> FetchFailure:
    """What an answer that is neither 200 nor 206 means."""
    status = response.status_code
    text = f"{status} {response.reason or ''}".strip()
    if status in _TRANSIENT:
        return Transient(f"the server answers {text}", _retry_after(response))
    advice = {
        401: "it wants a login, which ~/.netrc can hold",
        403: "access is forbidden, or the file was withdrawn",
        404: "it is not there, or was moved",
        410: "it was withdrawn",
    }
    kind = Absent if status in (404, 410) else FetchFailure
    clause = f": {advice[status]}" if status in advice else ""
    return kind(f"the server answers {text}{clause}")


def _retry_after(response: requests.Response) -> float | None:
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    value = response.headers.get("Retry-After")
    try:
        return None if value is None else Retry().parse_retry_after(value)
    except InvalidHeader:
        return None


def _unreachable(host: str | None, error: Exception) -> str:
    text = str(error)
    if "NameResolutionError" in text or "getaddrinfo" in text:
        return f"the name {host} cannot be resolved; is there a network?"
    if "ConnectTimeout" in text or "timed out" in text:
        return f"no connection to {host}: no answer"
    if "refused" in text:
        return f"no connection to {host}: refused"
    return f"no connection to {host}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
