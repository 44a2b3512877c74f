"""Files and archives at plain web addresses, and TF-Hub modules, which are archives too."""

from __future__ import annotations

from keras_pretrained.presets.fetching.addresses import check_address, file_name, file_url
from keras_pretrained.presets.fetching.archives import unpack
from keras_pretrained.presets.fetching.downloads import Wanted, download
from keras_pretrained.presets.fetching.failure import Absent
from keras_pretrained.presets.fetching.fetched import Fetched, Order
from keras_pretrained.presets.fetching.files import remove
from keras_pretrained.presets.fetching.progress import say

_COMPRESSED = "tf-hub-format=compressed"


def fetch_web_files(order: Order) -> Fetched:
    """The files below a web address, each on its own; or the one file at it."""
    source = order.source
    check_address(source.address)
    fetched = Fetched(whole=not source.files)
    names = dict(source.files) or {"weights": file_name(source.address)}
    for role, name in names.items():
        if not order.wants(role):
            continue
        url = file_url(source.address, name)
        wanted = Wanted(url, name, source.sizes.get(role), source.sha256.get(role))
        try:
            fetched.files[name], fetched.etag = download(
                order.network, wanted, order.staging / "files" / name, order.show
            )
        except Absent:
            # A configuration is for other programs; not every mirror has it.
            if role != "config":
                raise
    return fetched


def fetch_archive(order: Order) -> Fetched:
    """An archive, unpacked. It is all or nothing, so the roles play no part."""
    source = order.source
    check_address(source.address)
    url = source.address
    if source.kind == "tf-hub" and _COMPRESSED not in url:
        url += ("&" if "?" in url else "?") + _COMPRESSED
    name = file_name(source.address)
    wanted = Wanted(
        url, name, source.sizes.get("archive"), source.sha256.get("archive"), archive=True
    )
    archive, etag = download(order.network, wanted, order.staging / "archive", order.show)
    say(f"Unpacking {name}", order.show)
    content = order.staging / "content"
    remove(content)
    try:
        files = unpack(archive.path, content, name)
    finally:
        # Unpacked, it is of no more use; broken, it must not be gone on with.
        remove(archive.path)
    return Fetched(files=files, folder=content, etag=etag, whole=True)
