"""A file or folder behind a URL that fsspec opens, joined and asked like a path.

A location is an address until it is used: no package of a store is imported and no
connection made before that. Its credentials are fsspec's own (environment, profiles);
what is printed of it has none.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from posixpath import basename, dirname, splitext
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from alexnet.pipeline.errors import ConfigError, RemoteError
from alexnet.pipeline.remote.retry import describe, may_pass, retry

Result = TypeVar("Result")

# `zip://inner::s3://bucket/x.zip` is a chain: what follows `::` holds what precedes it.
URL = re.compile(r"(?P<anchor>(?:[\w+.-]+::)*(?P<protocol>[A-Za-z][\w+.-]*)://[^/?]*)")
# Their `?` begins a query, which may be a signature; elsewhere it belongs to a name.
WEB = ("http", "https")
# They have no folders to be made; making one could make a bucket.
WITHOUT_FOLDERS = {
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "r2", "hf", "memory"),
    *WEB,
}
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class StorageOptions(dict[str, Any]):
    """Arguments of an fsspec file system; they may be credentials, and print as none.

    Equal only to themselves, so that locations made of one another share a connection.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> StorageOptions:
        """Return options that are such already, or such ones of others."""
        if isinstance(options, StorageOptions):
            return options
        return cls(options) if options else NO_OPTIONS

    def __repr__(self) -> str:
        return "<storage options>"


NO_OPTIONS = StorageOptions()


class Location:
    """A URL, with what an fsspec file system needs beside it.

    Raises:
        ConfigError: the text is no URL.
    """

    def __init__(
        self, url: str, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        if not URL.match(url):
            raise ConfigError(f"{url!r} is no URL, such as s3://bucket/records")
        self.url = url
        self._options = StorageOptions.of(storage_options)

    def __reduce__(self) -> tuple[object, ...]:
        return Location, (self.url, dict(self._options))

    def __str__(self) -> str:
        return without_credentials(self.url)

    def __repr__(self) -> str:
        return f"Location({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __truediv__(self, key: str) -> Location:
        anchor, path, rest = self._parts()
        key = quote(key) if self.protocol in WEB else key
        return self._at(f"{anchor}{path.rstrip('/')}/{key}{rest}")

    @property
    def protocol(self) -> str:
        """The file system's name, such as s3."""
        match = URL.match(self.url)
        return match["protocol"].lower() if match else ""

    @property
    def name(self) -> str:
        """The last part of the path; '' of a bucket or host."""
        name = basename(self._parts()[1].rstrip("/"))
        return unquote(name) if self.protocol in WEB else name

    @property
    def suffix(self) -> str:
        """The ending of the name, such as `.zip`."""
        return splitext(self.name)[1]

    @property
    def parent(self) -> Location:
        """The folder of it; a bucket or host is its own."""
        anchor, path, rest = self._parts()
        return self._at(f"{anchor}{dirname(path.rstrip('/')).rstrip('/')}{rest}")

    def absolute(self) -> Location:
        """Return itself: a URL depends on no current folder."""
        return self

    def with_name(self, name: str) -> Location:
        """Return its neighbour of that name."""
        return self.parent / name

    def _parts(self) -> tuple[str, str, str]:
        """Return scheme and host, the path, and the query or the rest of a chain."""
        match = URL.match(self.url)
        anchor = match["anchor"] if match else ""
        end = r"\?|::" if self.protocol in WEB else "::"
        found = re.search(end, self.url[len(anchor) :])
        at = len(anchor) + found.start() if found else len(self.url)
        return anchor, self.url[len(anchor) : at], self.url[at:]

    def _at(self, url: str) -> Location:
        return Location(url, self._options)

    def file_system(self) -> Any:
        """Return the fsspec file system, one for all threads of a process.

        It keeps no listings, which would be stale and fill the memory.

        Raises:
            ConfigError: its package is not installed, or there is none for the scheme.
        """
        anchor, _, rest = self._parts()
        root = anchor if self.protocol in WEB else anchor + rest
        try:
            return _file_system(root, self._options, os.getpid())
        except (ImportError, ValueError) as error:
            raise ConfigError(self._missing_package(error)) from None

    def _missing_package(self, error: Exception) -> str:
        if extra := EXTRAS.get(self.protocol):
            return f"{self} needs the extra {extra}: pip install 'alexnet[{extra}]'"
        return f"{self} cannot be opened: {error}"

    @property
    def path(self) -> str:
        """The path in the file system."""
        anchor, path, rest = self._parts()
        own = anchor.rpartition("::")[2] + path
        url = own + rest if self.protocol in WEB else own
        return str(self.file_system()._strip_protocol(url))

    def call(self, action: Callable[[Any, str], Result]) -> Result:
        """Return what `action` makes of the file system and the path, tried patiently.

        Raises:
            OSError: there is no such file, or no right to it; it names the location.
            RemoteError: the store fails for long, or in another way.
        """
        fs, path = self.file_system(), self.path
        try:
            return retry(lambda: action(fs, path), self)
        except RemoteError:
            raise
        except OSError as error:
            if may_pass(error):  # cannot be: it would have been tried again
                raise
            raise self._os_error(error) from None
        except Exception as error:
            # Its text may hold the whole address, and so a signature.
            raise RemoteError(
                f"{self} cannot be used: {describe(error)}. Check the address and the"
                " credentials, which are those of fsspec and the store's own tools."
            ) from None

    def _os_error(self, error: OSError) -> OSError:
        """Return an error of the same kind, with a number and a printable place."""
        numbers = {
            FileNotFoundError: errno.ENOENT,
            FileExistsError: errno.EEXIST,
            PermissionError: errno.EACCES,
            IsADirectoryError: errno.EISDIR,
            NotADirectoryError: errno.ENOTDIR,
        }
        number = next((n for k, n in numbers.items() if isinstance(error, k)), 0)
        number = number or error.errno or errno.EIO
        return OSError(number, os.strerror(number), str(self))

    def exists(self) -> bool:
        """Tell whether there is a file, or a folder that holds one."""
        return self.call(lambda fs, path: bool(fs.exists(path)))

    def is_file(self) -> bool:
        """Tell whether there is a file."""
        return self.call(lambda fs, path: bool(fs.isfile(path)))

    def is_dir(self) -> bool:
        """Tell whether there is a folder; in an object store, one that holds a file."""
        return self.call(lambda fs, path: bool(fs.isdir(path)))

    def info(self) -> dict[str, Any]:
        """Return what the store says of a file: its `size`, and often a checksum.

        Raises:
            OSError: there is no such file.
        """
        return self.call(lambda fs, path: dict(fs.info(path)))

    def num_bytes(self) -> int:
        """Return the size of a file.

        Raises:
            OSError: there is no such file.
            RemoteError: the store does not say.
        """
        size = self.info().get("size")
        if size is None:
            raise RemoteError(f"{self}: the server does not say how large it is")
        return int(size)

    def read_bytes(self) -> bytes:
        """Return what a file holds.

        Raises:
            OSError: there is no such file.
        """
        return self.call(lambda fs, path: bytes(fs.cat_file(path)))

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return what a text file holds.

        Raises:
            OSError: there is no such file.
        """
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Write a small file; a store shows it whole or not at all."""
        self.make_folder()
        self.call(lambda fs, path: fs.pipe_file(path, data))

    def make_folder(self) -> None:
        """Make the folder of a file, where the file system has folders."""
        if self.protocol not in WITHOUT_FOLDERS:
            self.parent.call(lambda fs, path: fs.makedirs(path, exist_ok=True))

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete a file."""
        try:
            self.call(lambda fs, path: fs.rm_file(path))
        except FileNotFoundError:
            if not missing_ok:
                raise


Place: TypeAlias = "Path | Location"


def as_place(place: str | os.PathLike[str] | Location) -> Place:
    """Return a path or a location, whichever the words of a user are."""
    if isinstance(place, Location):
        return place
    text = os.fspath(place)
    if not URL.match(text):
        return Path(text)
    parts = urlsplit(text)
    is_file = parts.scheme.lower() in ("file", "local")
    return Path(url2pathname(parts.path)) if is_file else Location(text)


def without_credentials(url: str) -> str:
    """Return a URL for people: without passwords and signatures."""
    url = re.sub(r"(https?://)[^/@]*@", r"\1", url)
    url = re.sub(r"(://)[^/@:]*:[^/@]*@", r"\1", url)
    return re.sub(r"(https?://[^?]*\?).*?(?=::|$)", r"\1...", url)


@lru_cache(maxsize=32)
def _file_system(root: str, options: StorageOptions, process: int) -> Any:
    """Return a file system of our own; no process uses one that it was forked with."""
    from fsspec.core import url_to_fs

    fs, _ = url_to_fs(root, skip_instance_cache=True, **options)
    listings = getattr(fs, "dircache", None)
    if listings is not None:
        listings.use_listings_cache = False
    return fs
