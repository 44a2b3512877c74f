"""Web addresses: which are taken, and what the files at them are called."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from keras_pretrained.presets.fetching.failure import FetchFailure
from keras_pretrained.presets.fetching.names import UnsafeName, safe_name


def check_address(address: str) -> None:
    """Refuses what is not a web address, and one with a password in it.

    Raises:
        FetchFailure: says which.
    """
    try:
        parts = urlsplit(address)
        host, password = parts.hostname, parts.username or parts.password
    except ValueError as error:
        raise FetchFailure(f"not a web address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or not address.isprintable():
        raise FetchFailure("not a web address; expected https://host/path")
    if password:
        raise FetchFailure(
            "an address must not hold a password, which would end up in logs; ~/.netrc can hold it"
        )


def file_url(address: str, name: str) -> str:
    """The address of a file: that of its source, if that ends in the file's name."""
    path = urlsplit(address).path
    if unquote(path).endswith(f"/{name}"):
        return address
    return f"{address.rstrip('/')}/{quote(name)}"


def file_name(address: str) -> str:
    """What a downloaded file is called."""
    last = unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2]
    try:
        return safe_name(last)
    except UnsafeName:
        return "download"
