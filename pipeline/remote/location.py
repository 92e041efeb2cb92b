"""A file or folder behind a URL that fsspec opens, joined and asked like a path.

A location is an address until it is used: no package of a store is imported and no
connection made before that. Its credentials are fsspec's own (environment, profiles);
what is printed of it has none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from posixpath import splitext
from typing import Any, TypeVar

from alexnet.pipeline.errors import ConfigError, RemoteError
from alexnet.pipeline.remote.file_system import (
    StorageOptions,
    missing_package,
    open_file_system,
)
from alexnet.pipeline.remote.retry import describe, may_pass, retry
from alexnet.pipeline.remote.url import WEB, Url, parse_url, without_credentials

Result = TypeVar("Result")

# They have no folders to be made; making one could make a bucket.
WITHOUT_FOLDERS = {
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "r2", "hf", "memory"),
    *WEB,
}


class Location:
    """A URL, with what an fsspec file system needs beside it.

    Raises:
        ConfigError: the text is no URL.
    """

    def __init__(
        self, url: str, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self.url = url
        self._parts = parse_url(url)
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
        return self._at(self._parts.joined(key))

    @property
    def protocol(self) -> str:
        """The file system's name, such as s3."""
        return self._parts.protocol

    @property
    def name(self) -> str:
        """The last part of the path; '' of a bucket or host."""
        return self._parts.name

    @property
    def suffix(self) -> str:
        """The ending of the name, such as `.zip`."""
        return splitext(self.name)[1]

    @property
    def parent(self) -> Location:
        """The folder of it; a bucket or host is its own."""
        return self._at(self._parts.parent)

    def with_name(self, name: str) -> Location:
        """Return its neighbour of that name."""
        return self.parent / name

    def absolute(self) -> Location:
        """Return itself: a URL depends on no current folder."""
        return self

    def _at(self, url: Url) -> Location:
        return Location(str(url), self._options)

    def file_system(self) -> Any:
        """Return the fsspec file system, one for all threads of a process.

        It keeps no listings, which would be stale and fill the memory.

        Raises:
            ConfigError: its package is not installed, or there is none for the scheme.
        """
        parts = self._parts
        root = parts.anchor if self.protocol in WEB else parts.anchor + parts.rest
        try:
            return open_file_system(root, self.protocol, self._options)
        except (ImportError, ValueError) as error:
            reason = missing_package(self.protocol) or error
            raise ConfigError(f"{self} cannot be opened: {reason}") from None

    @property
    def path(self) -> str:
        """The path in the file system."""
        _, anchor, path, rest = self._parts
        url = anchor.rpartition("::")[2] + path
        url += rest if self.protocol in WEB else ""
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
        return self._kind() is not None

    def is_file(self) -> bool:
        """Tell whether there is a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Tell whether there is a folder; in an object store, one that holds a file."""
        return self._kind() == "directory"

    def _kind(self) -> str | None:
        """Return fsspec's word for what is there; None where nothing is.

        Its own `exists` and `isfile` take a store that is away for one that is empty.
        """
        try:
            return str(self.info()["type"])
        except FileNotFoundError:
            return None

    def info(self) -> dict[str, Any]:
        """Return what the store says: `type`, `size`, of a file often a checksum.

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
        self.make_parent()
        self.call(lambda fs, path: fs.pipe_file(path, data))

    def make_parent(self) -> None:
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
