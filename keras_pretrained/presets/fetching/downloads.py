"""One file over HTTP: resumed where it was cut, checked while it comes in."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keras_pretrained.presets.digests import is_published
from keras_pretrained.presets.fetching.failure import FetchFailure, Transient
from keras_pretrained.presets.fetching.files import Staged, check_space
from keras_pretrained.presets.fetching.network import Network, failure_of
from keras_pretrained.presets.fetching.part import Part
from keras_pretrained.presets.fetching.progress import progress_bar

if TYPE_CHECKING:
    import requests

    from keras_pretrained.presets.fetching.network import Credentials

_READ = 256 * 1024
# A server that cuts each connection after a few bytes must come to an end too.
_MOST_ATTEMPTS = 100


@dataclass(frozen=True)
class Wanted:
    """A file to download.

    Attributes:
        url: where it is.
        title: what to call it on the progress bar.
        size: bytes, where they are known.
        sha256: the digest or its first digits, where they are known.
        auth: credentials for the host of `url`.
        archive: whether it will be unpacked, so that it does not matter if a server takes the
            compression of the file for one of the transfer.
    """

    url: str
    title: str
    size: int | None = None
    sha256: str | None = None
    auth: Credentials | None = None
    archive: bool = False


def download(network: Network, wanted: Wanted, path: Path, show: bool) -> tuple[Staged, str | None]:
    """Downloads a file, or goes on with what an earlier process left of it.

    Args:
        network: its connections.
        wanted: what to download, and what is known of it.
        path: where to; what an earlier process left there is gone on with.
        show: whether to show progress on a terminal.

    Returns:
        The file, and the server's name for its version, or None.

    Raises:
        FetchFailure: it cannot be had, or is not the file that was published.
    """
    part = Part(path)
    try:
        resumed = part.size > 0
        _transfer_all(network, wanted, part, show)
        if resumed and not is_published(wanted.sha256, part.sha256):
            # The beginning may be of another version, by a server that names both the same.
            part.restart(None)
            _transfer_all(network, wanted, part, show)
        _check(part, wanted)
        return part.finish(), part.validator
    finally:
        part.close()


def _check(part: Part, wanted: Wanted) -> None:
    found = None
    if wanted.size not in (None, part.size):
        found = f"{part.size:,} bytes in place of the published {wanted.size:,}"
    elif not is_published(wanted.sha256, part.sha256):
        found = f"SHA-256 {part.sha256} in place of the published {wanted.sha256}"
    if found:
        part.discard()
        raise FetchFailure(f"{wanted.title} is not the published file: {found}")


def _transfer_all(network: Network, wanted: Wanted, part: Part, show: bool) -> None:
    most, idle = part.size, 0
    for _ in range(_MOST_ATTEMPTS):
        try:
            _transfer(network, wanted, part, show)
            return
        except Transient as failure:
            if part.size > most:
                most, idle = part.size, 0
            if not network.may_retry(idle, failure):
                raise FetchFailure(f"{failure}{_tried(idle + 1)}") from failure
            network.pause(idle, failure)
            idle += 1
    raise FetchFailure(f"the connection was cut {_MOST_ATTEMPTS} times")


def _tried(attempts: int) -> str:
    return f" ({attempts} attempts)" if attempts > 1 else ""


def _transfer(network: Network, wanted: Wanted, part: Part, show: bool) -> None:
    # A compressed transfer has neither the length nor the ranges of the file itself.
    headers = {"Accept-Encoding": "identity"}
    if part.size and part.validator:
        headers["Range"] = f"bytes={part.size}-"
        headers["If-Range"] = part.validator
    with network.get(wanted.url, headers, wanted.auth) as response:
        if response.status_code == 416 and "Range" in headers:
            if _total(response) == part.size:
                return
            part.restart(None)
            raise Transient("the server has no such range of the file")
        if response.status_code == 206 and "Range" in headers:
            total = _continued(response, part)
        elif response.status_code == 200:
            part.restart(_validator(response))
            total = _length(response)
        else:
            raise failure_of(response)
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "") and not wanted.archive:
            raise FetchFailure(f"the server sends the file encoded as {encoding[:20]!r}")
        if total is not None and wanted.size not in (None, total):
            raise FetchFailure(
                f"{wanted.title} is not the published file: {total:,} bytes in place of the "
                f"published {wanted.size:,}"
            )
        expected = total if total is not None else wanted.size
        if expected is not None:
            check_space(part.path.parent, expected - part.size)
        _receive(network, response, wanted, part, expected, show)
    if total is not None and part.size != total:
        if part.size > total:
            part.restart(None)
        raise _cut(part, total)


def _cut(part: Part, total: int | None) -> Transient:
    of_all = "" if total is None else f" of {total:,}"
    return Transient(f"the connection was cut after {part.size:,}{of_all} bytes")


def _receive(
    network: Network,
    response: requests.Response,
    wanted: Wanted,
    part: Part,
    expected: int | None,
    show: bool,
) -> None:
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    patience = network.patience
    since, received = time.monotonic(), 0
    with progress_bar(wanted.title, expected, part.size, show) as advance:
        while True:
            try:
                # read1 gives what is there: read would wait for all of it, however slow it comes.
                chunk = response.raw.read1(_READ, decode_content=False)
            except ReadTimeoutError as error:
                raise Transient(f"no bytes came in for {patience.read:g} s") from error
            except (HTTPError, OSError) as error:
                raise _cut(part, expected) from error
            if not chunk:
                return
            part.append(chunk)
            advance(len(chunk))
            if expected is not None and part.size > expected:
                return
            received += len(chunk)
            now = time.monotonic()
            if now - since >= patience.read:
                if received < patience.slowest * (now - since):
                    raise Transient(f"fewer than {patience.slowest:,} bytes a second came in")
                since, received = now, 0


def _continued(response: requests.Response, part: Part) -> int | None:
    """Checks that an answer goes on where the part ends, and gives the file's size."""
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", header)
    same = _validator(response) in (None, part.validator)
    if not match or int(match[1]) != part.size or not same:
        part.restart(None)
        raise Transient("the server went on at another place, or in another file")
    return None if match[2] == "*" else int(match[2])


def _validator(response: requests.Response) -> str | None:
    """The server's name for this version: a strong ETag, or the date of the last change."""
    etag = response.headers.get("ETag", "")
    # HTTP allows only strong ones in If-Range.
    if etag.startswith('"'):
        return etag[:512]
    return response.headers.get("Last-Modified")


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _total(response: requests.Response) -> int | None:
    match = re.fullmatch(r"bytes \*/(\d{1,18})", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None
