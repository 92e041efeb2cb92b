"""Addresses: their parts, and what may be printed of them."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import NamedTuple
from urllib.parse import quote, unquote

from alexnet.pipeline.errors import ConfigError

# `zip://inner::s3://bucket/x.zip` is a chain: what follows `::` holds what precedes it.
URL = re.compile(
    r"(?P<anchor>(?:[\w+.-]+::)*(?P<protocol>[A-Za-z][\w+.-]*)://(?:(?!::)[^/?])*)"
)
# Their `?` begins a query, which may be a signature; elsewhere it belongs to a name.
WEB = ("http", "https")


class Url(NamedTuple):
    """An address in its parts."""

    protocol: str
    # Scheme and host or bucket.
    anchor: str
    path: str
    # The query of a web address, or the rest of a chain.
    rest: str

    def __str__(self) -> str:
        return f"{self.anchor}{self.path}{self.rest}"

    @property
    def name(self) -> str:
        """The last part of the path; '' of a bucket or host."""
        name = basename(self.path.rstrip("/"))
        return unquote(name) if self.protocol in WEB else name

    @property
    def parent(self) -> Url:
        """The folder of it; a bucket or host is its own."""
        return self._replace(path=dirname(self.path.rstrip("/")).rstrip("/"))

    def joined(self, key: str) -> Url:
        """Return the address of a file below it."""
        key = quote(key) if self.protocol in WEB else key
        return self._replace(path=f"{self.path.rstrip('/')}/{key}")


def parse_url(text: str) -> Url:
    """Return an address in its parts.

    Raises:
        ConfigError: the text is no URL.
    """
    match = URL.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is no URL, such as s3://bucket/records")
    protocol, path = match["protocol"].lower(), text[match.end() :]
    end = re.search(r"\?|::" if protocol in WEB else "::", path)
    at = end.start() if end else len(path)
    return Url(protocol, match["anchor"], path[:at], path[at:])


def without_credentials(url: str) -> str:
    """Return an address for people: without passwords and signatures."""
    url = re.sub(r"(https?://)[^/@]*@", r"\1", url)
    url = re.sub(r"(://)[^/@:]*:[^/@]*@", r"\1", url)
    return re.sub(r"(https?://[^?]*\?).*?(?=::|$)", r"\1...", url)
