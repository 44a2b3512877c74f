"""Reads a report back, as a browser would."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_EMPTY = ("meta", "img", "br")
"""Elements without an end."""


class Page(HTMLParser):
    """The content of an HTML file.

    Attributes:
        tags: names of all elements.
        links: values of attributes that a browser follows.
        tables: heading of the section -> rows of cells, the header first.
        text: everything that is read, the texts of pictures among it.
        pictures: those that stand in the page as files.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.pictures: list[np.ndarray] = []
        self._open: list[str] = []
        self._heading = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag not in _EMPTY:
            self._open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{name} would run a program"
            if name in ("src", "href", "xlink:href", "action", "srcset", "data"):
                self.links.append(value)
                if value.startswith("data:image/png;base64,"):
                    data = base64.b64decode(value.partition(",")[2])
                    self.pictures.append(np.asarray(Image.open(io.BytesIO(data))))
        if tag == "h2":
            self._heading = ""
        elif tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        elif tag in ("td", "th"):
            self.tables[self._heading][-1].append("")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            assert "url(" not in data
            assert "@import" not in data
            return
        self.text += data
        if self._open[-1:] == ["h2"]:
            self._heading += data
        if "td" in self._open or "th" in self._open:
            self.tables[self._heading][-1][-1] += data
