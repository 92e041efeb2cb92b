"""A store of files behind a URL: listed page by page, read ahead of their decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from alexnet.pipeline.errors import RemoteError
from alexnet.pipeline.remote.listing import list_files
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.read_ahead import ReadAhead
from alexnet.pipeline.remote.transfer import fetch_range
from alexnet.pipeline.source.members import is_hidden, system_folder
from alexnet.pipeline.source.stores import (
    MAX_FILE_BYTES,
    SYSTEM_FOLDER,
    Entry,
    require_photo_size,
)


class RemoteStore:
    """Files below a location.

    Args:
        keys: the files, where the place cannot be listed, such as a web server.
    """

    is_remote = True

    def __init__(self, root: Location, keys: Sequence[str] | None = None) -> None:
        self.root, self.keys = root, keys
        self._ahead: ReadAhead | None = None

    def entries(self, leave_out: Callable[[str], None]) -> Iterator[Entry]:
        if self.keys is not None:
            yield from (Entry(key, 0) for key in self.keys)
            return
        system_folders = set()
        for key, size_bytes in list_files(self.root):
            if system := system_folder(key):
                system_folders.add(system)
            elif not is_hidden(key):
                yield Entry(key, size_bytes)
        for folder in system_folders:
            leave_out(f"{folder} ({SYSTEM_FOLDER})")

    def exists(self) -> bool:
        return self.keys is not None or self.root.exists()

    def place(self, key: str) -> str:
        return str(self.root / key)

    def expect(self, keys: Iterable[str]) -> None:
        self._ahead = self._ahead or ReadAhead(self._read)
        self._ahead.expect(keys)

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        if num_bytes >= 0:
            return self._read(key, num_bytes)
        data = self._ahead.take(key) if self._ahead else self._read(key)
        require_photo_size(len(data))
        return data

    def _read(self, key: str, num_bytes: int = MAX_FILE_BYTES + 1) -> bytes:
        try:
            return fetch_range(self.root / key, 0, num_bytes)
        except PermissionError as error:
            raise RemoteError(
                f"{self.place(key)} cannot be read: {error.strerror}. The file itself"
                " may be good, so it was not set aside. Allow these credentials to"
                " read it, or take it away."
            ) from error

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_ahead": None}
