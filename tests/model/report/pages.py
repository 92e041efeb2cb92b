"""A page as its reader has it: parsed, its pictures decoded, its tables as text."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

# Elements that have no end.
VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Page(HTMLParser):
    """What a page of HTML holds; elements must be closed in their order."""

    text: str
    addresses: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        names = ("src", "href", "srcset", "action", "data", "poster")
        self.addresses += [value or "" for name, value in attrs if name in names]
        if tag in ("h1", "h2", "summary"):
            self.headings.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("style", "script"):
            return
        self.words += data
        if {"h1", "h2", "summary"} & set(self._open):
            self.headings[-1] += data
        if {"td", "th"} & set(self._open) and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    @property
    def pictures(self) -> list[Image.Image]:
        """Every picture, which must be in the page itself, and sound."""
        opened: list[Image.Image] = []
        for address in self.addresses:
            kind, _, data = address.partition(";base64,")
            assert kind in ("data:image/png", "data:image/jpeg"), address[:80]
            opened.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
            opened[-1].load()
        return opened

    def row(self, *starts_with: str, cells: int | None = None) -> list[str]:
        """The one row of a table that begins so, and has so many cells."""
        found = [r for r in self.rows if r[: len(starts_with)] == [*starts_with]]
        (row,) = (r for r in found if cells in (None, len(r)))
        return row


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))
