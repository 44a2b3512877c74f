"""`hf://organisation/name[@revision]`: repositories of the Hugging Face Hub.

`huggingface_hub` speaks with the Hub: tokens, `HF_ENDPOINT`, revisions, gated repositories, sizes
and hashes. The bytes come through `download`, as from everywhere else: `hf_hub_download` begins
anew in every process, checks no hash, and would keep a second kind of cache with other promises.
What its cache holds already is used where it lies.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_pretrained.presets.digests import is_published
from keras_pretrained.presets.fetching.downloads import Wanted, download
from keras_pretrained.presets.fetching.failure import FetchFailure, Transient, Unreachable
from keras_pretrained.presets.fetching.fetched import Fetched, Order
from keras_pretrained.presets.fetching.names import UnsafeName, safe_name
from keras_pretrained.presets.fetching.network import Network
from keras_pretrained.presets.preset import Source

if TYPE_CHECKING:
    import requests

_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w.+-]+(?:/[\w.+-]+)*))?", re.ASCII)
_SHARD = r"(-\d{5}-of-\d{5})?"
# Repositories hold the same weights for several programs. The first kind that is there is taken.
_WEIGHTS = (
    rf"model{_SHARD}\.safetensors|model\.safetensors\.index\.json",
    rf"pytorch_model{_SHARD}\.bin|pytorch_model\.bin\.index\.json",
    r"[^/]+\.(index|data-\d{5}-of-\d{5})",
    r"saved_model\.pb|variables/.+|assets/.+",
    r"tf_model\.h5",
    r"[^/]+\.(safetensors|h5|hdf5|keras|bin|pt|pth|npz|ckpt)",
)
_BESIDE = r"[^/]+\.(json|txt|model|vocab)"
_LARGEST_BESIDE = 64 * 1024 * 1024


@dataclass(frozen=True)
class _Listed:
    """What the Hub says of a file."""

    size: int | None
    sha256: str | None


def fetch_from_hub(order: Order) -> Fetched:
    """The files of a repository: those of the source, or one kind of weights with what is beside.

    All files of an entry are of one commit, also those that are fetched later.
    """
    source = order.source
    repository, revision = split_address(source.address)
    commit, listed = _listing(order.network, repository, revision or order.revision)
    if source.files:
        wanted = {role: name for role, name in source.files.items() if order.wants(role)}
    else:
        wanted = {name: name for name in select(listed, repository)}
    fetched = Fetched(revision=commit, whole=not source.files)
    for role, name in wanted.items():
        if name not in listed:
            if role == "config":
                continue
            raise FetchFailure(f"the repository has no file {name!r} at {commit[:12]}")
        published = source.sha256.get(role)
        stated = listed[name].sha256
        if stated is not None and not is_published(published, stated):
            raise FetchFailure(
                f"{name} is not the published file: the Hub states SHA-256 {stated} "
                f"in place of the published {published}"
            )
        file = Wanted(
            url=_url(repository, name, commit),
            title=name,
            size=source.sizes.get(role, listed[name].size),
            sha256=stated or published,
            auth=_with_token,
        )
        # The commit is in the path: a part of another one's file must not be gone on with.
        path = order.staging / commit[:40] / name
        fetched.files[name], _ = download(order.network, file, path, order.show)
    return fetched


def find_in_hub_cache(source: Source, roles: Collection[str] | None) -> dict[str, Path]:
    """Role -> file, for what `huggingface_hub` has already put into its own cache."""
    from huggingface_hub import try_to_load_from_cache

    try:
        repository, revision = split_address(source.address)
    except FetchFailure:
        return {}
    found = {}
    for role, name in source.files.items():
        if roles is not None and role not in roles:
            continue
        path: object = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(path, str) and Path(path).is_file():
            size = source.sizes.get(role)
            if size in (None, Path(path).stat().st_size):
                found[role] = Path(path)
    return found


def split_address(address: str) -> tuple[str, str | None]:
    """The repository and the revision, if there is one.

    Raises:
        FetchFailure: not of the form `hf://organisation/name[@revision]`.
    """
    match = _ADDRESS.fullmatch(address)
    if not match or ".." in address:
        raise FetchFailure("wrong address; expected hf://organisation/name[@revision]")
    return match[1], match[2]


def select(listed: Mapping[str, _Listed], repository: str) -> list[str]:
    """The files of a repository that make up one network."""
    for pattern in _WEIGHTS:
        weights = [name for name in listed if re.fullmatch(pattern, name)]
        if weights:
            break
    else:
        raise FetchFailure(
            f"the repository {repository} holds no weights of a known kind: "
            f"{', '.join(sorted(listed)[:10])}"
        )
    beside = [
        name
        for name, each in listed.items()
        if re.fullmatch(_BESIDE, name)
        and (each.size or 0) <= _LARGEST_BESIDE
        # The index of a kind that was not taken would name files that are not here.
        and (name in weights or not name.endswith(".index.json"))
    ]
    return sorted({*weights, *beside})


def _listing(
    network: Network, repository: str, revision: str | None
) -> tuple[str, dict[str, _Listed]]:
    """The commit and its files."""
    attempt = 0
    while True:
        try:
            return _ask_listing(network, repository, revision)
        except Transient as failure:
            if not network.may_retry(attempt, failure):
                raise
            network.pause(attempt, failure)
            attempt += 1


def _ask_listing(
    network: Network, repository: str, revision: str | None
) -> tuple[str, dict[str, _Listed]]:
    import time

    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    network.check_time()
    started = time.monotonic()
    try:
        info = HfApi(library_name="keras-pretrained").model_info(
            repository, revision=revision, files_metadata=True, timeout=network.patience.connect
        )
    except GatedRepoError as error:
        raise FetchFailure(
            f"the repository {repository} asks for consent: give it on its page, then set HF_TOKEN "
            "or run `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise FetchFailure(
            f"there is no repository {repository}, or it is private: set HF_TOKEN or run "
            "`hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise FetchFailure(f"the repository {repository} has no revision {revision!r}") from error
    except HFValidationError as error:
        raise FetchFailure(f"wrong name of a repository: {error}") from error
    except OfflineModeIsEnabled as error:
        raise FetchFailure("HF_HUB_OFFLINE=1 is set") from error
    except HfHubHTTPError as error:
        raise _answer(error) from error
    except Exception as error:
        # The library's HTTP client is an httpx of one or another name.
        if not type(error).__module__.startswith("httpx"):
            raise
        network.lost += time.monotonic() - started
        raise Unreachable(f"no connection to the Hugging Face Hub: {error}") from error
    if not info.sha or not re.fullmatch(r"[0-9a-f]{7,64}", info.sha):
        raise FetchFailure(f"the Hub states no commit of the repository {repository}")
    return info.sha, dict(map(_listed, info.siblings or ()))


def _answer(error: Any) -> FetchFailure:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if status in (429, 500, 502, 503, 504):
        wait = response.headers.get("Retry-After", "")
        return Transient(
            f"the Hugging Face Hub answers {status}", float(wait) if wait.isdigit() else None
        )
    return FetchFailure(
        f"the Hugging Face Hub answers {status}: {str(error).splitlines()[0][:200]}"
    )


def _listed(sibling: Any) -> tuple[str, _Listed]:
    try:
        name = safe_name(sibling.rfilename)
    except UnsafeName as error:
        raise FetchFailure(str(error)) from error
    digest = getattr(sibling.lfs, "sha256", None)
    return name, _Listed(sibling.size, digest)


def _url(repository: str, name: str, commit: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repository, name, revision=commit)


def _with_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds the user's token, as `huggingface_hub` finds it, to a request to the Hub itself.

    As `auth=` of a request it goes before what ~/.netrc says, and is not taken along on redirects.
    """
    from huggingface_hub.utils import build_hf_headers

    request.headers.update(build_hf_headers(library_name="keras-pretrained"))
    return request
