"""What a source is asked for, and what it gave."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from keras_pretrained.presets.fetching.files import Staged
from keras_pretrained.presets.fetching.network import Network
from keras_pretrained.presets.preset import Source


@dataclass(frozen=True)
class Order:
    """What is to be fetched, and where to.

    Attributes:
        network: the connections.
        source: its `files` may be empty, for an address of the user's; then it is all files.
        roles: those that are wanted, or None for all. Where a source is an archive, it is all.
        staging: the folder for what is under way. It may hold what an earlier process left.
        revision: the commit that the files which are here already belong to, or None.
        show: whether to show progress on a terminal.
    """

    network: Network
    source: Source
    roles: Collection[str] | None
    staging: Path
    revision: str | None = None
    show: bool = True

    def wants(self, role: str) -> bool:
        return self.roles is None or role in self.roles


@dataclass
class Fetched:
    """Files that wait in an entry's staging folder.

    Attributes:
        files: path below the content folder -> file.
        folder: when given, this folder holds exactly these files and replaces the content.
        revision: the commit of a repository.
        etag: the server's name for this version.
        whole: whether these are all the files that a user who names none would get.
    """

    files: dict[str, Staged] = field(default_factory=dict)
    folder: Path | None = None
    revision: str | None = None
    etag: str | None = None
    whole: bool = False
